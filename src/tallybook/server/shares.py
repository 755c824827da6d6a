"""Links that show one board or one view to people without a key: signed, read-only, with filters that the signer fixed.

A link is `/s/v1.<payload>.<signature>` (see `signed_text`), signed with the text of a key with the scope `share`. The
payload is JSON: `id`, `until` (seconds since 1970), `board` (a name) or `view` (options of a query, and `chart`),
`where` (filters), and `by` (the person to contact). A view of several series has `series` (a list of options) instead
of the options of one query, and `formula`. Other programs may sign links too. Their links are listed once they are
opened."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from tallybook.core import Catalog, QueryError, RequestError, TallybookError, did_you_mean
from tallybook.ingest import KeysUnknown
from tallybook.query import Question, parse_filter, read_question, view_questions
from tallybook.server.answers import HttpAnswer, Refusal, ledger_error, only
from tallybook.server.books import SharedBook
from tallybook.server.gate import Gate
from tallybook.server.problems import as_refusal
from tallybook.server.queries import READ_HEADERS
from tallybook.server.readers import AnswerReader
from tallybook.server.requests import Request
from tallybook.server.signed_text import is_signed, read_unsigned, sign_text
from tallybook.storage import ApiKey, ShareLedger, ShareRecord, stamp_of

if TYPE_CHECKING:
    from tallybook.book import Book
    from tallybook.core import Board

SHARED = "/s/"
SHARED_DATA = "/v1/shared/"
ELSEWHERE = "elsewhere"
MAX_SERIES = 4
_SERIES_KEYS = frozenset(("series", "formula", "chart"))
NOTHING = ""
"""A name that no metric has."""
_KEYS = frozenset(("id", "until", "board", "view", "where", "by"))


@dataclass(frozen=True, kw_only=True)
class SharedLink:
    """The contents of a link. Exactly one of `board` and `view` is set. `contact`: the person to ask about it."""

    id: str
    until: datetime
    board: str | None = None
    view: Mapping[str, Any] | None = None
    """The options of a query, and `chart`."""
    where: tuple[str, ...] = ()
    contact: str = ""

    @property
    def asked(self) -> list[Question]:
        """The queries of a view, one per series. Empty for a board. Raises QueryError for options that do not exist."""
        if self.view is None:
            return []
        series = self.view.get("series")
        if series is None:
            return [read_question(self.view, also=("chart",))]
        is_list = isinstance(series, list) and 0 < len(series) <= MAX_SERIES
        if not is_list or not all(isinstance(one, dict) for one in series) or {*self.view} - _SERIES_KEYS:
            raise QueryError(f"series are a list of 1 to {MAX_SERIES} questions", field="series")
        return [read_question(one) for one in series]

    @property
    def is_several(self) -> bool:
        """Whether the link shows several series, or a formula of them."""
        return self.view is not None and "series" in self.view

    def reader(self, catalog: Catalog) -> AnswerReader:
        """The reader who opens the link. This reader sees only the metrics of the board or view, within its filters."""
        asked = self.questions(catalog)
        return self.reader_of(*asked)

    def reader_of(self, *asked: Question) -> AnswerReader:
        """The reader for these queries, within the filters of the link. If some queries are about events and others are
        not, events are left out, because each query then has a reader of its own."""
        metrics = dict.fromkeys(part.strip() for one in asked for name in one.metrics for part in name.split(","))
        events = dict.fromkeys(one.event for one in asked if one.event)
        # An empty bound would allow everything.
        return AnswerReader(
            name=f"share {self.id}",
            metrics=tuple(metrics) or (() if events else (NOTHING,)),
            events=tuple(events) if not metrics else (),
            where=self.where,
        )

    def questions(self, catalog: Catalog) -> list[Question]:
        """The queries of the board or view, without the filters of the link. Raises QueryError if the board is no
        longer declared."""
        if self.board is None:
            return self.asked
        board = self._board(catalog)
        return [one for view in board.views for one in view_questions(board, view)]

    def _board(self, catalog: Catalog) -> Board:
        found = catalog.boards.get(self.board or "")
        if found is None:
            raise QueryError(f"there is no board {self.board!r} any more", field="board")
        return found

    @property
    def payload(self) -> dict[str, Any]:
        """The payload to sign."""
        found = {
            "id": self.id,
            "until": int(self.until.timestamp()),
            "board": self.board,
            "view": None if self.view is None else dict(self.view),
            "where": list(self.where),
            "by": self.contact,
        }
        return {name: value for name, value in found.items() if value}


@dataclass(frozen=True, kw_only=True)
class ShareTerms:
    """The contents of a new link, and its expiry."""

    until: datetime
    board: str | None = None
    view: Mapping[str, Any] | None = None
    where: Sequence[str] = field(default=())
    contact: str = ""


def create_share(
    shares: ShareLedger, keys: Sequence[ApiKey], terms: ShareTerms, catalog: Catalog, *, maker: str, now: datetime
) -> tuple[SharedLink, str]:
    """Create a link and record it in the ledger. Returns the link and its path.

    Raises QueryError if there is no share key, or if something it names does not exist."""
    signing = [key for key in keys if key.is_valid(now) and "share" in key.scopes and key.secret]
    if not signing:
        raise QueryError("there is no key that signs links", hint="tallybook keys create share --scope share")
    if terms.board is not None and terms.board not in catalog.boards:
        hint = f"{did_you_mean(terms.board, catalog.boards)} boards: {', '.join(catalog.boards) or 'none'}"
        raise QueryError(f"there is no board {terms.board!r}", hint=hint.strip(), field="board")
    if terms.until <= now:
        raise QueryError(f"the link would end at {stamp_of(terms.until)[:19]}Z, which is past", hint="--until 30d")
    for text in terms.where:
        parse_filter(text)
    link = SharedLink(
        id=secrets.token_hex(8),  # must not look like an option of a command
        until=terms.until,
        board=terms.board,
        view=terms.view,
        where=tuple(terms.where),
        contact=terms.contact,
    )
    link.reader(catalog)  # Options of a view that do not exist are reported now.
    shares.add(record_of(link, maker=maker, now=now))
    return link, SHARED + sign_text(link.payload, signing[0].secret or "")


def record_of(link: SharedLink, *, maker: str, now: datetime) -> ShareRecord:
    return ShareRecord(id=link.id, payload=link.payload, created=stamp_of(now), maker=maker, until=stamp_of(link.until))


async def share_of(request: Request, gate: Gate, path: str | None = None) -> SharedLink:
    """The contents of the link in a request.

    Raises Refusal: 403 for a link that is forged or changed, 410 with the person to contact for a link that has expired
    or was revoked."""
    request.shown_path = f"{SHARED}…"
    text = (path or request.path).removeprefix(SHARED)
    try:
        keys = (await gate.fresh_keys()).valid_keys("share")
    except KeysUnknown:
        raise Refusal(ledger_error(), closes=True) from None
    payload = read_unsigned(text)
    if payload is None or not is_signed(text, [key.secret for key in keys if key.secret]):
        message = "this link is not signed by us: it is incomplete or was changed"
        raise Refusal(RequestError(status=403, code="bad_signature", message=message, expected="the whole link"))
    link = _link(payload)
    request.reader = f"share {link.id}"
    gate.reads.take(request.reader, request.policy.reads)
    now = gate.clock()
    try:
        revoked = await asyncio.to_thread(_is_revoked, ShareLedger(gate.keys.events.ledger), link, now)
    except TallybookError:
        raise Refusal(ledger_error()) from None
    if revoked or link.until <= now:
        raise _gone(link, request.policy.contact, revoked=revoked)
    return link


def _is_revoked(shares: ShareLedger, link: SharedLink, now: datetime) -> bool:
    """Whether a link was revoked. A link signed by another program is recorded, so that it is listed."""
    known = shares.get(link.id)
    if known is None:
        shares.add(record_of(link, maker=ELSEWHERE, now=now))
    if (known is None or known.seen is None) and link.until > now:
        shares.note_seen(link.id, now=now)
    return known is not None and known.revoked is not None


def _link(payload: Mapping[str, Any]) -> SharedLink:
    """The link in a payload. Raises Refusal for a payload that is not a link."""
    board, view, where = payload.get("board"), payload.get("view"), payload.get("where", [])
    share_id, until, contact = payload.get("id"), payload.get("until"), payload.get("by", "")
    is_one = isinstance(board, str) != isinstance(view, dict) and not {*payload} - _KEYS
    is_filtered = isinstance(where, list) and all(isinstance(one, str) for one in where)
    is_named = isinstance(share_id, str) and 0 < len(share_id) <= 100 and isinstance(contact, str)
    if not (is_one and is_filtered and is_named and isinstance(until, int) and not isinstance(until, bool)):
        raise _unreadable()
    try:
        end = datetime.fromtimestamp(until, UTC)
        for text in where:
            parse_filter(text)
        found = SharedLink(
            id=str(share_id), until=end, board=board, view=view, where=tuple(where), contact=contact[:200]
        )
        _ = found.asked
    except (OverflowError, ValueError, OSError, QueryError):
        raise _unreadable() from None
    return found


def _unreadable() -> Refusal:
    message = "this link is signed, and says nothing that can be shown"
    expected = '{"id": "…", "until": 1767225600, "board": "…"}, or "view" instead of "board"'
    return Refusal(RequestError(status=403, code="bad_link", message=message, expected=expected))


def _gone(link: SharedLink, contact: str, *, revoked: bool) -> Refusal:
    message = "this link was revoked" if revoked else f"this link was valid until {link.until:%Y-%m-%d %H:%M} UTC"
    whom = link.contact or contact or "whoever sent it to you"
    return Refusal(
        RequestError(status=410, code="gone", message=message, more={"ask": whom, "hint": f"for a new one ask {whom}"})
    )


@dataclass(frozen=True, kw_only=True)
class SharedDataDoor:
    """`GET /v1/shared/{signed}`: the answers of a shared board or view, for programs that draw them."""

    book: SharedBook
    on_error: Callable[[Exception], None] = lambda error: None

    def takes(self, request: Request) -> bool:
        return request.path.startswith(SHARED_DATA)

    async def answer(self, request: Request, gate: Gate) -> HttpAnswer:
        if (refused := only(request.method, "GET", "HEAD")) is not None:
            return refused
        link = await share_of(request, gate, request.path.removeprefix(SHARED_DATA))
        try:
            return await self.book.read(lambda book: self._answered(book, link))
        except Exception as error:  # noqa: BLE001  # whatever it is, the reader gets a problem, and the log the error
            raise as_refusal(error, self.on_error) from None

    def _answered(self, book: Book, link: SharedLink) -> HttpAnswer:
        catalog = book.project.catalog
        asked = [(one, link.reader_of(one)) for one in link.questions(catalog)]
        answers = [reader.seen(book.ask(reader.bounded(catalog, one))) for one, reader in asked]
        formula = {"formula": link.view["formula"]} if link.view is not None and "formula" in link.view else {}
        shown = formula | {"board": link.board, "until": f"{link.until:%Y-%m-%dT%H:%M:%SZ}", "answers": answers}
        plain = {**shown, "answers": [msgspec.Raw(one.to_json().encode()) for one in answers]}
        return HttpAnswer(
            200, text=msgspec.json.encode(plain), headers=READ_HEADERS | {"referrer-policy": "no-referrer"}
        )
