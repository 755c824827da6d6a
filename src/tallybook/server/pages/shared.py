"""The page of a shared link: one board or view, read-only, within its filters. The query string changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tallybook.core import CHART_FORMS, EVENT_MEASURES, QueryError, RequestError
from tallybook.query import Question
from tallybook.server.access import page_headers
from tallybook.server.answers import HttpAnswer, Refusal, only
from tallybook.server.books import SharedBook
from tallybook.server.gate import Gate
from tallybook.server.pages.board_card import BoardCard, CardWork, card_of, own_headline, series_title
from tallybook.server.pages.board_views import board_cards
from tallybook.server.pages.boards import controls_of, known_board
from tallybook.server.pages.builder_form import EVENT, LINE, AskedSeries, BuilderForm, heading
from tallybook.server.pages.door import HTML, PageCache, page_tag, plain_request
from tallybook.server.pages.frame import frame_of
from tallybook.server.pages.page import Page, PageRequest, PageWork
from tallybook.server.pages.problem_pages import problem_page
from tallybook.server.pages.shared_series import form_of_link, several_cards
from tallybook.server.pages.shows import shown_period
from tallybook.server.pages.templates import check_templates, render
from tallybook.server.problems import fault
from tallybook.server.queries import is_known
from tallybook.server.requests import Request
from tallybook.server.shares import SHARED, SharedLink, share_of

if TYPE_CHECKING:
    from tallybook.book import Book

A_LINK = "a shared link"
"""Shown on error pages instead of the path, because the path is a secret."""
DEFAULT_EVERY = 300


@dataclass(frozen=True, kw_only=True)
class SharedPageDoor:
    """`GET /s/{signed}`. The link is enough; no key is needed. Only the origins in `[serve] frames` may show the page
    in an <iframe>."""

    book: SharedBook
    clock: Callable[[], datetime]
    on_error: Callable[[Exception], None] = lambda error: None
    cache: PageCache = field(default_factory=PageCache)

    def takes(self, request: Request) -> bool:
        return request.path.startswith(SHARED)

    async def answer(self, request: Request, gate: Gate) -> HttpAnswer:
        if (refused := only(request.method, "GET", "HEAD")) is not None:
            return refused
        check_templates()
        headers = HTML | page_headers(request.policy.frames) | {"referrer-policy": "no-referrer"}
        ask = plain_request(request)
        try:
            link = await share_of(request, gate)
            known = request.headers.get("if-none-match", "")
            return await self.book.read(lambda book: self._made(book, ask, link, known, headers))
        except Refusal as refusal:
            return self._refused(ask, refusal, headers)
        except Exception as error:  # noqa: BLE001  # the reader gets a reference, the log the error
            return self._refused(ask, fault(error, self.on_error), headers)

    def _made(self, book: Book, ask: PageRequest, link: SharedLink, known: str, headers: dict[str, str]) -> HttpAnswer:
        """The page, or a 304 if its ETag is in `known`. The link itself was just checked, even if the page is
        cached."""
        now, state = self.clock(), self.book.state(book)
        reader = shared_reader(book, link)
        tag = page_tag(state, ask, reader, now, [])
        if is_known(tag, known):
            return HttpAnswer(304, headers=headers | {"etag": tag})
        made = self.cache.get(tag)
        if made is None:
            made = shared_page(PageWork(book=book, ask=ask, now=now, reader=reader), link)
            if self.book.state(book) != state:
                # Another commit happened while the page was rendered.
                return HttpAnswer(made.status, headers=headers, text=made.html)
            self.cache.keep(tag, made)
        return HttpAnswer(made.status, headers=headers | {"etag": tag}, text=made.html)

    def _refused(self, ask: PageRequest, refusal: Refusal, headers: dict[str, str]) -> HttpAnswer:
        html = problem_page(replace(ask, path=A_LINK), refusal.error, now=self.clock(), is_shared=True)
        headers = headers | {"cache-control": "no-store"} | refusal.when_to_retry
        answer = HttpAnswer(refusal.error.status, headers=headers, text=html)
        answer.closes = refusal.closes
        return answer


def shared_reader(book: Book, link: SharedLink) -> Any:
    """The reader who opens the link. Raises Refusal if its board is no longer declared."""
    try:
        return link.reader(book.project.catalog)
    except QueryError:
        whom = link.contact or book.project.catalog.serve.contact or "whoever sent it to you"
        message = "what this link showed does not exist any more"
        error = RequestError(status=410, code="gone", message=message, more={"ask": whom})
        raise Refusal(error) from None


def shared_page(work: PageWork, link: SharedLink) -> Page:
    """The board or view of a link as a page without navigation."""
    board = known_board(work, link.board) if link.board else None
    controls = controls_of(work, board) if board else None
    question = link.asked[0] if link.asked else None
    html = render(
        "shared.html",
        frame=frame_of(work),
        theme=work.ask.theme,
        title=(board.title or board.name) if board else view_title(work, link),
        cards=board_cards(work, board, controls, link.reader_of) if board and controls else _view_cards(work, link),
        last=controls.last if controls else question.last if question else "",
        period=shown_period(work, controls.scope) if controls else None,
        scope=controls.scope if controls else "",
        filters=link.where,
        until=f"{link.until:%Y-%m-%d}",
        every=max(10, int(board.every)) if board else DEFAULT_EVERY,
    )
    return Page(html=html)


# -- a view ----------------------------------------------------------------------------------------


def view_title(work: PageWork, link: SharedLink) -> str:
    """The query of a view in words: `Recurring revenue by month and plan`."""
    if link.is_several:
        form = form_of_link(link)
        return heading([series_title(work, one) for one in form.series], form, "")
    titles = list(dict.fromkeys(title for title, _, _ in _asked_once(work, link)))
    question = link.asked[0]
    over = [] if question.scope == "all" else [question.scope]
    split = " and ".join([*over, *question.by])
    return f"{' and '.join(titles)}{f' by {split}' if split else ''}"


def _view_cards(work: PageWork, link: SharedLink) -> list[BoardCard]:
    return several_cards(work, link) if link.is_several else view_cards(work, link)


def view_cards(work: PageWork, link: SharedLink) -> list[BoardCard]:
    """A card for each metric, or for each measure of an event. Its headline is a number from its own answer, never from
    other days."""
    chart = str((link.view or {}).get("chart", LINE))
    form = chart if chart in CHART_FORMS else LINE
    cards, found = CardWork(work=work), []
    for title, series, question in _asked_once(work, link):
        asked = BuilderForm(
            series=(series,),
            by=tuple(question.by),
            segments=tuple(question.segments),
            scope=question.scope,
            compare=question.compare or "",
            chart=form,
        )
        found.append(card_of(cards, asked, question, title, headline=own_headline))
    return found


def _asked_once(work: PageWork, link: SharedLink) -> Iterator[tuple[str, AskedSeries, Question]]:
    """(title, series, query) for each number in a view."""
    question = link.asked[0]
    where, show = tuple(question.where), question.show or ""
    if question.event is None:
        for name in dict.fromkeys(part.strip() for one in question.metrics for part in one.split(",")):
            series = AskedSeries(letter="A", metric=name, where=where, show=show)
            yield series_title(work, series), series, replace(question, metrics=(name,))
        return
    nothing: dict[str, Any] = {one: False if one == "count" else () for one in EVENT_MEASURES}
    for measure in EVENT_MEASURES:
        given = getattr(question, measure)
        for of in ("",) if given is True else given or ():
            alone = nothing | {measure: True if measure == "count" else (of,)}
            series = AskedSeries(letter="A", metric=EVENT + question.event, where=where, measure=measure, of=of)
            yield series_title(work, series), series, replace(question, **alone)
