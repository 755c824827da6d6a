"""Whether a goal is on its way: what a part of a period says about the whole, the pace, the verdict.

Pure: numbers in, numbers out. All of it is computed in fractions, so that what is exact stays exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from tallybook.core import ADDITIVE, FLOW, LEVEL, UNIQUES, Catalog, Metric, Operand, Tree, linear

REACHED, AHEAD, BEHIND, MISSED, OPEN, UNKNOWN = "reached", "ahead", "behind", "missed", "open", "unknown"
STATUSES = (REACHED, AHEAD, BEHIND, MISSED, OPEN, UNKNOWN)

# What the value of a part of a period says about the value of the whole.
ADDS_UP = "adds up"
"""It is the sum of its days: ten days are a third of thirty."""
GROWS = "grows"
"""More with every day, but days overlap: nobody knows by how much."""
PATH = "path"
"""The end of a day, on the way from where the period began; or how far it came since."""
RISES, FALLS = "rises", "falls"
"""The most, or the least, so far: it will never be less, or more, again."""
STEADY = "steady"
"""A part can be compared with the whole as it is: averages, percentiles, ratios."""
UNSTEADY = "unsteady"
"""A part is not like the whole, or it cannot be told that it is."""


# --- what kind of number it is ------------------------------------------------------------------------------


def nature(catalog: Catalog, metric: Metric, show: str) -> str:
    """ADDS_UP, GROWS, PATH, RISES, FALLS, STEADY or UNSTEADY: what a part of a period says about the whole."""
    if _adds_up(catalog, metric, show):
        return ADDS_UP
    if _is_level(catalog, metric, show):
        return PATH
    if not metric.derived:
        if show == "change":
            return PATH
        if extreme := _extreme(metric, show):
            return extreme
        if show == "total" and (metric.kind == UNIQUES or (metric.linear and not metric.per)):
            return GROWS
    return STEADY if _degree_of(catalog, metric, show) == 0 else UNSTEADY


def _extreme(metric: Metric, show: str) -> str:
    """RISES or FALLS for the most or the least of something, else nothing."""
    alone = metric.parsed is not None and not metric.per and metric.parsed.shell == ["slot", 0]
    word = metric.parsed.slots[0].agg if alone and metric.parsed and show == "total" else show
    return {"max": RISES, "min": FALLS}.get(word, "")


def _adds_up(catalog: Catalog, metric: Metric, show: str) -> bool:
    """Its total is the sum of its days: counts and sums, of which no fact is of two days. Not so distinct things,
    whose daily means have a meaning (`linear`), but which may be the same ones on another day."""
    parsed = metric.parsed
    if metric.derived and parsed is not None:
        operands = [_adds_up(catalog, *_operand(catalog, o)) for o in parsed.operands]
        return linear(parsed.shell, operands.__getitem__)
    if metric.kind != FLOW or metric.per or show != "total":
        return False
    if parsed is None:
        return bool(metric.function)
    return parsed.linear and all(slot.shape == ADDITIVE for slot in parsed.slots)


def never_falls(catalog: Catalog, metric: Metric, show: str) -> bool:
    """Whether more days can only add to it: counts and distinct counts, times positive numbers, added to one another.

    A sum of amounts may fall, as amounts may be negative."""
    parsed = metric.parsed
    if metric.derived and parsed is not None:
        operands = [never_falls(catalog, *_operand(catalog, o)) for o in parsed.operands]
        return _rising(parsed.shell, operands.__getitem__)
    if metric.per or show != "total" or metric.kind not in (FLOW, UNIQUES):
        return False
    if metric.kind == UNIQUES:
        return True
    return parsed is not None and _rising(parsed.shell, lambda i: parsed.slots[i].agg in ("count", "count_distinct"))


def _rising(tree: Tree, leaf: Callable[[int], bool]) -> bool:
    """Whether a shell grows with every leaf and with nothing else."""
    match tree:
        case ["slot", index]:
            return leaf(index)
        case ["+", left, right]:
            return _rising(left, leaf) and _rising(right, leaf)
        case ["*", ["num", number], inner] | ["*" | "/", inner, ["num", number]]:
            return Fraction(number) > 0 and _rising(inner, leaf)
        case ["float", inner] | ["fn", "coalesce", inner, ["num", "0"]]:
            return _rising(inner, leaf)
    return False


def _is_level(catalog: Catalog, metric: Metric, show: str) -> bool:
    """It holds at the end of a day; so does a formula of nothing but what does."""
    if metric.derived and metric.parsed is not None:
        return all(_is_level(catalog, *_operand(catalog, o)) for o in metric.parsed.operands)
    return metric.kind == LEVEL and show == "last"


def _operand(catalog: Catalog, operand: Operand) -> tuple[Metric, str]:
    """The metric, and how it is rolled up in the formula."""
    metric = catalog.metrics[operand.metric]
    return metric, operand.show or metric.default_show


def why_no_pace(metric: Metric, show: str) -> str:
    """Why there is no pace for what is neither sum nor count, nor a level, in words."""
    if metric.derived:
        return "a formula of other metrics does not add up over days"
    if show != "total":
        return f"the {show} of days is not their sum"
    if metric.per:
        return f"one number of the values of all {metric.per} does not add up over days"
    slots = metric.parsed.slots if metric.parsed else ()
    if metric.kind == UNIQUES or any("distinct" in slot.agg for slot in slots):
        return "distinct things do not add up over days: those of several days overlap"
    return f"{' '.join((metric.measure or '').split())} does not add up over days"


def _degree_of(catalog: Catalog, metric: Metric, show: str) -> int | None:
    """By which power of the days it grows: 1 for sums, 0 for averages and ratios of sums, None: who knows."""
    parsed = metric.parsed
    if metric.derived and parsed is not None:
        degrees = [_degree_of(catalog, *_operand(catalog, o)) for o in parsed.operands]
        return _degree(parsed.shell, degrees.__getitem__)
    if show != "total":
        return 1 if show == "change" else None if show in ("min", "max") else 0
    if metric.kind == UNIQUES or metric.per:
        return None
    if parsed is None:
        return 1
    return _degree(parsed.shell, lambda i: _SLOT_DEGREES.get(parsed.slots[i].agg))


_SLOT_DEGREES = {
    "count": 1,
    "sum": 1,
    "avg": 0,
    "stddev_samp": 0,
    "stddev_pop": 0,
    "var_samp": 0,
    "var_pop": 0,
    "quantile": 0,
    "quantile_disc": 0,
    "first": 0,
    "last": 0,
}
"""Distinct things, least and greatest values grow, nobody knows how."""


def _degree(tree: Tree, leaf: Callable[[int], int | None]) -> int | None:
    match tree:
        case ["slot", index]:
            return leaf(index)
        case ["num", _] | ["null"]:
            return 0
        case (
            ["neg" | "float" | "trunc", inner]
            | ["round", inner, _]
            | ["fn", "nullif" | "coalesce", inner, ["num", "0"]]
        ):
            return _degree(inner, leaf)
        case ["*" | "/" as sign, left, right]:
            a, b = _degree(left, leaf), _degree(right, leaf)
            return None if a is None or b is None else a + b if sign == "*" else a - b
        case ["+" | "-", *both] | ["fn", _, *both]:
            degrees = {_degree(one, leaf) for one in both}
            return degrees.pop() if len(degrees) == 1 else None
    return None


# --- the pace --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class GoalProgress:
    """What is known of a goal in a period. Days are numbers of days.

    `low` … `high` is what the value lies between: the same twice where it is known exactly, None where it is not
    known at all. `settled`: the period is over, and its value will not change by collecting more of it."""

    nature: str
    target: Fraction
    at_most: bool
    low: Fraction | None
    high: Fraction | None
    value: Fraction | None
    length: int
    """The whole period."""
    gone: int
    covered: int
    position: int = 0
    """PATH: to the end of which day of the period the value belongs."""
    opening: Fraction | None = None
    """PATH: the value at the end of the day before the period."""
    over: bool
    settled: bool
    never_falls: bool = False
    """More days, collected or to come, can only add to the value."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Where the value should be by now, and where it ends at this rate; None: there is none."""

    expected: Fraction | None = None
    projection: Fraction | None = None


def pace(p: GoalProgress) -> Pace:
    """Of a running period: the target's share of the covered days, or the point on the path to it."""
    if p.over:
        return Pace()
    if p.nature == ADDS_UP and p.covered:
        share = Fraction(p.covered, p.length)
        return Pace(expected=p.target * share, projection=None if p.value is None else p.value / share)
    if p.nature == PATH and p.position and p.opening is not None and not _meets(p, p.opening):
        return Pace(expected=p.opening + (p.target - p.opening) * Fraction(p.position, p.length))
    return Pace()


# --- the verdict ---------------------------------------------------------------------------------------------------


def status(p: GoalProgress) -> str:
    """One of STATUSES."""
    if p.low is None or (not p.covered and p.nature != PATH):
        return UNKNOWN
    met = _side(p, p.target)
    if p.over:
        return UNKNOWN if met is None or not p.settled else REACHED if met else MISSED
    if decided := _decided(p, met):
        return decided
    if p.nature == PATH and met:
        return AHEAD
    line = _line(p)
    if line is None:
        return OPEN
    on = _side(p, line)
    return UNKNOWN if on is None else AHEAD if on else BEHIND


def _line(p: GoalProgress) -> Fraction | None:
    """What the value of a running period is compared with: where it should be by now, or the target itself."""
    expected = pace(p).expected
    alike = p.nature == STEADY or (p.nature == PATH and p.opening is not None)
    return p.target if expected is None and alike else expected


def _decided(p: GoalProgress, met: bool | None) -> str:
    """What the rest of a running period cannot change, as far as such numbers go; else nothing.

    Counts never fall, whatever days are missing. A sum that is there already may be less again where negative amounts
    follow: where all days that are over are collected, it is judged by its value so far."""
    so_far = p.covered == p.gone and _begins_below(p)
    upwards = p.nature == RISES or (p.nature in (ADDS_UP, GROWS) and (p.never_falls or so_far))
    if (upwards and met and not p.at_most) or (p.nature == FALLS and met and p.at_most):
        return REACHED
    if (upwards and met is False and p.at_most) or (p.nature == FALLS and met is False and not p.at_most):
        return MISSED
    return ""


def _begins_below(p: GoalProgress) -> bool:
    """A total begins with 0: on the near side of the target."""
    return p.target >= 0 if p.at_most else p.target > 0


def _side(p: GoalProgress, line: Fraction) -> bool | None:
    """Whether the value is on the right side of a line; None where it may be on either."""
    assert p.low is not None
    assert p.high is not None
    sides = {_meets(replace(p, target=line), end) for end in (p.low, p.high)}
    return sides.pop() if len(sides) == 1 else None


def _meets(p: GoalProgress, value: Fraction) -> bool:
    return value <= p.target if p.at_most else value >= p.target
