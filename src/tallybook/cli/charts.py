"""Charts in a terminal: a chart of dots for each metric, and sparklines, one line for each series.

Gaps stay gaps. Incomplete and carried values are dim and drawn with every third dot. On a chart of one series,
carried values are yellow and approximate ones magenta. Several series differ by color, or by letters on their lines
without colors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby, pairwise

from tallybook.cli.terminal import count, table
from tallybook.core import (
    APPROXIMATE,
    CARRIED,
    INCOMPLETE,
    OTHER,
    Column,
    Result,
    Row,
    begins_at_zero,
    is_approximate,
    is_complete_for,
    number_format,
    value_label,
    words_and_unit,
)

Style = Callable[..., str]
"""The type of `Terminal.styled`: a text in these colors, or unchanged."""
COLORS = ("cyan", "yellow", "green", "magenta", "blue", "red")
BARS = "▁▂▃▄▅▆▇█"
MAX_SERIES = 12
LETTER_CELLS = 8
"""Minimum distance between two letters on a line, in cells."""
WIDTH = 80
"""The width used if stdout is not a terminal."""


@dataclass
class ChartSeries:
    """One line of a chart: a value and its mark for each period. A missing value is None."""

    label: str
    values: list[float | None] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)

    @property
    def known(self) -> list[float]:
        """The values that are not None."""
        return [value for value in self.values if value is not None]


def series_of(result: Result, column: Column) -> tuple[list[date], list[ChartSeries]]:
    """The periods and the series of one metric, without totals over all series."""
    rows = [row for row in result.data if not row.get("total") and row["period"] is not None]
    periods = list(dict.fromkeys(row["period"] for row in rows))
    dims = [c.name for c in result.dimension_columns]
    cells: dict[tuple[str, ...], dict[date, Row]] = {}
    for row in rows:
        if row[column.name] is not None or not dims:
            series = (OTHER,) if row.get("others") else tuple(value_label(row[d]) for d in dims)
            cells.setdefault(series, {})[row["period"]] = row
    found = []
    for key, own in cells.items():
        label = ", ".join(key) or column.label
        values = [_number(own[p][column.name]) if p in own else None for p in periods]
        marks = [_mark(own[p], column.name) if p in own else "" for p in periods]
        found.append(ChartSeries(label, values, marks))
    return periods, found


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))


def _mark(row: Row, metric: str) -> str:
    note = (row.get("notes") or {}).get(metric) or {}
    mark = "" if is_complete_for(row, metric) else INCOMPLETE
    mark += APPROXIMATE if is_approximate(row, metric) else ""
    return mark + (CARRIED if note.get("carried") else "")


def _faint(mark: str) -> bool:
    return INCOMPLETE in mark or CARRIED in mark


def _styles(mark: str, color: str, *, single: bool = True) -> tuple[str, ...]:
    """The styles of a value. A single series is colored by the kind of value. Several series each have their own
    color."""
    meant = "yellow" if CARRIED in mark else "magenta" if APPROXIMATE in mark else color
    return (meant if single else color, *(["dim"] if _faint(mark) else []))


# --- sparklines


def sparklines(result: Result, style: Style, width: int | None) -> str:
    """A line for each metric and series: its course, and its smallest, largest and last value."""
    lines: list[tuple[list[str], ChartSeries]] = []
    for column in result.metric_columns:
        for series in series_of(result, column)[1]:
            names = [column.label, *([series.label] if result.dimension_columns else [])]
            lines.append(([*names, *_extremes(column, series)], series))
    header = ["metric", *(["series"] if result.dimension_columns else []), "least", "most", "last", "spark"]
    told = table(header, [[*cells, ""] for cells, _ in lines], numbers=("least", "most", "last"))
    taken = len(told[0])
    room = max(8, width - taken + len("spark")) if width else None
    left = taken - len("spark")
    drawn = [f"{line:<{left}}{_spark(series, style, room)}" for line, (_, series) in zip(told[1:], lines, strict=True)]
    shown = max((len(series.values) for _, series in lines), default=0)
    cut = [f"the last {room} of {count(shown, 'period')}"] if room and shown > room else []
    return "\n".join([style(told[0], "bold"), *drawn, *cut])


def _spark(series: ChartSeries, style: Style, room: int | None) -> str:
    """One bar per period, between the smallest and largest of all values. A missing value is a blank."""
    low, high = min(series.known, default=0.0), max(series.known, default=0.0)
    low = 0.0 if 0 < low <= high / 2 else low
    shown = list(zip(series.values, series.marks, strict=True))[-(room or 0) :]
    return "".join(
        style("".join(bars), *look)
        for look, bars in _runs((_styles(mark, COLORS[0]), _bar(value, low, high)) for value, mark in shown)
    )


def _runs(signs: Iterable[tuple[tuple[str, ...], str]]) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Neighboring characters with the same style, grouped."""
    for look, several in groupby(signs, key=lambda pair: pair[0]):
        yield look, [sign for _, sign in several]


def _bar(value: float | None, low: float, high: float) -> str:
    if value is None:
        return " "
    if low == high:
        return BARS[len(BARS) // 2 if value else 0]
    return BARS[round((value - low) / (high - low) * (len(BARS) - 1))]


def _extremes(column: Column, series: ChartSeries) -> list[str]:
    known = series.known
    if not known:
        return ["–", "–", "–"]
    at = max(i for i, value in enumerate(series.values) if value is not None)
    how = number_format(column, known)
    return [how.text(min(known)), how.text(max(known)), how.text(series.values[at]) + series.marks[at]]


# --- charts


def chart(result: Result, style: Style, width: int | None) -> str:
    """A chart for each metric, with a legend of its series."""
    height = 12 if len(result.metric_columns) < 3 else 8
    panels = [_panel(result, column, style, width or WIDTH, height) for column in result.metric_columns]
    return "\n".join(f"{panel}\n" for panel in panels).rstrip("\n")


def _panel(result: Result, column: Column, style: Style, width: int, height: int) -> str:
    periods, several = series_of(result, column)
    title = style(words_and_unit(column.facts), "bold")
    places = _places(result)
    left_out = [series for series in several if places[series.label] >= MAX_SERIES]
    several = sorted((s for s in several if s not in left_out), key=lambda series: places[series.label])
    known = [value for series in several for value in series.known]
    if not known:
        return f"{title}\n  no value in any of {count(len(periods), 'period')}"
    from_zero = begins_at_zero(column.facts)
    ticks = _ticks(min(known), max(known), whole=column.type == "integer", from_zero=from_zero)
    how = number_format(column, ticks)
    labels = [how.text(tick) for tick in ticks]
    room = max(map(len, labels))
    canvas = Canvas(max(16, width - room - 2), height, ticks[0], ticks[-1])
    letters = len(several) > 1 and style("x", "bold") == "x"
    for series in reversed(several):
        place = places[series.label]
        canvas.draw(
            series, chr(ord("a") + place) if letters else "", COLORS[place % len(COLORS)], single=len(several) == 1
        )
    rows = canvas.rows(style)
    marks = {canvas.row(tick): label for tick, label in zip(ticks, labels, strict=True)}
    lines = [f"{marks.get(i, '').rjust(room)} {'┤' if i in marks else '│'}{row}" for i, row in enumerate(rows)]
    lines = [line.rstrip() for line in lines]
    lines += _axis([result.period_text(p) for p in periods], room, canvas.width)
    return "\n".join([title, *lines, *_key(several, places, letters, style, result), *_more(left_out)])


def _more(left_out: Sequence[ChartSeries]) -> list[str]:
    return [f"  and {len(left_out):,} smaller series"] if left_out else []


def _key(
    several: Sequence[ChartSeries], places: Mapping[str, int], letters: bool, style: Style, result: Result
) -> list[str]:
    """The legend, if the result has dimensions."""
    if not result.dimension_columns:
        return []
    signs = [
        chr(ord("a") + i) if letters else style("━", COLORS[i % len(COLORS)])
        for i in (places[s.label] for s in several)
    ]
    return ["  " + "   ".join(f"{sign} {series.label}" for sign, series in zip(signs, several, strict=True))]


def _places(result: Result) -> dict[str, int]:
    """The position of each series among all series, the same in the chart of every metric. It decides color and
    letter."""
    weights: dict[str, float] = {}
    for column in result.metric_columns:
        found = series_of(result, column)[1]
        total = sum(sum(map(abs, series.known)) for series in found) or 1.0
        for series in found:
            weights[series.label] = weights.get(series.label, 0.0) + sum(map(abs, series.known)) / total
    ranked = sorted(weights, key=lambda label: (-weights[label], label))
    return {label: place for place, label in enumerate(ranked)}


def _ticks(low: float, high: float, *, whole: bool, from_zero: bool) -> list[float]:
    """Round axis values that include the smallest and the largest value. Axes of counts and amounts begin at zero. So
    do axes of averages and rates, unless all values are far from zero."""
    if low > 0 and (from_zero or low <= high / 2):
        low = 0.0
    if high < 0 and (from_zero or high >= low / 2):
        high = 0.0
    if low == high:
        low, high = min(low, 0.0), max(high, 0.0) or 1.0
    step = _round_step((high - low) / 4)
    step = max(step, 1.0) if whole else step
    first, last = math.floor(low / step), math.ceil(high / step - 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough * 0.999)


def _axis(labels: Sequence[str], room: int, width: int) -> list[str]:
    """The horizontal axis, and as many period labels as fit below it."""
    line = " " * width
    most = max(1, min(len(labels), width // (max(map(len, labels)) + 4)))
    ends = -1
    for i in range(most):
        at = round(i * (len(labels) - 1) / max(1, most - 1))
        place = round(at * (width - 1) / max(1, len(labels) - 1))
        place = max(0, min(place - len(labels[at]) // 2, width - len(labels[at])))
        if place > ends:
            line = line[:place] + labels[at] + line[place + len(labels[at]) :]
            ends = place + len(labels[at])
    return [f"{' ' * room} └{'─' * width}", f"{' ' * room}  {line}".rstrip()]


class Canvas:
    """Cells of two by four dots each, with the range of values that they show."""

    def __init__(self, width: int, height: int, low: float, high: float) -> None:
        self.width, self.height, self.low, self.high = width, height, low, high
        self.dots: dict[tuple[int, int], int] = {}
        self.looks: dict[tuple[int, int], tuple[str, ...]] = {}
        self.letters: dict[tuple[int, int], str] = {}

    def row(self, value: float) -> int:
        """The row of cells that contains a value, 0 at the top."""
        return self._dot(value) // 4

    def _dot(self, value: float) -> int:
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return round((1 - share) * (self.height * 4 - 1))

    def draw(self, series: ChartSeries, letter: str, color: str, *, single: bool) -> None:
        """Draw a line through consecutive values of a series. If a letter is given, it is written at some of the
        values."""
        last = max(1, len(series.values) - 1)
        points = [
            None if value is None else (round(i * (self.width * 2 - 1) / last), self._dot(value))
            for i, value in enumerate(series.values)
        ]
        for i, (point, mark) in enumerate(zip(points, series.marks, strict=True)):
            if point is not None:
                shown = letter if i % self._letter_step(points) == 0 or i == last else ""
                self._put(*point, _styles(mark, color, single=single), shown)
        for (start, end), mark in zip(pairwise(points), series.marks[1:], strict=True):
            if start is not None and end is not None:
                self._line(start, end, _styles(mark, color, single=single), faint=_faint(mark))

    def _letter_step(self, points: Sequence[object]) -> int:
        """The number of values from one letter to the next, chosen so that the line between two letters is visible."""
        return max(1, math.ceil(LETTER_CELLS * len(points) / self.width))

    def _line(self, start: tuple[int, int], end: tuple[int, int], look: tuple[str, ...], *, faint: bool) -> None:
        steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
        for i in range(1, steps):
            if not faint or i % 3 == 0:
                x = start[0] + (end[0] - start[0]) * i / steps
                self._put(round(x), round(start[1] + (end[1] - start[1]) * i / steps), look)

    def _put(self, x: int, y: int, look: tuple[str, ...], letter: str = "") -> None:
        cell = (y // 4, x // 2)
        if letter:
            self.letters[cell] = letter
        # Unicode braille patterns: dots 1–3 and 7 on the left, 4–6 and 8 on the right.
        bit = ((0, 3), (1, 4), (2, 5), (6, 7))[y % 4][x % 2]
        self.dots[cell] = self.dots.get(cell, 0) | 1 << bit
        self.looks[cell] = look

    def rows(self, style: Style) -> Iterator[str]:
        """The lines of the canvas, top first."""
        for y in range(self.height):
            cells = (self._cell((y, x)) for x in range(self.width))
            yield "".join(style("".join(signs), *look) for look, signs in _runs(cells))

    def _cell(self, cell: tuple[int, int]) -> tuple[tuple[str, ...], str]:
        if cell not in self.dots:
            return (), " "
        return self.looks[cell], self.letters.get(cell) or chr(0x2800 + self.dots[cell])
