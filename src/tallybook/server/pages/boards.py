"""Boards: several questions on one page, with one range, scope and filter for all of them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tallybook.core import Board, BoardView, QueryError, Refused, Result, did_you_mean
from tallybook.query import Question
from tallybook.server.answers import Refusal
from tallybook.server.charts.data import ChartData
from tallybook.server.charts.drawing import CARD
from tallybook.server.pages.breakdown import back, filter_text
from tallybook.server.pages.builder_answer import single_chart
from tallybook.server.pages.builder_form import DEFAULT_LAST, SCOPES, AskedSeries, BuilderForm, filter_parts
from tallybook.server.pages.builder_table import TableView, table_of
from tallybook.server.pages.figures import Figure, FigureNames, figure
from tallybook.server.pages.frame import page
from tallybook.server.pages.page import Page, PageWork
from tallybook.server.pages.shows import shown_period
from tallybook.server.pages.words import Change, Shown, change, change_of, marks_of, number, title_of, usual_change

Headline = Callable[[PageWork, BuilderForm, Result], tuple[Shown | None, Change | None]]


@dataclass(frozen=True, kw_only=True)
class BoardCard:
    """One metric of a view, answered. `problem` says why there is no answer."""

    title: str
    link: str
    value: Shown | None = None
    change: Change | None = None
    figure: Figure | None = None
    table: TableView | None = None
    chart: ChartData | None = None
    result: Result | None = None
    form: str = "line"
    problem: str = ""
    metric: str = ""


@dataclass(frozen=True, kw_only=True)
class BoardControls:
    """What is chosen for all views: the fields of the form above the cards."""

    scope: str
    last: str
    dimension: str
    value: str
    dims: Sequence[str]

    @property
    def options(self) -> list[tuple[str, str]]:
        """The dimensions that every view has."""
        return [("", "–"), *((dim, dim) for dim in self.dims)]

    @property
    def where(self) -> tuple[str, ...]:
        return (filter_text(self.dimension, self.value),) if self.dimension and self.value else ()


def boards_page(work: PageWork) -> Page:
    """The page `/boards`."""
    boards = [
        (one.title or one.name, f"/boards/{one.name}", len(one.views), _metrics_in_words(work, one))
        for one in work.catalog.boards.values()
        if _is_visible(work, one)
    ]
    return page(work, "boards.html", "boards", "Boards", boards=boards)


def _is_visible(work: PageWork, board: Board) -> bool:
    return any(name in work.metrics for view in board.views for name in view.metrics)


def _metrics_in_words(work: PageWork, board: Board) -> str:
    names = dict.fromkeys(name for view in board.views for name in view.metrics if name in work.metrics)
    return ", ".join(title_of(work.metrics[name]) for name in names)


def board_page(work: PageWork, name: str) -> Page:
    """The page `/boards/NAME`. Raises QueryError for an unknown one."""
    board = known_board(work, name)
    controls = controls_of(work, board)
    cards = board_cards(work, board, controls)
    return page(
        work,
        "board.html",
        "boards",
        board.title or board.name,
        board=board,
        name=board.title or board.name,
        controls=controls,
        cards=cards,
        scopes=[(one, one.capitalize()) for one in SCOPES if one != "all"],
        every=max(10, int(board.every)),
        every_words=_in_words(board.every),
        share=share_command(board.name, controls.where),
        period=shown_period(work, controls.scope),
    )


def share_command(what: str, where: Sequence[str] = ()) -> str:
    """The command that makes a signed link to a board or an address of the builder."""
    filters = "".join(f" --where {shlex.quote(text)}" for text in where)
    return f"tallybook shares create {shlex.quote(what)}{filters} --until 30d"


def _in_words(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} minute{'' if minutes == 1 else 's'}" if seconds >= 60 else f"{seconds:g} seconds"


def known_board(work: PageWork, name: str) -> Board:
    """The board of a name. Raises QueryError with the nearest one."""
    boards = {key: one for key, one in work.catalog.boards.items() if _is_visible(work, one)}
    if name in boards:
        return boards[name]
    hint = f"{did_you_mean(name, boards)} boards: {', '.join(boards) or 'none'}".strip()
    raise QueryError(f"there is no board {name[:80]!r}", hint=hint, field="board")


def controls_of(work: PageWork, board: Board) -> BoardControls:
    """What the address chooses, else what the board declares. Raises QueryError for a scope that is none."""
    scope = work.ask.one("scope") or board.scope
    if scope not in SCOPES or scope == "all":
        raise QueryError(f"there is no scope {scope[:40]!r}", hint=f"one of {', '.join(SCOPES[:-1])}", field="scope")
    own_last = board.last if scope == board.scope else DEFAULT_LAST[scope]
    names = [name for view in board.views for name in view.metrics if name in work.metrics]
    dims = [work.catalog.queryable_dims(name) for name in names]
    common = [dim for dim in dims[0] if all(dim in other for other in dims)] if dims else []
    dimension = work.ask.one("dim")
    return BoardControls(
        scope=scope,
        last=work.ask.one("last") or own_last,
        dimension=dimension if dimension in common else "",
        value=work.ask.one("value"),
        dims=common,
    )


def board_cards(work: PageWork, board: Board, controls: BoardControls) -> list[BoardCard]:
    """A card for each metric of each view."""
    names, found = FigureNames(), []
    for view in board.views:
        for metric in view.metrics:
            if metric in work.metrics:
                found.append(_card(work, board, view, metric, controls, names))
    return found


def form_of_view(board: Board, view: BoardView, metric: str, controls: BoardControls) -> BuilderForm:
    """A view as a form of the query builder."""
    is_own = bool(view.scope) and controls.scope == board.scope
    scope = str(view.scope) if is_own else controls.scope
    where = narrowed(view.where or board.where, controls)
    one = AskedSeries(letter="A", metric=metric, where=where, show=view.show or "")
    last = view.last if view.last and controls.last == board.last else controls.last
    if is_own and not view.last and controls.last == board.last:
        last = board.last if scope == board.scope else DEFAULT_LAST[scope]
    top = str(view.top) if view.top else ("" if view.by else "all")
    return BuilderForm(
        series=(one,),
        by=view.by,
        segments=view.segments,
        top=top,
        scope=scope,
        last=last or "",
        compare=view.compare or "",
        chart=view.chart,
    )


def narrowed(own: Sequence[str], controls: BoardControls) -> tuple[str, ...]:
    """The filters of a view, and the one that is chosen for all views: it narrows a view and never widens it.

    Raises QueryError where the view has a filter that does not let the chosen value through."""
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


def _card(
    work: PageWork, board: Board, view: BoardView, metric: str, controls: BoardControls, names: FigureNames
) -> BoardCard:
    several = len(view.metrics) > 1
    title = (view.title if not several else None) or title_of(work.metrics[metric])
    try:
        form = form_of_view(board, view, metric, controls)
    except QueryError as error:
        return BoardCard(title=title, link=f"/m/{metric}", form=view.chart, metric=metric, problem=_sentence(error))
    return card_of(work, form, form.question(form.first), title, names=names)


def card_of(
    work: PageWork,
    form: BuilderForm,
    question: Question,
    title: str,
    *,
    names: FigureNames,
    headline: Headline | None = None,
) -> BoardCard:
    """The answer of a question as a card. `headline` finds its number, otherwise that of the last complete period."""
    plain = BoardCard(title=title, link=form.link(), form=form.chart, metric=form.first.metric)
    try:
        result = work.answer(question)
        found = headline(work, form, result) if headline else last_complete(work, form, form.first.metric)
    except (Refused, QueryError) as error:
        return replace(plain, problem=_sentence(error))
    except Refusal as refusal:
        # A filter that the reader is bound to, and that this metric does not have.
        return replace(plain, problem=f"Not shown within {refusal.error.expected or 'these filters'}.")
    chart = None if form.chart in ("number", "table") or form.scope == "all" else single_chart(work, form, result)
    drawn = figure(chart, names.next(), CARD) if chart else None
    value, moved = found
    table = table_of(form, result)
    return replace(plain, value=value, change=moved, figure=drawn, table=table, chart=chart, result=result)


def _sentence(error: QueryError | Refused) -> str:
    return f"{error.message[:1].upper()}{error.message[1:]}."


def last_complete(work: PageWork, form: BuilderForm, metric: str) -> tuple[Shown | None, Change | None]:
    """The last complete period over all series, and its change. Raises QueryError and Refused."""
    if form.scope == "all" or form.first.event:
        return None, None
    question = Question(
        metrics=[metric],
        scope=form.scope,
        where=form.first.where,
        show=form.first.show or None,
        from_=back(work, form.scope, 14),
        to=shown_period(work, form.scope).end,
    )
    result = work.answer(question)
    rows = [row for row in result.data if row["period"] is not None]
    if not rows or rows[-1]["period"] != shown_period(work, form.scope).start:
        return None, None
    values: list[Any] = [row[metric] if row["complete"] else None for row in rows]
    share = change_of(values[-1], values[-2]) if len(values) > 1 else None
    shown = number(rows[-1][metric], result.metric_columns[0], brief=True)
    shown = replace(shown, marks=marks_of(rows[-1], metric) + ("" if rows[-1]["complete"] else " *"))
    usual = usual_change([None if value is None else float(value) for value in values])
    return shown, change(share, work.metrics[metric].better, usual)
