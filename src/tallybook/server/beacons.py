"""Requests that a page sends when its user leaves it. `navigator.sendBeacon` sets no headers, so key and signature are
in the body.

`{"key": …, "identity": …, "events": […]}`, as text/plain, so that the browser makes no preflight request. The log
contains only the events, without the key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tallybook.core import IDENTITY_HEADER, RequestError, json_decoder
from tallybook.ingest import OWN_PROTOCOL
from tallybook.server.answers import HttpAnswer, Refusal, only
from tallybook.server.bodies import body_of
from tallybook.server.gate import Gate
from tallybook.server.identities import BROWSER
from tallybook.server.origins import check_origin
from tallybook.server.requests import Request

if TYPE_CHECKING:
    from tallybook.server.app import EventsApp

BEACON_PATH = "/v1/beacon"
MAX_BEACON_BYTES = 70_000
"""Size limit of a beacon. Browsers send at most 64 kB."""


class _Beacon(msgspec.Struct):
    key: str
    events: msgspec.Raw
    identity: str = ""


class BeaconDoor:
    """Stores events like `POST /v1/events`. Accepts only browser keys."""

    def __init__(self, app: EventsApp) -> None:
        self.app = app

    def takes(self, request: Request) -> bool:
        return request.path == BEACON_PATH and self.app.commit is not None

    async def answer(self, request: Request, gate: Gate) -> HttpAnswer:
        if (refused := only(request.method, "POST")) is not None:
            return refused
        app = self.app
        with app.room.share() as share:
            raw = await body_of(request.headers, request.receive, share, MAX_BEACON_BYTES)
            beacon = _read(raw)
            if beacon.identity:
                request.headers = {**request.headers, IDENTITY_HEADER: beacon.identity}
            key = await gate.key_of(request, BROWSER, text=beacon.key)
            check_origin(key, request, request.policy)
            app.rates.check(key)
            if (problem := app.problem()) is not None:
                raise Refusal(problem)
            events: Any = bytes(beacon.events)
            row = app.row(request, key, events, protocol=OWN_PROTOCOL, path="/v1/events", encoding="")
            return await app.keep(request, key, row, len(raw))


def _read(raw: bytes) -> _Beacon:
    try:
        return json_decoder(_Beacon).decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        message = f"the body is not a beacon: {error}"
        expected = '{"key": "tb_b_…", "events": […]}'
        raise Refusal(RequestError(status=400, code="bad_json", message=message, expected=expected)) from None
