"""Boards: several queries on one page, with one range, scope and filter for all of them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tallybook.core import Board, QueryError, calendar, did_you_mean
from tallybook.query import DEFAULT_LAST
from tallybook.server.pages.board_card import problem_of
from tallybook.server.pages.board_views import BoardControls, board_cards, sees_view, series_dims
from tallybook.server.pages.builder_form import SCOPES
from tallybook.server.pages.frame import page
from tallybook.server.pages.page import Page, PageWork
from tallybook.server.pages.shows import shown_period
from tallybook.server.pages.words import title_of


def boards_page(work: PageWork) -> Page:
    """The page `/boards`."""
    boards = [
        (one.title or one.name, f"/boards/{one.name}", len(one.views), _metrics_in_words(work, one))
        for one in work.catalog.boards.values()
        if _is_visible(work, one)
    ]
    return page(work, "boards.html", "boards", "Boards", boards=boards)


def _is_visible(work: PageWork, board: Board) -> bool:
    return any(sees_view(work, view) for view in board.views)


def _metrics_in_words(work: PageWork, board: Board) -> str:
    views = [view for view in board.views if sees_view(work, view)]
    names = dict.fromkeys(name for view in views for name in (*view.metrics, *(one.name for one in view.series)))
    return ", ".join(title_of(work.metrics[name]) if name in work.metrics else name for name in names)


def board_page(work: PageWork, name: str) -> Page:
    """The page `/boards/NAME`. Raises QueryError for an unknown board."""
    board = known_board(work, name)
    wrong = None
    try:
        controls = controls_of(work, board)
        cards = board_cards(work, board, controls)
    except QueryError as error:
        wrong = BoardProblem(field=error.field or "last", message=problem_of(error))
        controls, cards = _declared_controls(work, board), []
    return page(
        work,
        "board.html",
        "boards",
        board.title or board.name,
        status=400 if wrong else 200,
        wrong=wrong,
        board=board,
        name=board.title or board.name,
        controls=controls,
        cards=cards,
        scopes=_offered(
            [(one, one.capitalize()) for one in SCOPES if one != "all" or board.scope == one], work.ask.one("scope")
        ),
        dims=_offered(controls.options, work.ask.one("dim")),
        every=max(10, int(board.every)),
        every_words=_in_words(board.every),
        share=share_command(board.name, controls.where),
        report=report_command(board, controls),
        period=shown_period(work, controls.scope),
    )


@dataclass(frozen=True, kw_only=True)
class BoardProblem:
    """The problem of one field of the form above the cards."""

    field: str
    message: str


def _offered(known: Sequence[tuple[str, str]], typed: str) -> list[tuple[str, str]]:
    """The choices of a field. A typed value stays among them even if it is not a known one."""
    return [*known] if not typed or typed in dict(known) else [*known, (typed, typed)]


def share_command(what: str, where: Sequence[str] = ()) -> str:
    """The command that creates a signed link to a board or to a URL of the builder."""
    filters = "".join(f" --where {shlex.quote(text)}" for text in where)
    return f"tallybook shares create {shlex.quote(what)}{filters} --until 30d"


def report_command(board: Board, controls: BoardControls) -> str:
    """The command that writes the board as shown to one file, without the chosen filter."""
    scope = f" --scope {controls.scope}" if controls.scope != board.scope else ""
    last = f" --last {shlex.quote(controls.last)}" if controls.last != board.last else ""
    return f"tallybook report {shlex.quote(board.name)}{scope}{last} -o {shlex.quote(board.name)}.html"


def _in_words(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} minute{'' if minutes == 1 else 's'}" if seconds >= 60 else f"{seconds:g} seconds"


def known_board(work: PageWork, name: str) -> Board:
    """The board with a name. Raises QueryError with the nearest name."""
    boards = {key: one for key, one in work.catalog.boards.items() if _is_visible(work, one)}
    if name in boards:
        return boards[name]
    hint = f"{did_you_mean(name, boards)} boards: {', '.join(boards) or 'none'}".strip()
    raise QueryError(f"there is no board {name[:80]!r}", hint=hint, field="board")


def controls_of(work: PageWork, board: Board) -> BoardControls:
    """The choices in the URL, or else those of the board.

    Raises QueryError, with the field, for an invalid scope, span or dimension, because a filter must never be
    ignored."""
    scope = work.ask.one("scope") or board.scope
    if scope not in SCOPES or (scope == "all" and board.scope != scope):
        raise QueryError(f"there is no scope {scope[:40]!r}", hint=f"one of {', '.join(SCOPES[:-1])}", field="scope")
    last = work.ask.one("last").strip()
    if last:
        _check_span(last, work)
    declared = _declared_controls(work, board)
    dimension, value = work.ask.one("dim"), work.ask.one("value")
    if dimension and dimension not in declared.dims:
        hint = f"all views have {', '.join(declared.dims)}" if declared.dims else "the views have none in common"
        raise QueryError(f"not every view of this board has {dimension[:80]!r}; {hint}", field="dim")
    own_last = board.last if scope == board.scope else DEFAULT_LAST[scope]
    return replace(declared, scope=scope, last=last or own_last, dimension=dimension, value=value)


def _check_span(text: str, work: PageWork) -> None:
    try:
        calendar.last_span(text, work.book.today)
    except (ValueError, OverflowError) as error:
        raise QueryError(str(error)[:200], field="last") from None


def _declared_controls(work: PageWork, board: Board) -> BoardControls:
    """The fields as the board declares them."""
    names = [name for view in board.views for name in view.metrics if name in work.metrics]
    dims: list[Sequence[str]] = [work.catalog.queryable_dims(name) for name in names]
    dims += [series_dims(work, one) for view in board.views if sees_view(work, view) for one in view.series]
    common = [dim for dim in dims[0] if all(dim in other for other in dims)] if dims else []
    return BoardControls(scope=board.scope, last=board.last, dimension="", value="", dims=common)
