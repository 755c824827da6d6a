"""Tables with one row a day: which numbers add up over days, which are states, shares, or counts of people."""

from __future__ import annotations

from dataclasses import dataclass

from tallybook.draft.column_words import COUNTS_OF_PEOPLE, STATES_OF_A_DAY
from tallybook.draft.evidence import Movement, distinct_share, instants, is_share, movement
from tallybook.draft.seen import SeenColumn, SeenTable, by_day
from tallybook.draft.table_words import DAILY, USAGE
from tallybook.draft.time_words import LATER
from tallybook.draft.words import singular, words

FLOW, STATE, SHARE, PEOPLE_COUNT, UNKNOWN = "flow", "state", "share", "people", "unknown"
SLOW_STEP = 0.06
"""A number that moves by less of its size from day to day is a state."""
SHARE_WORDS = frozenset(
    [
        "percent",
        "percentage",
        "pct",
        "share",
        "rate",
        "ratio",
        "avg",
        "average",
        "mean",
        "median",
        "proportion",
        "fraction",
    ]
)
_LIFETIME_WORDS = frozenset(("ever", "lifetime", "cumulative", "cum", "total", "alltime"))
_FLOW_WORDS = frozenset(
    (
        *USAGE,
        *[
            "signup",
            "registration",
            "order",
            "sale",
            "revenue",
            "amount",
            "payment",
            "new",
            "cost",
            "spend",
            "conversion",
            "cancellation",
            "refund",
        ],
        *[
            "install",
            "sent",
            "open",
            "purchase",
            "post",
            "comment",
            "minute",
            "hour",
            "byte",
            "count",
            "earning",
            "income",
        ],
    )
)


@dataclass(frozen=True)
class DailyNumber:
    """How a number of a daily table behaves, and why."""

    sort: str
    why: str
    counter: bool = False
    """Whether it is a lifetime counter."""


def day_column(table: SeenTable, *, has_amount: bool) -> SeenColumn | None:
    """The day of a table with one row per day and series; None for other tables."""
    days = sorted((c for c in table.times if by_day(c) and not set(c.words) & LATER), key=lambda c: not _is_bare(c))
    named = {singular(w) for w in words(table.bare)} & DAILY_NOUNS
    for column in days:
        if any(len(k) > 1 and column.name.casefold() in {part.casefold() for part in k} for k in table.unique):
            return column
        if set(words(table.name)) & DAILY and not has_amount:
            return column
        if table.unique_by(column.name) or (_once_a_day(table, column) and not any(c.key for c in table.columns)):
            return column
    for column in days:
        if _is_bare(column) and _splits_days(table, column):
            return column
    keyless = not any(c.key for c in table.columns) and any(c.number and not c.an_id for c in table.columns)
    return next((c for c in days if named or (keyless and not has_amount and _is_bare(c))), None)


def _is_bare(column: SeenColumn) -> bool:
    """Whether the name says day or date, and nothing about which day."""
    return set(column.words) <= {"day", "date", "ds", "dt", "d"}


_COUNTS = frozenset(("count", "total", "number", "sum"))
DAILY_NOUNS = frozenset(("daily", "snapshot", "balance"))


def _once_a_day(table: SeenTable, day: SeenColumn) -> bool:
    """Whether no day has two rows."""
    numbers_ = any(c.number and not c.an_id for c in table.columns)
    return numbers_ and len(day.values) >= 5 and distinct_share(day.values) == 1.0


def _splits_days(table: SeenTable, day: SeenColumn) -> bool:
    """Whether each day has one row for each of a few values: a daily count by type."""
    counts = any(c.number and not c.an_id and {singular(w) for w in c.words} & _COUNTS for c in table.columns)
    return counts and _splitting(table, day) is not None


def _splitting(table: SeenTable, day: SeenColumn) -> SeenColumn | None:
    """The column with few values that distinguishes the rows of a day."""
    for column in table.columns:
        few = 2 <= len(column.texts) <= 20 and column.time is None and not column.nulls
        if few and not column.key and 3 * len(column.texts) < table.rows:
            pairs = list(zip(day.cells, column.cells, strict=True))
            if len(set(pairs)) == len(pairs):
                return column
    return None


def series_of(table: SeenTable, day: SeenColumn) -> list[SeenColumn]:
    """The columns that distinguish the rows of one day."""
    key = next((k for k in table.unique if len(k) > 1 and day.name in k), ())
    found = [c for c in table.columns if (c.name in key or c.an_id) and c is not day and not c.key]
    split = None if key or found or distinct_share(day.values) == 1.0 else _splitting(table, day)
    return [split] if split is not None else found


def daily_number(table: SeenTable, day: SeenColumn, column: SeenColumn) -> DailyNumber:
    """How one number behaves: by its values first, then by its words. Unknown where both disagree."""
    named = {singular(word) for word in column.words}
    if named & SHARE_WORDS or (is_share(column.values) and not named & _FLOW_WORDS):
        return DailyNumber(SHARE, f"{column.name} is a share or a mean, which does not add up")
    if set(column.words) & COUNTS_OF_PEOPLE:
        return DailyNumber(PEOPLE_COUNT, "daily counts of people overlap, so they do not add up over days")
    moves = movement(_runs(table, day, column))
    stock = bool(
        set(column.words) & STATES_OF_A_DAY or {singular(w) for w in words(table.bare)} & {"balance", "snapshot"}
    )
    counter = bool(named & _LIFETIME_WORDS) or (moves is not None and moves.never_falls and moves.starts_high)
    if moves is None:
        sort = STATE if stock or named & {"ever", "lifetime"} else FLOW if named & _FLOW_WORDS else UNKNOWN
        return DailyNumber(sort, f"{column.name} is a state at the end of a day by its name")
    return _by_movement(column, moves, named, stock=stock, counter=counter)


def _by_movement(column: SeenColumn, moves: Movement, named: set[str], *, stock: bool, counter: bool) -> DailyNumber:
    flow = bool(named & _FLOW_WORDS)
    if moves.never_falls and (moves.starts_high or named & _LIFETIME_WORDS):
        return DailyNumber(STATE, f"{column.name} never falls and began before its first day: a counter", counter=True)
    if moves.median_step < SLOW_STEP and not flow:
        return DailyNumber(
            STATE, f"{column.name} moves by {moves.median_step:.1%} a day: a state, which does not add up"
        )
    if stock and not (flow and moves.median_step > SLOW_STEP):
        return DailyNumber(STATE, f"{column.name} is a state at the end of a day, which does not add up over days")
    if moves.never_falls:
        return DailyNumber(
            UNKNOWN, f"{column.name} never falls: a counter, or a growing number of each day", counter=counter
        )
    if moves.median_step < SLOW_STEP:
        return DailyNumber(UNKNOWN, f"{column.name} moves by {moves.median_step:.1%} a day: perhaps a state")
    return DailyNumber(FLOW, f"{column.name} of each day, which adds up")


def _runs(table: SeenTable, day: SeenColumn, column: SeenColumn) -> list[list[object]]:
    """The values of each series, in the order of days."""
    series = series_of(table, day)
    found: dict[tuple[str, ...], dict[float, object]] = {}
    for place, (time, value) in enumerate(zip(instants(day), column.cells, strict=True)):
        key = tuple(str(c.cells[place]) for c in series)
        if time is not None and value is not None:
            found.setdefault(key, {})[time] = value
    return [[values[time] for time in sorted(values)] for values in found.values()]
