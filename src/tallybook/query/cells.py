"""The values of one metric for every period and series of a question, and arithmetic that preserves their flags."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tallybook.core import EXACT, EXACT_DIGITS, EXACTLY, FLOAT, NOT_FINITE, OperandValue, decimals_in, evaluate
from tallybook.query.merged_slots import DIGITS, OVERFLOW

EXACT_DECIMALS = EXACT_DIGITS[1]
MAX_WHOLE_DIGITS = EXACT_DIGITS[0] - EXACT_DECIMALS
_SMALLEST = Decimal(1).scaleb(-EXACT_DECIMALS)
TOO_LARGE = (
    f"the exact result, or a step of its formula, does not fit {EXACT}; "
    "for a rounded one cast to double precision inside the aggregate"
)
LOST = {
    OVERFLOW: TOO_LARGE,
    DIGITS: (
        "too few digits are left: it was collected with one K for all series and days; tallybook run {name} "
        "--from {day}"
    ),
}
"""Why a value cannot be computed, by the code that merging returns."""
Key = tuple[date, tuple[str | None, ...]]
"""(first day of the period, dimension values)."""


@dataclass(slots=True)
class Cell:
    """One value with its flags. `bounds`: (minimum, maximum) if the exact value cannot be known."""

    value: OperandValue = None
    approximate: bool = False
    carried: bool = False
    bounds: tuple[OperandValue, OperandValue] | None = None
    why: str | None = None


MergedTotal = Mapping[Key, Cell]
"""The totals of one metric over all its covered days, by period and series, merged in one statement with other metrics.

Copy each cell before use: a metric that is also an operand is used several times, and finishing a cell changes it."""


@dataclass(frozen=True, kw_only=True)
class ChosenDays:
    """The cells of a metric on one chosen day per period, merged in one statement with other metrics. `targets`:
    (period, day)."""

    targets: tuple[tuple[date, date], ...]
    cells: MergedTotal


MergedValues = MergedTotal | ChosenDays


def copied(cells: MergedTotal) -> dict[Key, Cell]:
    """Copies of the cells of a merged metric, which may be modified."""
    return {key: Cell(one.value, one.approximate, one.carried, one.bounds, one.why) for key, one in cells.items()}


@dataclass(slots=True)
class MetricPeriod:
    """A period of one metric. `first` and `last` are clipped to the question.

    `absent_is_known`: a series without a point is known to have had no fact."""

    start: date
    first: date
    last: date
    expected: int
    days: int
    """Covered days that have ended."""
    known: int
    """Covered days, including the running one."""
    target: date | None = None
    """The day whose value represents the period, for shows of one day."""
    beyond_target: int = 0
    """Ended days after the chosen day that should be covered; for the first day's value, days before it."""
    absent_is_known: bool = True
    as_of: str | None = None
    why: str | None = None
    last_closed: date | None = None
    """Set while the period is still running: its last day that has ended."""
    imported: str | None = None
    """The imported definition that provides its values."""
    remark: str | None = None
    """A note on its values, whether they are known or not."""
    has_one_day: bool = False
    """Whether only one of its days counts, because the others have other weekdays."""
    unexpected: int = 0
    """Ended days of the period that are not covered and need not be."""


@dataclass(kw_only=True)
class Solved:
    """The solved values of a metric. `cells`: of series with a fact. `empty`: the value of a covered period without
    facts."""

    cells: dict[Key, Cell]
    periods: dict[date, MetricPeriod]
    empty: OperandValue
    type: str
    show: str
    said: str = ""
    overlapping: bool = False
    """Whether values of several days may count the same things, so that only bounds are known."""
    operands: list[Solved] = field(default_factory=list)
    shell: list[Any] = field(default_factory=list)
    """For a derived metric: the formula of its operands."""

    @functools.cached_property
    def seen(self) -> frozenset[date]:
        """Periods in which some series has a cell."""
        return frozenset(start for start, _ in self.cells)

    def at(self, key: Key) -> Cell:
        """The cell of a period and series, even if the series has no fact."""
        found = self.cells.get(key)
        if found is not None:
            return found
        if self.operands:
            return formula_of(self.shell, [operand.at(key) for operand in self.operands], self.type)
        period = self.periods[key[0]]
        if period.why is None and period.absent_is_known:
            overlap = self.overlapping and period.first != period.last and not period.has_one_day and period.known
            return between(self.empty, self.empty) if overlap else Cell(self.empty)
        return Cell(why=period.why)


def formula_of(shell: list[Any], cells: Sequence[Cell], type_: str) -> Cell:
    """The value of a derived metric, in the type of its declaration."""
    unknown = next((c for c in cells if c.why or c.bounds), None)
    if unknown is not None:
        return Cell(why=unknown.why or "an operand is only known between bounds")
    try:
        value = evaluate(shell, [c.value for c in cells])
    except OverflowError:
        return Cell(why=NOT_FINITE)
    found = Cell(value, any(c.approximate for c in cells), any(c.carried for c in cells))
    if type_ == FLOAT and value is not None:
        found.value = float(value)
    return found if type_ == FLOAT else within_exact(found)


def within_exact(cell: Cell) -> Cell:
    """A cell with its exact value as DECIMAL(38,10), rounded half up. On overflow the value is null, with a reason."""
    if cell.value is None or isinstance(cell.value, float):
        return cell
    exact = Decimal(cell.value)
    if decimals_in(exact) > EXACT_DECIMALS:
        exact = exact.quantize(_SMALLEST, ROUND_HALF_UP, EXACTLY)
    if exact and exact.adjusted() >= MAX_WHOLE_DIGITS:
        return Cell(None, why=TOO_LARGE)
    cell.value = exact
    return cell


def merged(name: str, row: Sequence[Any], dims: int) -> Cell:
    """The cell for a row of a metric in `Parts.fetched`: g, `dims` keys, value, approximate, carried, lost."""
    value, approximate, carried, lost = row[dims + 1 :]
    return Cell(
        Decimal(value) if isinstance(value, str) else value, approximate, carried, why=why_lost(name, row[0], lost)
    )


def only_finite(cell: Cell) -> None:
    """Remove an infinite float or NaN from a cell, because nothing can be computed with it."""
    if isinstance(cell.value, float) and not math.isfinite(cell.value):
        cell.value, cell.why = None, cell.why or NOT_FINITE


def why_lost(name: str, day: date, lost: int) -> str | None:
    return LOST[lost].format(name=name, day=day) if lost else None


def between(low: OperandValue, high: OperandValue) -> Cell:
    why = "only daily counts of distinct things are known; those of several days overlap"
    return Cell(None, bounds=(low, high), why=why)


def minus(a: Cell, b: Cell) -> Cell:
    if a.value is None or b.value is None:
        return Cell(why=a.why or b.why)
    mixed = isinstance(a.value, float) or isinstance(b.value, float)
    value = float(a.value) - float(b.value) if mixed else EXACTLY.subtract(Decimal(a.value), Decimal(b.value))
    return within_exact(Cell(value, a.approximate or b.approximate, a.carried or b.carried))


def mean_of(total: Any, blank: int, empty: OperandValue, days: int) -> float:
    extra = (empty or 0) * blank
    both = float(total) + float(extra) if isinstance(total, float) else total + Decimal(extra)
    return float(both / days)


def plain(value: OperandValue, type_: str) -> Any:
    """A value for output: int, Decimal without trailing zeros, or float."""
    if value is None:
        return None
    if type_ == FLOAT:
        return float(value)
    exact = Decimal(value)
    if exact == exact.to_integral_value():
        return int(exact) if type_ == "integer" else exact.quantize(Decimal(1), context=EXACTLY)
    return exact.normalize(EXACTLY)
