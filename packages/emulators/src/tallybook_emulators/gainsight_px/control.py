"""The emulator's own paths, below /emulator: for tests in other languages and other processes.

GET    /emulator             the address and a key with every permission
GET    /emulator/content     everything that is stored, and which custom attributes were dropped
POST   /emulator/attributes  {"model": "account", "api_name": "mrr__c", "type": "NUMBER"}: also name, state
POST   /emulator/faults      {"answer": 503, "after": true, "path": "/events"}: the fields of `PxFault`
DELETE /emulator/faults      removes all faults
POST   /emulator/clock       {"seconds": 60}: also minutes, hours, days
GET    /emulator/requests    requests so far, and how many came in the busiest second"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tallybook_emulators.gainsight_px.api import CONTROL
from tallybook_emulators.gainsight_px.errors import PxError

if TYPE_CHECKING:
    from tallybook_emulators.gainsight_px.emulator import PxEmulator

Json = dict[str, Any]


def handle(px: PxEmulator, verb: str, target: str, body: bytes) -> Json:
    """Answer a request to one of the emulator's own paths. Raises PxError for an invalid request."""
    name = target.partition("?")[0].removeprefix(CONTROL).strip("/")
    try:
        given = json.loads(body) if body.strip() else {}
        match verb, name:
            case "GET", "":
                return {"url": px.url, "api": px.api, "key": px.key}
            case "GET", "content":
                return {"users": px.users, "accounts": px.accounts, "events": px.events, "dropped": px.dropped}
            case "POST", "attributes":
                px.attribute(given.pop("model"), given.pop("api_name"), given.pop("type", "NUMBER"), **given)
                return {}
            case "POST", "faults":
                px.fault(**given)
                return {}
            case "DELETE", "faults":
                px.faults.clear()
                return {}
            case "POST", "clock":
                px.clock.advance(**given)
                return {"now": px.clock.now().isoformat()}
            case "GET", "requests":
                return _requests(px)
    except (TypeError, ValueError, KeyError) as error:
        raise PxError(400, f"{verb} {target}: {error!r}") from error
    raise PxError(404, f"unknown path {verb} {target}; GET {CONTROL} lists the address and the key")


def _requests(px: PxEmulator) -> Json:
    listed = [
        {"verb": seen.verb, "path": seen.path, "at": seen.at, "status": seen.status, "fault": seen.fault}
        | {"body": seen.body.decode("utf-8", "replace")}
        for seen in px.requests
    ]
    return {"requests": listed, "busiest_second": px.busiest_second()}
