"""Turns the views of a board into forms of the query builder, and into cards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tallybook.core import EVERY_SERIES, SERIES_LETTERS, Board, BoardSeries, BoardView, QueryError
from tallybook.query import ViewRange, view_range, with_board_filters
from tallybook.server.pages.board_card import (
    BoardCard,
    CardWork,
    ReaderOf,
    card_of,
    own_headline,
    problem_of,
    series_card,
    series_title,
)
from tallybook.server.pages.breakdown import filter_text
from tallybook.server.pages.builder_form import EVENT, AskedSeries, BuilderForm, filter_parts, several_title
from tallybook.server.pages.event_names import known_events
from tallybook.server.pages.page import PageWork
from tallybook.server.pages.words import title_of


@dataclass(frozen=True, kw_only=True)
class BoardControls:
    """The choices for all views: the fields of the form above the cards."""

    scope: str
    last: str
    dimension: str
    value: str
    dims: Sequence[str]

    @property
    def options(self) -> list[tuple[str, str]]:
        """The dimensions that all views have in common."""
        return [("", "–"), *((dim, dim) for dim in self.dims)]

    @property
    def where(self) -> tuple[str, ...]:
        return (filter_text(self.dimension, self.value),) if self.dimension and self.value else ()


def board_cards(
    work: PageWork, board: Board, controls: BoardControls, reader_of: ReaderOf | None = None
) -> list[BoardCard]:
    """A card for each metric of each view, and one for the series of a view."""
    cards = CardWork(work=work, reader_of=reader_of)
    found = []
    for view in board.views:
        if view.series and (reader_of or sees_view(work, view)):
            found.append(_series_card(cards, board, view, controls))
        found += [_card(cards, board, view, metric, controls) for metric in view.metrics if metric in work.metrics]
    return found


def sees_view(work: PageWork, view: BoardView) -> bool:
    """Whether the reader may see part of a view: one of its metrics, or all of its series."""
    if view.series:
        return all(
            one.metric in work.metrics if one.metric else work.reader.sees_event(one.event) for one in view.series
        )
    return any(name in work.metrics for name in view.metrics)


def series_dims(work: PageWork, one: BoardSeries) -> Sequence[str]:
    """The dimensions of a series."""
    if one.metric:
        return work.catalog.queryable_dims(one.metric)
    return [*known_events(work).get(one.event, ()), "user", "account"]


def form_of_view(board: Board, view: BoardView, metric: str, controls: BoardControls) -> BuilderForm:
    """A view, or one of its metrics, as a form of the query builder."""
    is_own = controls.scope == board.scope
    scope = view.scope if view.scope and is_own else controls.scope
    days = view_range(board, view) if is_own and controls.last == board.last else ViewRange(last=controls.last)
    return BuilderForm(
        series=_asked(board, view, metric, controls),
        formula=view.formula,
        by=view.by,
        segments=view.segments,
        top="all" if view.by and view.top == EVERY_SERIES else str(view.top or ""),
        scope=scope,
        last=days.last,
        from_=days.from_,
        to=days.to,
        compare=view.compare or "",
        chart=view.chart,
    )


def _asked(board: Board, view: BoardView, metric: str, controls: BoardControls) -> tuple[AskedSeries, ...]:
    if not view.series:
        where = narrowed(with_board_filters(board, view.where), controls)
        return (AskedSeries(letter="A", metric=metric, where=where, show=view.show or ""),)
    return tuple(
        AskedSeries(
            letter=letter,
            metric=one.metric or EVENT + one.event,
            where=narrowed(with_board_filters(board, one.where), controls),
            show=one.show or "",
            measure=one.measure,
            of=one.of,
        )
        for letter, one in zip(SERIES_LETTERS, view.series, strict=False)
    )


def narrowed(own: Sequence[str], controls: BoardControls) -> tuple[str, ...]:
    """The filters of a view combined with the filter chosen for all views. The chosen filter narrows a view and never
    widens it.

    Raises QueryError if a filter of the view excludes the chosen value."""
    if not controls.where:
        return tuple(own)
    kept = []
    for text in own:
        dim, sign, _ = filter_parts(text)
        if dim != controls.dimension or sign != "=":
            kept.append(text)
    same = [filter_parts(text)[2] for text in own if text not in kept]
    if same and controls.value not in same:
        listed = " or ".join(same)
        raise QueryError(f"this view is only about {controls.dimension} {listed}", field="value")
    return tuple(dict.fromkeys((*kept, *controls.where)))


def _card(cards: CardWork, board: Board, view: BoardView, metric: str, controls: BoardControls) -> BoardCard:
    several = len(view.metrics) > 1
    title = (view.title if not several else None) or title_of(cards.work.metrics[metric])
    try:
        form = form_of_view(board, view, metric, controls).with_units(cards.work.catalog)
        question = form.with_totals(form.first)
    except QueryError as error:
        return BoardCard(title=title, link=f"/m/{metric}", form=view.chart, metric=metric, problem=problem_of(error))
    headline = own_headline if form.from_ or form.to else None
    made = card_of(cards, form, question, title, headline=headline)
    return replace(made, range=_own_range(form, controls))


def _series_card(cards: CardWork, board: Board, view: BoardView, controls: BoardControls) -> BoardCard:
    try:
        form = form_of_view(board, view, "", controls).with_units(cards.work.catalog)
        questions = {one.letter: form.with_totals(one) for one in form.series}
    except QueryError as error:
        return BoardCard(title=view.title or view.name, link="/q", form=view.chart, problem=problem_of(error))
    titles = [series_title(cards.work, one) for one in form.series]
    title = view.title or several_title(titles, form) + (f", {form.formula}" if form.formula else "")
    made = series_card(cards, form, questions, title, link=form.link())
    return replace(made, range=_own_range(form, controls))


def _own_range(form: BuilderForm, controls: BoardControls) -> str:
    """The scope and days of a view, if they differ from those of the board."""
    if form.scope == controls.scope and form.last == controls.last and not form.to:
        return ""
    days = f"last {form.last}" if form.last else f"from {form.from_}" if form.from_ else "all days"
    until = f" to {form.to}" if form.to else ""
    return f"By {form.scope}, {days}{until}" if form.scope != "all" else f"{days[:1].upper()}{days[1:]}{until}"
