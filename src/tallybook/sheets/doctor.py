"""How a connection to Google Sheets is: the keys, the token, the API, one document."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from tallybook.core import DestinationRefused, SignInError, TallybookError
from tallybook.sheets.api import Api
from tallybook.sheets.keep import FILES, Keys
from tallybook.sheets.pace import PER_MINUTE, Patience
from tallybook.sheets.places import AUDIENCE, Places, document as named
from tallybook.sheets.rows import SHAPE, sheets_of

CELLS = 10_000_000
"""What a document holds: rows times columns of all its worksheets, also of empty ones."""
GOOD, CARE, BAD = "good", "care", "bad"
_NOBODY = "tallybook-doctor-asks-for-nothing"
"""An id that no document has: Sheets answers 404 when it is enabled, and 403 when it is not."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: `state` is good, care or bad."""

    what: str
    state: str
    said: str
    hint: str = ""


def examine(keys: Keys, places: Places, *, document: str | None, now: datetime) -> Iterator[Finding]:
    """Everything that is known without writing. Later findings need earlier ones, so it ends at the first bad one."""
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
        yield Finding("keys", CARE, f"others on this machine can read {place}", f"chmod 600 '{place}'")


def _lifetime(keys: Keys, now: datetime) -> Finding:
    publish = f"press Publish app at {AUDIENCE}, then `tallybook sheets setup --again`"
    if keys.account:
        return Finding("lifetime", GOOD, "the key of a service account does not end by itself")
    if keys.until and keys.until <= now:
        return Finding(
            "lifetime", CARE, f"Google said that it ends {keys.until:%Y-%m-%d}: the app is in testing", publish
        )
    if keys.until:
        left = (keys.until - now) / timedelta(days=1)
        said = f"ends in {left:.1f} days, on {keys.until:%Y-%m-%d %H:%M} UTC, because the app is in testing"
        return Finding("lifetime", CARE, said, publish)
    since = f"from {keys.since:%Y-%m-%d}; " if keys.since else ""
    return Finding("lifetime", GOOD, f"{since}ends only when revoked, or unused for six months")


def _token(api: Api, _: str) -> Finding:
    api.renew()
    reach = (
        "documents made here"
        if tuple(api.granted) == (FILES,)
        else ", ".join(s.rpartition("/")[2] for s in api.granted)
    )
    return Finding("token", GOOD, f"valid, for {reach}" if reach else "valid")


def _enabled(api: Api, _: str) -> Finding:
    try:
        api.read(_NOBODY, fields="spreadsheetId")
    except SignInError:
        raise
    except DestinationRefused as error:
        if "not enabled" in error.message:
            raise
    return Finding("api", GOOD, "Google Sheets answers")


def _document(api: Api, document: str) -> Finding:
    found = sheets_of(api.read(named(document).id, fields=SHAPE))
    used = sum(sheet.rows * sheet.columns for sheet in found)
    left = CELLS - used
    sheets = f"{len(found)} worksheet{'' if len(found) == 1 else 's'}"
    said = f"{sheets}, {used:,} cells of {CELLS:,}, {left:,} left"
    if left >= CELLS // 10:
        return Finding("document", GOOD, said)
    return Finding("document", CARE, said, "delete empty rows and columns: they count too; or begin a new document")


def _quota(api: Api) -> Finding:
    grants = f"{PER_MINUTE} reads and {PER_MINUTE} writes a minute for each user"
    if api.traffic.refused:
        return Finding("quota", CARE, f"Google refused: {api.traffic.refused[-1]}", f"it grants {grants}")
    return Finding("quota", GOOD, f"{grants}; none of {api.traffic.reads} requests was refused")
