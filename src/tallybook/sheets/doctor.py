"""Checks a connection to Google Sheets: the keys, the token, the API, one document."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from tallybook.core import DestinationRefused, SignInError, TallybookError
from tallybook.sheets.api import Api
from tallybook.sheets.credentials import FILES, Keys
from tallybook.sheets.pace import PER_MINUTE, Patience
from tallybook.sheets.rows import SHAPE, sheets_of
from tallybook.sheets.service_urls import AUDIENCE, ServiceUrls, document as named

MAX_DOCUMENT_CELLS = 10_000_000
"""Maximum number of cells in a document: rows times columns of all its worksheets, including empty ones."""
GOOD, CARE, BAD = "good", "care", "bad"
_UNKNOWN_DOCUMENT = "tallybook-doctor-asks-for-nothing"
"""An id that no document has. Sheets responds with 404 if the API is enabled, else with 403."""


@dataclass(frozen=True)
class Finding:
    """The result of one check: `state` is good, care or bad."""

    what: str
    state: str
    said: str
    hint: str = ""


def examine(keys: Keys, places: ServiceUrls, *, document: str | None, now: datetime) -> Iterator[Finding]:
    """Yield the results of all checks that do not write. Stops at the first bad result, because later checks depend on
    it."""
    yield from _kept(keys)
    yield _lifetime(keys, now)
    api = Api(keys, places, patience=Patience(tries=2, seconds=20))
    for look in (_token, _enabled, *([_document] if document else [])):
        try:
            yield look(api, document or "")
        except TallybookError as error:
            yield Finding(look.__name__.lstrip("_"), BAD, error.message, error.hint)
            return
    yield _quota(api)


def _kept(keys: Keys) -> Iterator[Finding]:
    whose = f"service account {keys.account}" if keys.account else f"client {keys.client_id}"
    yield Finding("keys", GOOD, f"{whose}, from {keys.place}")
    place = Path(keys.place)
    if os.name == "posix" and place.is_file() and place.stat().st_mode & 0o077:
        yield Finding("keys", CARE, f"other users of this machine can read {place}", f"chmod 600 '{place}'")


def _lifetime(keys: Keys, now: datetime) -> Finding:
    publish = f"press Publish app at {AUDIENCE}, then `tallybook sheets setup --again`"
    if keys.account:
        return Finding("lifetime", GOOD, "the key of a service account does not expire")
    if keys.until and keys.until <= now:
        return Finding(
            "lifetime",
            CARE,
            f"expired {keys.until:%Y-%m-%d} according to Google, because the app is in testing",
            publish,
        )
    if keys.until:
        left = (keys.until - now) / timedelta(days=1)
        text = f"expires in {left:.1f} days, on {keys.until:%Y-%m-%d %H:%M} UTC, because the app is in testing"
        return Finding("lifetime", CARE, text, publish)
    since = f"from {keys.since:%Y-%m-%d}; " if keys.since else ""
    return Finding("lifetime", GOOD, f"{since}expires only when revoked, or unused for six months")


def _token(api: Api, _: str) -> Finding:
    api.renew()
    reach = (
        "documents created by Tallybook"
        if tuple(api.granted) == (FILES,)
        else ", ".join(s.rpartition("/")[2] for s in api.granted)
    )
    return Finding("token", GOOD, f"valid, for {reach}" if reach else "valid")


def _enabled(api: Api, _: str) -> Finding:
    try:
        api.read(_UNKNOWN_DOCUMENT, fields="spreadsheetId")
    except SignInError:
        raise
    except DestinationRefused as error:
        if "not enabled" in error.message:
            raise
    return Finding("api", GOOD, "Google Sheets responds")


def _document(api: Api, document: str) -> Finding:
    worksheets = sheets_of(api.read(named(document).id, fields=SHAPE))
    used = sum(sheet.rows * sheet.columns for sheet in worksheets)
    left = MAX_DOCUMENT_CELLS - used
    sheets = f"{len(worksheets)} worksheet{'' if len(worksheets) == 1 else 's'}"
    text = f"{sheets}, {used:,} cells of {MAX_DOCUMENT_CELLS:,}, {left:,} left"
    if left >= MAX_DOCUMENT_CELLS // 10:
        return Finding("document", GOOD, text)
    return Finding("document", CARE, text, "delete empty rows and columns, which count too, or start a new document")


def _quota(api: Api) -> Finding:
    grants = f"{PER_MINUTE} reads and {PER_MINUTE} writes a minute for each user"
    if api.traffic.refused:
        return Finding("quota", CARE, f"Google refused: {api.traffic.refused[-1]}", f"it grants {grants}")
    return Finding("quota", GOOD, f"{grants}; none of {api.traffic.reads} requests was refused")
