"""Draws a chart as SVG in two sizes. The stylesheet shows the size that fits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from html import escape

from tallybook.server.charts.data import ChartData, ChartPoint, DrawnSeries
from tallybook.server.charts.marks import line, mark, n, polyline, rect, runs, text
from tallybook.server.charts.scales import ValueAxis, period_ticks, tick_texts, value_axis

MAX_MARKS = 70
"""Maximum number of points that get marks. More marks would cover the line."""
MIN_END_DISTANCE = 16.0
BARS = ("bar", "stacked")


@dataclass(frozen=True, kw_only=True)
class ChartSize:
    """The size of a drawing in pixels. `kind`: its class. `end`: room for names at the ends of lines."""

    kind: str
    width: int
    height: int
    end: int
    fewer_ticks: bool = False


WIDE = ChartSize(kind="wide", width=860, height=300, end=128)
FULL = ChartSize(kind="wide", width=1180, height=320, end=150)
NARROW = ChartSize(kind="narrow", width=350, height=230, end=8, fewer_ticks=True)
CARD = ChartSize(kind="wide", width=560, height=270, end=96)
MIN_END, END_MARGIN, END_LETTER = 60, 26, 7.6
"""In pixels: minimum room for names at the ends of lines, room for the mark before a name, and width of a letter."""
MAX_END_SHARE = 0.3
"""Maximum share of the width for names at the ends of lines."""


def draw(chart: ChartData, size: ChartSize, name: str) -> str:
    """The chart as SVG. `name` is unique on the page."""
    return _Drawing(chart, size, name).svg()


@dataclass
class _Drawing:
    chart: ChartData
    size: ChartSize
    name: str

    # -- geometry ----------------------------------------------------------------------------------

    @cached_property
    def axis(self) -> ValueAxis:
        chart = self.chart
        points = [point for one in chart.series for point in one.points]
        values = [value for point in points for value in (point.value, point.before) if value is not None]
        if chart.form == "stacked":
            values = [total for place in range(len(chart.periods)) for total in self.stack(place)]
        values += [goal.value for goal in chart.goals]
        zero = chart.begins_at_zero or chart.form in (*BARS, "area")
        return value_axis(values, begins_at_zero=zero, wanted=4 if self.size.fewer_ticks else 5)

    def stack(self, place: int) -> tuple[float, float]:
        """How far a stack reaches below and above zero."""
        values = [one.points[place].value or 0.0 for one in self.chart.series]
        return sum(v for v in values if v < 0), sum(v for v in values if v > 0)

    @cached_property
    def ticks(self) -> list[str]:
        return tick_texts(self.axis, percent=self.chart.is_percent)

    @cached_property
    def left(self) -> float:
        return 14 + 6.7 * max(map(len, self.ticks))

    @cached_property
    def right(self) -> float:
        return self.size.width - (self.end if len(self.chart.series) > 1 else 8)

    @cached_property
    def end(self) -> float:
        """The room for names at the ends of lines: as much as they need, up to a share of the width."""
        if self.size.end < MIN_END:
            return self.size.end
        longest = max(len(one.name) for one in self.chart.series)
        return min(max(self.size.end, END_MARGIN + END_LETTER * longest), self.size.width * MAX_END_SHARE)

    @cached_property
    def top(self) -> float:
        return (36 if self.chart.notes else 12) + (14 if self.chart.unit else 0)

    @property
    def bottom(self) -> float:
        return self.size.height - 28

    @cached_property
    def band(self) -> float:
        """The width of a period."""
        return (self.right - self.left) / max(1, len(self.chart.periods))

    def x(self, place: int) -> float:
        return self.left + (place + 0.5) * self.band

    def y(self, value: float) -> float:
        return self.bottom - self.axis.share(value) * (self.bottom - self.top)

    # -- parts -------------------------------------------------------------------------------------

    def svg(self) -> str:
        chart, size = self.chart, self.size
        head = (
            f'<svg class="{size.kind}" viewBox="0 0 {size.width} {size.height}" role="img" '
            f'aria-label="{escape(chart.name)}" aria-describedby="{self.name}-said">'
        )
        parts = [self.patterns(), *self.grid(), *self.shades(), *self.goals(), *self.compared()]
        parts += self.bars() if chart.form in BARS else self.lines()
        parts += [*self.odd(), *self.notes(), *self.ends(), *self.hits()]
        return head + "".join(parts) + "</svg>"

    def patterns(self) -> str:
        stripes = '<path class="hatch" d="M0 8L8 0M-1 1L1 -1M7 9L9 7"/>'
        return (
            f'<defs><pattern id="{self.name}-{self.size.kind}" width="8" height="8" '
            f'patternUnits="userSpaceOnUse">{stripes}</pattern></defs>'
        )

    def grid(self) -> list[str]:
        chart, found = self.chart, []
        for value, words in zip(self.axis.ticks, self.ticks, strict=True):
            kind = "axis" if value == 0 else "grid"
            found.append(line(kind, self.left, self.y(value), self.right, self.y(value)))
            found.append(text(self.left - 8, self.y(value) + 4, words, "tick", "end"))
        if self.axis.low:
            found.append(line("axis", self.left, self.bottom, self.right, self.bottom))
        if chart.unit:
            # A unit that is wider than the numbers below it starts at the edge.
            room = self.left - 8 - END_LETTER * len(chart.unit)
            at, anchor = (self.left - 8, "end") if room > 0 else (2, "start")
            found.append(text(at, self.top - 14, chart.unit, "tick", anchor))
        for place, words in period_ticks(chart.periods, chart.labels, chart.scope, self.right - self.left):
            half = 3.3 * len(words)
            x = min(max(self.x(place), half + 2), self.size.width - half - 2)
            found.append(line("axis", self.x(place), self.bottom, self.x(place), self.bottom + 4))
            found.append(text(x, self.bottom + 20, words, "tick", "middle"))
        return found

    def shades(self) -> list[str]:
        """The shading of periods that were not collected or are incomplete."""
        found, height = [], self.bottom - self.top
        for first, last in _runs_of(self.chart.missing):
            x, width = self.left + first * self.band, (last - first + 1) * self.band
            found.append(rect("gapbg", x, self.top, width, height))
            found.append(rect("hatched", x, self.top, width, height, f' fill="url(#{self.name}-{self.size.kind})"'))
            if width >= 15 and height > 110:
                middle = n(x + width / 2 + 4), n((self.top + self.bottom) / 2)
                turned = f'transform="translate({middle[0]} {middle[1]}) rotate(-90)"'
                found.append(f'<text class="gaptx" text-anchor="middle" {turned}>not collected</text>')
        for place in sorted(self.chart.running - self.chart.missing):
            x = self.left + place * self.band
            found.append(rect("hatched", x, self.top, self.band, height, f' fill="url(#{self.name}-{self.size.kind})"'))
        return found

    def goals(self) -> list[str]:
        found = []
        for goal in self.chart.goals:
            y = self.y(goal.value)
            found += [line("goal", self.left, y, self.right, y), text(self.left + 6, y - 5, goal.text, "tick")]
        return found

    def compared(self) -> list[str]:
        """The line for comparison with a single series. Incomplete periods get a short bar."""
        if len(self.chart.series) != 1:
            return []
        points = self.chart.series[0].points
        found = []
        for run in runs(self._before(place, point) for place, point in enumerate(points)):
            found.append(f'<path class="was" d="{polyline(run)}"/>')
        for place in sorted(self.chart.running - self.chart.missing):
            if (before := points[place].before) is not None:
                half = min(9.0, self.band * 0.4)
                found.append(line("lfl", self.x(place) - half, self.y(before), self.x(place) + half, self.y(before)))
        return found

    def _before(self, place: int, point: ChartPoint) -> tuple[float, float] | None:
        if point.before is None or place in self.chart.running - self.chart.missing:
            return None
        return self.x(place), self.y(point.before)

    # -- lines -------------------------------------------------------------------------------------

    def lines(self) -> list[str]:
        found = []
        for one in reversed(self.chart.series):
            found += self.line_of(one)
        return found

    def line_of(self, one: DrawnSeries) -> list[str]:
        several = len(self.chart.series) > 1
        places: list[tuple[float, float] | None] = [
            (self.x(place), self.y(point.value)) if point.value is not None and self.is_whole(place, point) else None
            for place, point in enumerate(one.points)
        ]
        found, whole = [], runs(places)
        for run in whole:
            if self.axis.low <= 0 and (not several or self.chart.form == "area") and len(run) > 1:
                found.append(f'<path class="fade f{one.slot}" d="{self.area(run)}"/>')
            # Lines differ by their dashes. A single dashed line would look incomplete.
            dashes = f" d{one.slot}" if several else ""
            found.append(f'<path class="ln k{one.slot}{dashes}" d="{polyline(run)}"/>')
        found += self.joins(one)
        alone = {run[0] for run in whole if len(run) == 1}
        shown = len(one.points) <= MAX_MARKS and several
        found += [mark(one.slot, *at) for at in places if at is not None and (shown or at in alone)]
        for place, point in enumerate(one.points):
            if point.value is not None and not self.is_whole(place, point):
                found.append(mark(one.slot, self.x(place), self.y(point.value), 4.5, hollow=True))
        return found

    def is_whole(self, place: int, point: ChartPoint) -> bool:
        return point.is_complete and place not in self.chart.running

    def area(self, run: list[tuple[float, float]]) -> str:
        base = self.y(0.0)
        return f"{polyline(run)}L{n(run[-1][0])} {n(base)}L{n(run[0][0])} {n(base)}Z"

    def joins(self, one: DrawnSeries) -> list[str]:
        """Dotted lines to and from incomplete points, if incomplete periods can be compared with complete ones."""
        if not self.chart.is_joined:
            return []
        found = []
        for place in range(1, len(one.points)):
            a, b = one.points[place - 1], one.points[place]
            if a.value is None or b.value is None or (self.is_whole(place - 1, a) and self.is_whole(place, b)):
                continue
            path = polyline([(self.x(place - 1), self.y(a.value)), (self.x(place), self.y(b.value))])
            found.append(f'<path class="ln pale k{one.slot}" d="{path}"/>')
        return found

    # -- bars --------------------------------------------------------------------------------------

    def bars(self) -> list[str]:
        is_stacked = self.chart.form == "stacked"
        found = []
        for place in range(len(self.chart.periods)):
            found += self.stacked(place) if is_stacked else self.grouped(place)
        return found

    def stacked(self, place: int) -> list[str]:
        width, up, down, found = self.bar_width, 0.0, 0.0, []
        for one in self.chart.series:
            point = one.points[place]
            if not point.value:
                continue
            base = up if point.value > 0 else down
            found.append(self.one_bar(one.slot, place, point, self.x(place) - width / 2, width, base))
            if point.value > 0:
                up += point.value
            else:
                down += point.value
        return found

    def grouped(self, place: int) -> list[str]:
        several, found = len(self.chart.series), []
        width = self.bar_width / several
        for index, one in enumerate(self.chart.series):
            point = one.points[place]
            if point.value is not None:
                left = self.x(place) - self.bar_width / 2 + index * width
                found.append(self.one_bar(one.slot, place, point, left, width, 0.0))
        return found

    @cached_property
    def bar_width(self) -> float:
        return max(1.0, min(self.band * 0.72, 46.0))

    def one_bar(self, slot: int, place: int, point: ChartPoint, left: float, width: float, base: float) -> str:
        assert point.value is not None
        a, b = self.y(base), self.y(base + point.value)
        kind = f"f{slot} seam" if self.is_whole(place, point) else f"f{slot} partbar k{slot}"
        return rect(kind, left, min(a, b), width, abs(a - b))

    # -- around ------------------------------------------------------------------------------------

    def odd(self) -> list[str]:
        """Rings around unusual days."""
        found = []
        for place in sorted(self.chart.odd):
            point = self.chart.series[0].points[place]
            if point.value is not None:
                at = f'cx="{n(self.x(place))}" cy="{n(self.y(point.value))}"'
                found.append(f'<circle class="odd" {at} r="8"/>')
        return found

    def notes(self) -> list[str]:
        found = []
        for note in self.chart.notes:
            x = self.x(note.place)
            found.append(line("flagln", x, 22, x, self.bottom))
            found.append(f'<circle class="flag" cx="{n(x)}" cy="13" r="9"/>')
            found.append(text(x, 17, str(note.number), "flagtx"))
        return found

    def ends(self) -> list[str]:
        """The names of series at the right ends of their lines, moved so that they do not overlap."""
        if len(self.chart.series) < 2 or self.size.end < MIN_END:
            return []
        wanted = sorted(self._end_places(), key=lambda one: one[0])
        found, last = [], -MIN_END_DISTANCE
        room = len(wanted) * MIN_END_DISTANCE
        for index, (y, one) in enumerate(wanted):
            latest = self.bottom - room + (index + 1) * MIN_END_DISTANCE
            at = max(min(y, latest), last + MIN_END_DISTANCE)
            last = at
            most = int((self.end - END_MARGIN) / END_LETTER)
            name = one.name if len(one.name) <= most else one.name[: most - 1] + "…"
            found += [mark(one.slot, self.right + 12, at, 3.5), text(self.right + 21, at + 4, name, "end")]
        return found

    def _end_places(self) -> list[tuple[float, DrawnSeries]]:
        found, below = [], 0.0
        for one in self.chart.series:
            known = [point.value for point in one.points if point.value is not None]
            if not known:
                continue
            if self.chart.form == "stacked":
                value = one.points[-1].value or 0.0
                found.append((self.y(min(max(below + value / 2, self.axis.low), self.axis.high)), one))
                below += value
            else:
                found.append((self.y(known[-1]), one))
        return found

    def hits(self) -> list[str]:
        """A transparent strip over each period, with its tooltip."""
        found = []
        for place in range(len(self.chart.periods)):
            title = f"<title>{escape(self.chart.hint(place))}</title>"
            strip = rect("hit", self.left + place * self.band, self.top, self.band, self.bottom - self.top)
            found.append(strip.removesuffix("/>") + f">{title}</rect>")
        return found


def _runs_of(places: frozenset[int]) -> list[tuple[int, int]]:
    """(first, last) of consecutive indexes."""
    found: list[tuple[int, int]] = []
    for place in sorted(places):
        if found and found[-1][1] == place - 1:
            found[-1] = (found[-1][0], place)
        else:
            found.append((place, place))
    return found
