"""Builds the questions of a board's views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tallybook.core import FILTER, Board, BoardSeries, BoardView
from tallybook.query.question import Question

DEFAULT_LAST = {
    "day": "60 days",
    "week": "17 weeks",
    "month": "13 months",
    "quarter": "8 quarters",
    "year": "5 years",
    "all": "",
}
"""Default range of a page, by scope."""


def with_board_filters(board: Board, own: Sequence[str]) -> tuple[str, ...]:
    """The filters of a board and of one of its views.

    A view's filters replace the board's filters on the same dimension, because together they would be alternatives."""
    used = {_dimension(text) for text in own}
    return (*(text for text in board.where if _dimension(text) not in used), *own)


def _dimension(text: str) -> str:
    found = FILTER.match(text)
    return (found["dim"] if found else text).casefold()


@dataclass(frozen=True, kw_only=True)
class ViewRange:
    """The days of a view: a span back from today, or the first and last day as written."""

    last: str = ""
    from_: str = ""
    to: str = ""


def view_range(board: Board, view: BoardView) -> ViewRange:
    """The range of a view: its own, else the board's if the scopes are equal, else the default for its scope."""
    scope = view.scope or board.scope
    own = ViewRange(last=view.last or "", from_=view.from_ or "", to=view.to or "")
    if own.last or own.from_:
        return own
    return replace(own, last=board.last if scope == board.scope else DEFAULT_LAST[scope])


def view_questions(board: Board, view: BoardView) -> list[Question]:
    """The questions of a view: one, or one per series."""
    days = view_range(board, view)
    options: dict[str, Any] = {
        "scope": view.scope or board.scope,
        "by": view.by,
        "segments": view.segments,
        "last": days.last or None,
        "from_": days.from_ or None,
        "to": days.to or None,
        "compare": view.compare,
        "top": view.top or None,
    }
    if view.series:
        return _series_questions(board, view.series, options)
    where = with_board_filters(board, view.where)
    return [Question(metrics=view.metrics, where=where, show=view.show, **options)]


def _series_questions(board: Board, series: Sequence[BoardSeries], options: dict[str, Any]) -> list[Question]:
    """A question per series, with otherwise the same options."""
    return [_asked(one, options | {"where": with_board_filters(board, one.where)}) for one in series]


def _asked(one: BoardSeries, options: dict[str, Any]) -> Question:
    if one.metric:
        return Question(metrics=[one.metric], show=one.show, **options)
    measured: dict[str, Any] = {one.measure: True if one.measure == "count" else [one.of]}
    return Question(metrics=(), event=one.event, **(options | measured))
