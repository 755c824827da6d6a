"""The emulator's own paths, below /emulator: for tests in other languages and other processes.

GET    /emulator                     addresses, a client with a refresh token, a service account's key
POST   /emulator/documents           {"title", "tabs", "share_with", …}: the arguments of `Emulator.create`
GET    /emulator/documents/ID        its content: per tab the values, the displayed text, the entered text
POST   /emulator/documents/ID/people {"do": "rename_tab", "tab": "Daily", "to": "Days"}: a method of `Person`
POST   /emulator/faults              {"answer": 503, "after": true, "path": ":append"}: the fields of `Fault`
DELETE /emulator/faults              removes all faults
POST   /emulator/clock               {"seconds": 60}: also minutes, hours, days
GET    /emulator/requests            requests so far, and the number of calls by method"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tallybook_emulators.sheets.errors import GoogleError, invalid

if TYPE_CHECKING:
    from tallybook_emulators.sheets.emulator import Emulator

ROOT = "/emulator"
Json = dict[str, Any]


def handle(google: Emulator, verb: str, path: str, body: bytes) -> Json:
    """Answer a request to one of the emulator's own paths. Raises GoogleError for an invalid request."""
    parts = path.removeprefix(ROOT).strip("/").split("/")
    try:
        given = json.loads(body) if body.strip() else {}
        match verb, *parts:
            case "GET", "":
                return described(google)
            case "POST", "documents":
                return {"id": google.create(**given)}
            case "GET", "documents", number:
                return _document(google, number)
            case "POST", "documents", number, "people":
                return {"done": _person(google, number, given)}
            case "POST", "faults":
                google.fault(**given)
                return {}
            case "DELETE", "faults":
                google.faults.clear()
                return {}
            case "POST", "clock":
                google.clock.advance(**given)
                return {"now": google.clock.now().isoformat()}
            case "GET", "requests":
                return _requests(google)
    except (TypeError, ValueError) as error:
        raise invalid(f"{verb} {path}: {error}") from error
    raise GoogleError(404, f"unknown path {verb} {path}; GET {ROOT} lists addresses and credentials")


def described(google: Emulator) -> Json:
    """Addresses and credentials that a client needs to connect."""
    made: Json = {
        "url": google.url,
        "auth_uri": google.auth_uri,
        "token_uri": google.token_uri,
        "validated": google.validated,
    }
    made["authorized_user"] = google.authorized_user()
    try:
        made["service_account"] = google.service_account()
    except ImportError:
        made["service_account"] = None
    return made


def _document(google: Emulator, number: str) -> Json:
    if number not in google.document_ids:
        raise GoogleError(404)
    seen = google.document(number)
    tabs = [
        {
            name: getattr(tab, name)
            for name in ("id", "title", "rows", "columns", "values", "shown", "entered", "resource")
        }
        for tab in seen.tabs
    ]
    return {
        "id": seen.id,
        "title": seen.title,
        "locale": seen.locale,
        "timeZone": seen.time_zone,
        "version": seen.version,
        "tabs": tabs,
        "metadata": seen.metadata,
        "namedRanges": seen.named_ranges,
    }


def _person(google: Emulator, number: str, given: Json) -> Any:
    name = given.pop("do", "")
    person = google.person(number, given.pop("account", ""))
    known = [word for word in dir(type(person)) if not word.startswith("_")]
    if name not in known:
        raise invalid(f"a person cannot {name!r}; there are: {', '.join(known)}")
    act: Callable[..., Any] = getattr(person, name)
    return act(**given)


def _requests(google: Emulator) -> Json:
    listed = [
        {name: getattr(seen, name) for name in ("verb", "path", "method", "at", "status", "fault")}
        | {"body": seen.body.decode("utf-8", "replace")}
        for seen in google.requests
    ]
    return {"requests": listed, "calls": google.calls(), "minutes": google.clock.minutes}
