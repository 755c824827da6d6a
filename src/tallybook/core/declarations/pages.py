"""What only pages show: boards and notes."""

from __future__ import annotations

from datetime import date

import msgspec

LINE, BAR, STACKED, AREA, NUMBER, TABLE = "line", "bar", "stacked", "area", "number", "table"
CHART_FORMS = (LINE, BAR, STACKED, AREA, NUMBER, TABLE)
"""How the answer to a question is drawn."""
HIGHER, LOWER = "higher", "lower"
"""Which direction of a metric is good."""


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """`[[notes]]`: what happened on a day. Charts of these metrics, or of all, mark it."""

    day: date
    text: str
    metrics: tuple[str, ...] = ()


class BoardView(msgspec.Struct, frozen=True, kw_only=True):
    """One question of a board, and how its answer is drawn. Without `scope`, `last` and `where`, as the board says."""

    metrics: tuple[str, ...] = ()
    title: str | None = None
    scope: str | None = None
    by: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    show: str | None = None
    last: str | None = None
    compare: str | None = None
    top: int | None = None
    chart: str = LINE


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """`[boards.NAME]`: several questions on one page. `every`: seconds after which the page looks for new numbers."""

    name: str
    title: str | None = None
    views: tuple[BoardView, ...] = ()
    scope: str = "week"
    last: str = "17 weeks"
    where: tuple[str, ...] = ()
    every: float = 300.0
