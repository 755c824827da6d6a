"""`/v1/hooks`: lets programs such as Zapier, Make and n8n subscribe to a delivery, unsubscribe, and get samples."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec

from tallybook.core import RequestError
from tallybook.server.access import reader_of
from tallybook.server.answers import HttpAnswer, Refusal, only
from tallybook.server.bodies import BodyRoom, body_of
from tallybook.server.books import SharedBook
from tallybook.server.gate import Gate
from tallybook.server.problems import as_refusal
from tallybook.server.readers import AnswerReader
from tallybook.server.requests import Request

if TYPE_CHECKING:
    from tallybook.book import Book

HOOKS_PATH = "/v1/hooks"
MAX_BODY = 10_000
EXPECTED = '{"delivery": "zapier", "target": "https://hooks.example.org/…"}'


@dataclass(frozen=True, kw_only=True)
class HookDoor:
    """Answers `POST /v1/hooks`, `GET /v1/hooks`, `DELETE /v1/hooks/{id}` and `GET /v1/hooks/{delivery}/sample`."""

    book: SharedBook
    clock: Callable[[], datetime]
    on_error: Callable[[Exception], None] = lambda error: None
    room: BodyRoom = field(default_factory=BodyRoom)

    def takes(self, request: Request) -> bool:
        return request.path == HOOKS_PATH or request.path.startswith(f"{HOOKS_PATH}/")

    async def answer(self, request: Request, gate: Gate) -> HttpAnswer:
        reader = await reader_of(request, gate)
        _check_reader(reader)
        parts = [unquote(part) for part in request.path.removeprefix(HOOKS_PATH).strip("/").split("/") if part]
        try:
            return await self._answered(request, reader, parts)
        except (asyncio.CancelledError, Refusal):
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, the caller gets a problem, and the log the error
            raise as_refusal(error, self.on_error) from None

    async def _answered(self, request: Request, reader: AnswerReader, parts: list[str]) -> HttpAnswer:
        allowed = {0: ("GET", "HEAD", "POST"), 1: ("DELETE",), 2: ("GET", "HEAD")}
        if len(parts) > 2 or (len(parts) == 2 and parts[1] != "sample"):
            raise _not_found()
        if refused := only(request.method, *allowed[len(parts)]):
            return refused
        if len(parts) == 2:
            return HttpAnswer(200, {"sample": await self.book.read(lambda book: book.hook_sample(parts[0]))})
        if parts:
            return await self.book.read(lambda book: self._ended(book, parts[0], reader))
        if request.method == "POST":
            sent = await self._body(request)
            return await self.book.read(lambda book: self._subscribed(book, sent, reader))
        return await self.book.read(lambda book: self._listed(book, reader))

    async def _body(self, request: Request) -> dict[str, Any]:
        with self.room.share() as share:
            sent = await body_of(request.headers, request.receive, share, MAX_BODY)
        try:
            found = msgspec.json.decode(sent)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found = None
        if not isinstance(found, dict) or not all(isinstance(found.get(name), str) for name in ("delivery", "target")):
            message = "the body does not name a delivery and a target"
            raise Refusal(RequestError(status=400, code="bad_json", message=message, expected=EXPECTED))
        return found

    # -- in a thread

    def _subscribed(self, book: Book, sent: dict[str, Any], reader: AnswerReader) -> HttpAnswer:
        made = book.subscribe(secrets.token_hex(8), sent["delivery"], sent["target"], reader.name)
        return HttpAnswer(201, {"id": made.id, "delivery": made.delivery, "created": made.created})

    def _listed(self, book: Book, reader: AnswerReader) -> HttpAnswer:
        mine = [one for one in book.subscriptions() if reader.key is None or one.key == reader.name]
        hooks = [{"id": one.id, "delivery": one.delivery, "created": one.created} for one in mine]
        return HttpAnswer(200, {"hooks": hooks})

    def _ended(self, book: Book, id_: str, reader: AnswerReader) -> HttpAnswer:
        mine = {one.id for one in book.subscriptions() if reader.key is None or one.key == reader.name}
        if id_ not in mine or not book.unsubscribe(id_):
            raise _not_found()
        return HttpAnswer(204)


def _check_reader(reader: AnswerReader) -> None:
    """Raise Refusal for a reader who does not see everything, and for a browser, because another site could use it to
    subscribe."""
    if reader.is_bound or reader.is_ambient:
        message = "subscribing needs a read key that is not bound to some metrics, events or accounts"
        raise Refusal(RequestError(status=403, code="not_bound", message=message))


def _not_found() -> Refusal:
    message = "there is no such subscription of yours"
    return Refusal(RequestError(status=404, code="not_found", message=message, expected="an id of GET /v1/hooks"))
