"""Answers requests of other services' clients. Their events are stored like our own, and the answers have the form that
these clients expect."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import msgspec

from tallybook.core import EventRequest, ProtocolAnswer, ProtocolKind, RequestError
from tallybook.ingest import key_text, unpack, without_text
from tallybook.server.answers import HttpAnswer, Refusal
from tallybook.server.bodies import body_of
from tallybook.server.protocol_routes import ProtocolRoute, method_of, owner_of
from tallybook.server.requests import Request

if TYPE_CHECKING:
    from tallybook.server.app import EventsApp

GZIP = b"\x1f\x8b"
KEY_PARAMETERS = ("api_key", "token", "key", "writeKey")


@dataclass
class _Story:
    """What is known so far of a request being answered. It decides how the request is refused."""

    kind: ProtocolKind
    sent: EventRequest


class ProtocolDoor:
    """Answers the paths of `ProtocolRoutes`. Keys, limits and the log are those of the door for our own events."""

    def __init__(self, app: EventsApp) -> None:
        self.app = app

    async def answer(self, request: Request, route: ProtocolRoute) -> HttpAnswer:
        """The answer in the format of the protocol, including errors."""
        sent = EventRequest(
            body=b"",
            path=route.path,
            received=self.app.clock(),
            rules=self.app.rules,
            headers=request.headers,
            query=request.query,
        )
        story = _Story(route.owner, sent)
        try:
            return await self._answer(request, route, story)
        except Refusal as refusal:
            return self._refused(story, refusal)

    async def _answer(self, request: Request, route: ProtocolRoute, story: _Story) -> HttpAnswer:
        if not route.kinds:
            message = f"there is nothing at this path of {route.owner.title}"
            expected = ", ".join(path for path in route.owner.paths)[:200]
            error = RequestError(
                status=404, code="not_found", message=message, seen=request.path[:200], expected=expected
            )
            raise Refusal(error, closes=True)
        methods = tuple(dict.fromkeys(method for kind in route.kinds for method in kind.methods))
        if request.method not in methods:
            raise _wrong_method(request, methods)
        return await self._store(request, route, story)

    async def _store(self, request: Request, route: ProtocolRoute, story: _Story) -> HttpAnswer:
        app = self.app
        text = _key_of_head(request, route)
        # A key in the headers is checked before the body is read.
        key = await app.gate.key_of(request, "write", text=text) if text is not None else None
        if key is not None:
            app.rates.check(key)
        if (problem := app.problem()) is not None:
            raise Refusal(problem, closes=True)
        with app.room.share() as share:
            raw = await body_of(request.headers, request.receive, share, app.rules.limits.max_body)
            encoding = request.headers.get("content-encoding", "")
            if request.method == "GET":
                raw, encoding = request.query.encode(), ""
            elif not encoding and raw.startswith(GZIP):
                encoding = "gzip"
            unpacked = await asyncio.to_thread(unpack, raw, encoding, app.rules.limits) if encoding else raw
            if isinstance(unpacked, RequestError):
                raise Refusal(unpacked)
            story.sent = replace(story.sent, body=unpacked)
            story.kind = owner_of(route, story.sent)
            plain: bytes = method_of(story.kind, "plain")(story.sent)
            if key is None:
                # The key is in the messages, or in a field of the form around them.
                text = method_of(story.kind, "key_of")(replace(story.sent, body=plain))
                text = text or method_of(story.kind, "key_of")(story.sent)
                key = await app.gate.key_of(request, "write", text=text or "")
                app.rates.check(key)
            logged = without_text(plain, text or "")
            is_as_sent = logged == unpacked
            noted = {name: value for name, value in request.headers.items() if story.kind.decides(name)}
            row = app.row(
                request,
                key,
                raw if is_as_sent else logged,
                protocol=story.kind.name,
                path=route.path,
                encoding=encoding if is_as_sent else "",
                noted={"http": noted} if noted else {},
            )
            verdicts = await app.keep(request, key, row, len(raw))
            found = method_of(story.kind, "answered")(story.sent, verdicts.body)
            return _http(found)

    def _refused(self, story: _Story, refusal: Refusal) -> HttpAnswer:
        """The refusal in the format of the protocol, with the headers that every refusal has."""
        usual = refusal.answer()
        found = _http(method_of(story.kind, "refused")(story.sent, refusal.error))
        for name in ("retry-after", "www-authenticate"):
            if name in usual.headers:
                found.headers.setdefault(name, usual.headers[name])
        if refusal.error.status == 405:
            found.headers["allow"] = refusal.error.expected
        found.closes = usual.closes
        return found


def _wrong_method(request: Request, methods: tuple[str, ...]) -> Refusal:
    listed = ", ".join(methods)
    error = RequestError(
        status=405, code="bad_method", message=f"this path takes {listed}", seen=request.method[:20], expected=listed
    )
    return Refusal(error, closes=True)


def _http(found: ProtocolAnswer) -> HttpAnswer:
    headers = dict(found.headers)
    if found.text is not None:
        headers.setdefault("content-type", "text/plain; charset=utf-8")
        return HttpAnswer(found.status, headers=headers, text=found.text)
    if found.body is None:
        return HttpAnswer(found.status, headers=headers)
    headers.setdefault("content-type", "application/json")
    return HttpAnswer(found.status, headers=headers, text=msgspec.json.encode(found.body))


def _key_of_head(request: Request, route: ProtocolRoute) -> str | None:
    """The key in a header or in the query string. None if it can only be in the body."""
    if (text := key_text(request.headers)) is not None:
        return text
    for kind in route.kinds:
        for name in kind.key_headers:
            if found := request.headers.get(name):
                return found.strip()
    if request.method == "GET":
        return None
    try:
        given = dict(parse_qsl(request.query, max_num_fields=50))
    except ValueError:
        return None
    return next((given[name] for name in KEY_PARAMETERS if given.get(name)), None)
