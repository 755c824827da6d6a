"""Declarations that only pages show: boards and notes."""

from __future__ import annotations

import re
from datetime import date

import msgspec

from tallybook.core.errors import QueryError

LINE, BAR, STACKED, AREA, NUMBER, TABLE = "line", "bar", "stacked", "area", "number", "table"
CHART_FORMS = (LINE, BAR, STACKED, AREA, NUMBER, TABLE)
"""Chart forms for the answer to a question."""
HIGHER, LOWER = "higher", "lower"
"""The good direction of a metric."""
EVENT_MEASURES = ("count", "sum", "avg", "distinct", "min", "max", "median", "p50", "p75", "p90", "p95", "p99")
"""Measures of a usage event. All except `count` need a property."""
SERIES_LETTERS = "ABCD"
"""The names of a view's series in its formula, in order."""
EVERY_SERIES = 0


_CONDITION = r"(?=[A-Za-z_][\w.]*(?:@day)?(?:\[[^\]]*\])?\s*!?=)"
_JOINED = re.compile(rf"\s*,\s*{_CONDITION}|\s+(and|or)\s+{_CONDITION}", re.IGNORECASE)
MAX_SEGMENT_NAME = 100
SEGMENT_HINT = '--segment "paid: plan=pro", several conditions with commas'


class SegmentText(msgspec.Struct, frozen=True, kw_only=True):
    """A segment as it is written: `paid: plan=pro, country=DE`. `words`: the words between its conditions."""

    name: str
    conditions: tuple[str, ...]
    words: tuple[str, ...]


def split_segment(text: str) -> SegmentText:
    """Split the text of a segment. Does not read its conditions. Raises QueryError with the expected form."""
    name, colon, conditions = (part.strip() for part in text.partition(":"))
    if not colon or not name or "=" in name:
        raise _wrong_segment(f"the segment {text[:200]!r} has no name", SEGMENT_HINT)
    if len(name) > MAX_SEGMENT_NAME:
        message = f"the name of a segment has {len(name)} characters, at most {MAX_SEGMENT_NAME} are possible"
        raise _wrong_segment(message, SEGMENT_HINT)
    if not conditions:
        raise _wrong_segment(f"segment {name!r} has no condition", f'--segment "{name}: dim=value"')
    parts = _JOINED.split(conditions)
    words = tuple((word or ",").lower() for word in parts[1::2])
    return SegmentText(name=name, conditions=tuple(part.strip() for part in parts[::2]), words=words)


def _wrong_segment(message: str, hint: str) -> QueryError:
    return QueryError(message, hint=hint, field="segments")


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """`[[notes]]`: an event on a day, marked in the charts of these metrics, or of all."""

    day: date
    text: str
    metrics: tuple[str, ...] = ()


class BoardSeries(msgspec.Struct, frozen=True, kw_only=True):
    """One series of a view: a metric, or a usage event with a `measure` of a `property`."""

    metric: str = ""
    event: str = ""
    measure: str = EVENT_MEASURES[0]
    of: str = ""
    """The property to measure."""
    where: tuple[str, ...] = ()
    show: str | None = None

    @property
    def name(self) -> str:
        """The metric or event."""
        return self.metric or self.event


class BoardView(msgspec.Struct, frozen=True, kw_only=True):
    """One question of a board, and how its answer is drawn. Missing `scope`, range and `where` come from the board."""

    metrics: tuple[str, ...] = ()
    series: tuple[BoardSeries, ...] = ()
    """Instead of `metrics`: one or several series, which `formula` calls A, B, C and D."""
    formula: str = ""
    title: str | None = None
    scope: str | None = None
    by: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    """Named conditions, such as "paid: plan=pro", each shown as a series."""
    show: str | None = None
    last: str | None = None
    from_: str | None = None
    to: str | None = None
    compare: str | None = None
    top: int | None = None
    """Maximum number of series; `EVERY_SERIES` shows all."""
    chart: str = LINE

    @property
    def name(self) -> str:
        """The name used when there is no title."""
        return ", ".join(self.metrics or dict.fromkeys(one.name for one in self.series))


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """`[boards.NAME]`: several questions on one page. `every`: seconds after which the page checks for new numbers."""

    name: str
    title: str | None = None
    views: tuple[BoardView, ...] = ()
    scope: str = "week"
    last: str = "17 weeks"
    where: tuple[str, ...] = ()
    every: float = 300.0
