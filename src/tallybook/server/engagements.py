"""In-app messages over HTTP: `GET /v1/engagements` for the signed user, reactions to messages, and the script that
shows them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tallybook.act import Viewer
from tallybook.core import QueryError, RequestError
from tallybook.server.answers import HttpAnswer, Refusal, only
from tallybook.server.books import SharedBook
from tallybook.server.gate import Gate
from tallybook.server.identities import BROWSER, identity_of
from tallybook.server.origins import check_origin
from tallybook.server.requests import Request

if TYPE_CHECKING:
    from tallybook.book import Book

PATH, SCRIPT = "/v1/engagements", "/tallybook-messages.js"
MESSAGE_EVENT = "tallybook_message"
MAX_BODY_BYTES = 4096


@dataclass(frozen=True, kw_only=True)
class EngagementDoor:
    """Serves the messages of a book to the front end of its product."""

    book: SharedBook
    clock: Callable[[], datetime]

    def takes(self, request: Request) -> bool:
        return request.path in (PATH, SCRIPT)

    async def answer(self, request: Request, gate: Gate) -> HttpAnswer:
        if request.path == SCRIPT:
            return only(request.method, "GET", "HEAD") or script_answer()
        if (refused := only(request.method, "GET", "POST")) is not None:
            return refused
        key = await gate.key_of(request, BROWSER)
        check_origin(key, request, request.policy)
        viewer = self.viewer(request)
        if request.method == "GET":
            found = await self.book.read(lambda book: _messages(book, viewer))
            return _private(HttpAnswer(200, found))
        body = await _body(request)
        try:
            await self.book.read(lambda book: book.rules.engagements.react(viewer, body["id"], body["what"]))
        except QueryError as error:
            raise Refusal(
                RequestError(status=404, code="no_message", message=error.message, expected=error.hint)
            ) from None
        return _private(HttpAnswer(204))

    def viewer(self, request: Request) -> Viewer:
        """The user and account in the signed identity. Raises Refusal if the identity is missing or expired."""
        try:
            identity = identity_of(request, self.clock())
        except Refusal:
            identity = None
        if identity is None:
            expected = "X-Tallybook-Identity: what tallybook.sign(user, account, until, secret) returns"
            message = "messages need a signed identity that has not expired"
            raise Refusal(RequestError(status=401, code="identity", message=message, expected=expected), closes=True)
        return Viewer(user=identity.user, account=identity.account)


def _messages(book: Book, viewer: Viewer) -> dict[str, Any]:
    """The messages to show, and the event under which reactions are reported, if the project declares it."""
    found: dict[str, Any] = {"messages": book.rules.engagements.messages(viewer) if book.reader.has_book else []}
    if MESSAGE_EVENT in book.project.catalog.events.declared:
        found["event"] = MESSAGE_EVENT
    return found


def _private(answer: HttpAnswer) -> HttpAnswer:
    answer.headers["cache-control"] = "no-store"
    return answer


def script_answer() -> HttpAnswer:
    """The script for the product's pages."""
    headers = {
        "content-type": "text/javascript; charset=utf-8",
        "cache-control": "public, max-age=300",
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "cross-origin",
    }
    return HttpAnswer(200, headers=headers, text=_script())


@functools.cache
def _script() -> bytes:
    return (Path(__file__).parent / "static" / "tallybook-messages.js").read_bytes()


async def _body(request: Request) -> Mapping[str, Any]:
    """The body of a reaction, such as `{"id": …, "what": "shown"}`. Raises Refusal."""
    received, more = b"", True
    while more:
        event = await request.receive()
        if event["type"] != "http.request":
            break
        received += event.get("body", b"")
        more = event.get("more_body", False)
        if len(received) > MAX_BODY_BYTES:
            error = RequestError(status=413, code="too_large", message="a reaction is small", expected="4096 bytes")
            raise Refusal(error, closes=True)
    try:
        found = msgspec.json.decode(received, type=dict[str, str])
        return {"id": found["id"], "what": found["what"]}
    except (msgspec.MsgspecError, KeyError):
        expected = '{"id": "rule.1.message", "what": "shown"}'
        raise Refusal(
            RequestError(status=400, code="bad_json", message="the body cannot be read", expected=expected)
        ) from None
