"""The pages over HTTP: access, caching, the security policy for browsers, and errors as pages.

Starlette is not needed. There are few paths, and `Request` and `HttpAnswer` already provide the gate, the rates and the
log."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote

from tallybook.core import RequestError
from tallybook.server.access import check_site, page_headers, reader_of
from tallybook.server.answers import HttpAnswer, Refusal, only
from tallybook.server.bodies import BodyRoom, body_of
from tallybook.server.books import BookState, SharedBook
from tallybook.server.gate import Gate
from tallybook.server.pages.facts import FactsCache, VersionFacts
from tallybook.server.pages.frame import FRESH_SECONDS
from tallybook.server.pages.page import MAX_FIELD_LENGTH, MAX_FIELDS, File, Page, PageRequest, PageWork
from tallybook.server.pages.problem_pages import problem_page, signin_page
from tallybook.server.pages.site import is_page, page_of
from tallybook.server.pages.templates import STATIC, check_templates, static_file, static_hash
from tallybook.server.problems import fault
from tallybook.server.queries import is_known
from tallybook.server.readers import AnswerReader, view_hash
from tallybook.server.requests import Request
from tallybook.server.sessions import safe_next

if TYPE_CHECKING:
    from tallybook.book import Book

HTML = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "private, no-cache",
    "vary": "accept, authorization, cookie",
}
HEADERS = page_headers() | HTML
FOREVER = "public, max-age=31536000, immutable"
THEME, THEME_SECONDS = "tallybook_theme", 31_536_000
MAX_FORM = 10_000
LOGIN = "/login"
FAILED = {
    "key": "This key is not valid: it is unknown, revoked, has expired, or may not read",
    "invite": "This invitation was used before, or has expired. Ask whoever sent it for a new one",
    "ledger": "The keys cannot be read now. Try again in a moment",
}
MAX_CACHED_BYTES = 24_000_000


class PageCache:
    """The most recently rendered pages, by ETag."""

    def __init__(self, max_bytes: int = MAX_CACHED_BYTES) -> None:
        self._pages: OrderedDict[str, Page] = OrderedDict()
        self._bytes, self._max = 0, max_bytes

    def get(self, tag: str) -> Page | None:
        return self._pages.get(tag)

    def keep(self, tag: str, page: Page) -> None:
        self._pages[tag] = page
        self._bytes += len(page.html)
        while self._bytes > self._max:
            _, oldest = self._pages.popitem(last=False)
            self._bytes -= len(oldest.html)


@dataclass
class LastRead:
    """The last time a page was read, on the monotonic clock."""

    at: float = -math.inf


@dataclass(frozen=True, kw_only=True)
class PagesDoor:
    """Answers the paths of pages and their static files."""

    book: SharedBook
    clock: Callable[[], datetime]
    on_error: Callable[[Exception], None] = lambda error: None
    cache: PageCache = field(default_factory=PageCache)
    facts: FactsCache = field(default_factory=FactsCache)
    last_read: LastRead = field(default_factory=LastRead)
    room: BodyRoom = field(default_factory=BodyRoom)

    def takes(self, request: Request) -> bool:
        return request.path.startswith("/_/") or request.path in ("/theme", LOGIN) or is_page(request.path)

    async def answer(self, request: Request, gate: Gate) -> HttpAnswer:
        if request.path.startswith("/_/"):
            return only(request.method, "GET", "HEAD") or _static(request)
        if request.path == "/theme":
            return only(request.method, "POST") or await self._choose_theme(request)
        if (refused := only(request.method, "GET", "HEAD")) is not None:
            return refused
        check_templates()
        if request.path == LOGIN:
            return self._login(request)
        try:
            reader = await reader_of(request, gate)
        except Refusal as refusal:
            return self._refused(request, refusal)
        self.last_read.at = time.monotonic()
        try:
            ask = page_request(request)
            known = request.headers.get("if-none-match", "")
            return await self.book.read(lambda book: self.made(book, ask, reader, known))
        except Refusal as refusal:
            return self._refused(request, refusal)
        except Exception as error:  # noqa: BLE001  # the reader gets a reference, the log the error
            return self._refused(request, fault(error, self.on_error))

    # -- in a thread

    def made(self, book: Book, ask: PageRequest, reader: AnswerReader, known: str = "") -> HttpAnswer:
        """The page for a reader, or a 304 if its ETag is in `known`."""
        now = self.clock()
        state = self.book.state(book)
        tag = page_tag(state, ask, reader, now, [*_last_run(book), *_evaluation(book, ask.path)])
        headers = HEADERS | {"etag": tag}
        if is_known(tag, known):
            return HttpAnswer(304, headers=headers)
        if (cached := self.cache.get(tag)) is not None:
            return HttpAnswer(cached.status, headers=dict(headers), text=cached.html)
        made = page_of(PageWork(book=book, ask=ask, now=now, reader=reader, facts=self.facts_of(book, state)))
        if isinstance(made, File):
            return _file(made)
        if made.status != 200 or self.book.state(book) != state:
            # Another commit happened while the page was rendered.
            return HttpAnswer(made.status, headers=HEADERS | dict(made.headers), text=made.html)
        self.cache.keep(tag, made)
        return HttpAnswer(made.status, headers=headers | dict(made.headers), text=made.html)

    def facts_of(self, book: Book, state: BookState) -> VersionFacts | None:
        """The facts shared by all pages of this state. None while days are hidden until a later time."""
        if not state.is_settled:
            return None
        commits = state.commits
        depends = (commits.version, commits.entities, commits.days, state.declarations, state.today, *_last_run(book))
        return self.facts.of(depends)

    def prepare(self) -> None:
        """Compute what the first page of a version needs."""
        from tallybook.server.pages.overview import prepare

        with self.book.using() as book:
            facts = self.facts_of(book, self.book.state(book))
            if facts is not None and book.reader.version:
                prepare(PageWork(book=book, ask=PageRequest(path="/"), now=self.clock(), facts=facts))

    # -- responses that are not pages

    def _login(self, request: Request) -> HttpAnswer:
        """The sign-in form. `failed` names what went wrong. `invite` is an invitation that can be used once."""
        fields = dict(parse_qsl(request.query, max_num_fields=20))
        wrong = FAILED.get(fields.get("failed", ""), "")
        onward, invite = safe_next(fields.get("next", "/")), fields.get("invite", "")[:MAX_FIELD_LENGTH]
        html = signin_page(plain_request(request), onward=onward, wrong=wrong, invite=invite)
        headers = HEADERS | {"cache-control": "no-store", "referrer-policy": "no-referrer"}
        return HttpAnswer(400 if wrong else 200, headers=headers, text=html)

    def _refused(self, request: Request, refusal: Refusal) -> HttpAnswer:
        """An error as a page. A request without a key gets the sign-in form."""
        error = refusal.error
        ask = plain_request(request)
        if error.status == 401:
            query = f"?{request.query}" if request.query else ""
            html = signin_page(ask, onward=safe_next(request.path + query))
        else:
            html = problem_page(ask, error, now=self.clock())
        headers = HEADERS | {"cache-control": "no-store"} | refusal.when_to_retry
        answer = HttpAnswer(error.status, headers=headers, text=html)
        answer.closes = refusal.closes
        return answer

    async def _choose_theme(self, request: Request) -> HttpAnswer:
        """Store the theme in a cookie and redirect back."""
        fields = dict(await form_of(request, self.room))
        theme = fields.get("theme", "")
        kept = theme if theme in ("light", "dark") else ""
        cookie = f"{THEME}={kept}; Path=/; SameSite=Lax; HttpOnly; Max-Age={THEME_SECONDS if kept else 0}"
        return HttpAnswer(303, headers={"location": safe_next(fields.get("back", "/")), "set-cookie": cookie})


# -- requests --------------------------------------------------------------------------------------


def page_request(request: Request) -> PageRequest:
    """The request in the form that pages use. Raises Refusal for fields that cannot be read."""
    try:
        fields = parse_qsl(request.query, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise _bad_request("the address cannot be read") from None
    if any(len(name) + len(value) > MAX_FIELD_LENGTH for name, value in fields):
        raise _bad_request(f"a field of the address is longer than {MAX_FIELD_LENGTH:,} characters")
    plain = plain_request(request)
    return PageRequest(path=plain.path, fields=fields, theme=plain.theme, origin=plain.origin)


def _bad_request(message: str) -> Refusal:
    return Refusal(RequestError(status=400, code="bad_question", message=message))


def plain_request(request: Request) -> PageRequest:
    """The request without its query string."""
    host = request.headers.get("host", "localhost")
    theme = cookie_of(request, THEME)
    return PageRequest(
        path=quote(request.path),
        theme=theme if theme in ("light", "dark") else "",
        origin=f"{request.client.scheme}://{host}",
    )


def cookie_of(request: Request, name: str) -> str:
    """The value of a cookie; empty if it is missing."""
    try:
        found = SimpleCookie(request.headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return found.value if found is not None else ""


async def form_of(request: Request, room: BodyRoom) -> list[tuple[str, str]]:
    """The fields of a form that one of our pages sent. Raises Refusal for a form from another site."""
    check_site(request)
    with room.share() as share:
        body = await body_of(request.headers, request.receive, share, MAX_FORM)
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=50)
    except ValueError:
        raise _bad_request("the form cannot be read") from None


def page_tag(state: BookState, ask: PageRequest, reader: AnswerReader, now: datetime, work: Sequence[object]) -> str:
    """The ETag of a page: a hash of everything that it depends on. `work`: the last run and the last evaluation of
    rules."""
    from tallybook import __version__

    depends = (
        *state.commits,
        state.declarations or id(state),
        str(state.today),
        int(now.timestamp() // FRESH_SECONDS),
        [str(one) for one in work],
        __version__,
        static_hash(),
        reader.view,
        reader.name,
        reader.is_ambient,
        (ask.path, list(ask.fields), ask.theme, ask.origin),
    )
    return f'"{view_hash(depends)}"'


def _last_run(book: Book) -> list[object]:
    runs = book.runs(1) if book.reader.has_book else []
    return [runs[0].run, runs[0].status] if runs else []


def _evaluation(book: Book, path: str) -> list[object]:
    """The number of the last evaluation of rules, for pages that show rules."""
    shows = path.startswith(("/accounts", "/users")) and bool(book.project.catalog.rules)
    return [book.rules.number] if shows else []


# -- files -----------------------------------------------------------------------------------------


def _static(request: Request) -> HttpAnswer:
    """A static file. Its URL contains a hash of its content, so the content never changes."""
    _, _, rest = request.path.partition("/_/")
    version, _, name = rest.partition("/")
    if name not in STATIC:
        raise Refusal(RequestError(status=404, code="not_found", message="there is nothing at this path"))
    cached = FOREVER if version == static_hash() else "no-cache"
    headers = {"content-type": STATIC[name], "cache-control": cached, "x-content-type-options": "nosniff"}
    return HttpAnswer(200, headers=headers, text=static_file(name))


def _file(made: File) -> HttpAnswer:
    how = "inline" if made.is_shown else "attachment"
    headers = {
        "content-type": made.media,
        "content-disposition": f'{how}; filename="{made.name}"',
        "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        "cache-control": "private, no-cache",
        "vary": "accept, authorization, cookie",
        "x-content-type-options": "nosniff",
    }
    return HttpAnswer(200, headers=headers, text=made.content)
