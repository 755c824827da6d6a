"""Whether a goal is on track: what part of a period says about the whole, the pace, and the status.

Pure: numbers in, numbers out. Everything is computed in fractions, so that exact values stay exact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from tallybook.core import ADDITIVE, FLOW, LEVEL, UNIQUES, Catalog, Metric, Operand, Tree, linear

REACHED, AHEAD, BEHIND, MISSED, OPEN, UNKNOWN = "reached", "ahead", "behind", "missed", "open", "unknown"
STATUSES = (REACHED, AHEAD, BEHIND, MISSED, OPEN, UNKNOWN)

# What the value of part of a period says about the value of the whole.
ADDS_UP = "adds up"
"""The value is the sum of its days: ten days are a third of thirty."""
GROWS = "grows"
"""The value grows with every day, but days overlap, so the rate is unknown."""
PATH = "path"
"""The value at the end of a day, on the way from the opening value; or the change since the period began."""
RISES, FALLS = "rises", "falls"
"""The maximum, or minimum, so far. It can never decrease, or increase, again."""
COMPARABLE = "steady"
"""The value of a part is comparable with the whole: averages, percentiles, ratios."""
NOT_COMPARABLE = "unsteady"
"""The value of a part is not comparable with the whole, or it is unknown whether it is."""


# --- what kind of number it is ------------------------------------------------------------------------------


def nature(catalog: Catalog, metric: Metric, show: str) -> str:
    """What part of a period says about the whole: ADDS_UP, GROWS, PATH, RISES, FALLS, COMPARABLE or NOT_COMPARABLE."""
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
    return COMPARABLE if _degree_of(catalog, metric, show) == 0 else NOT_COMPARABLE


def _extreme(metric: Metric, show: str) -> str:
    """RISES for a maximum, FALLS for a minimum, else ''."""
    alone = metric.parsed is not None and not metric.per and metric.parsed.shell == ["slot", 0]
    word = metric.parsed.slots[0].agg if alone and metric.parsed and show == "total" else show
    return {"max": RISES, "min": FALLS}.get(word, "")


def _adds_up(catalog: Catalog, metric: Metric, show: str) -> bool:
    """Whether the total is the sum of its days: counts and sums whose facts belong to one day.

    Distinct counts do not add up, although the mean of daily counts is meaningful (`linear`): the same things may be
    counted on several days."""
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
    """Whether more days can only increase the value: counts and distinct counts, times positive numbers, added
    together.

    A sum of amounts may decrease, because amounts may be negative."""
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
    """Whether a shell increases with every leaf and contains nothing else."""
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
    """Whether the value is the state at the end of a day, or a formula of only such values."""
    if metric.derived and metric.parsed is not None:
        return all(_is_level(catalog, *_operand(catalog, o)) for o in metric.parsed.operands)
    return metric.kind == LEVEL and show == "last"


def _operand(catalog: Catalog, operand: Operand) -> tuple[Metric, str]:
    """The metric of an operand, and how the formula rolls it up."""
    metric = catalog.metrics[operand.metric]
    return metric, operand.show or metric.default_show


def why_no_pace(metric: Metric, show: str) -> str:
    """Why there is no pace for a value that is neither a sum, a count nor a level."""
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
    """The power of the number of days with which the value grows: 1 for sums, 0 for averages and ratios of sums, None
    if unknown."""
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
"""Degrees by aggregate. Distinct counts, minima and maxima are missing, because their growth is unknown."""


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
    """The known state of a goal in a period. Days are numbers of days.

    The true value is between `low` and `high`: equal if it is known exactly, None if it is unknown. `settled`: the
    period has ended, and collecting more of it would not change the value."""

    nature: str
    target: Fraction
    at_most: bool
    low: Fraction | None
    high: Fraction | None
    value: Fraction | None
    length: int
    """Days of the whole period."""
    gone: int
    covered: int
    position: int = 0
    """For PATH: the number of the day in the period at whose end the value was read."""
    opening: Fraction | None = None
    """For PATH: the value at the end of the day before the period."""
    over: bool
    settled: bool
    never_falls: bool = False
    """Whether more days, collected or future, can only increase the value."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The value expected by now, and the final value at the current rate; None if there is no pace."""

    expected: Fraction | None = None
    projection: Fraction | None = None


def pace(p: GoalProgress) -> Pace:
    """The pace in a running period: the target's share of the covered days, or the point on the path to the target."""
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
    """The status of a goal: one of STATUSES."""
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
    """The value with which a running period is compared: the value expected by now, or the target itself."""
    expected = pace(p).expected
    alike = p.nature == COMPARABLE or (p.nature == PATH and p.opening is not None)
    return p.target if expected is None and alike else expected


def _decided(p: GoalProgress, met: bool | None) -> str:
    """REACHED or MISSED if the rest of a running period cannot change it; else ''.

    Counts never decrease, whatever days are missing. A sum may decrease if negative amounts follow: it is judged by
    its value so far if all ended days are collected."""
    so_far = p.covered == p.gone and _begins_below(p)
    upwards = p.nature == RISES or (p.nature in (ADDS_UP, GROWS) and (p.never_falls or so_far))
    if (upwards and met and not p.at_most) or (p.nature == FALLS and met and p.at_most):
        return REACHED
    if (upwards and met is False and p.at_most) or (p.nature == FALLS and met is False and not p.at_most):
        return MISSED
    return ""


def _begins_below(p: GoalProgress) -> bool:
    """Whether a total starts on the near side of the target. It starts at 0."""
    return p.target >= 0 if p.at_most else p.target > 0


def _side(p: GoalProgress, line: Fraction) -> bool | None:
    """Whether the value is on the right side of a line; None if it may be on either side."""
    assert p.low is not None
    assert p.high is not None
    sides = {_meets(replace(p, target=line), end) for end in (p.low, p.high)}
    return sides.pop() if len(sides) == 1 else None


def _meets(p: GoalProgress, value: Fraction) -> bool:
    return value <= p.target if p.at_most else value >= p.target
