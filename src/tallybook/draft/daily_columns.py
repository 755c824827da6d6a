"""Judges the numbers of tables with one row per day: which add up over days, and which are states, shares, or counts of
people."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from tallybook.collect import INT
from tallybook.draft.column_words import COUNTS_OF_PEOPLE, STATES_OF_A_DAY
from tallybook.draft.evidence import MIN_ROWS, Movement, distinct_share, instants, is_share, movement, numbers
from tallybook.draft.seen import SeenColumn, SeenTable, by_day
from tallybook.draft.table_words import ACCOUNTS, DAILY, USAGE
from tallybook.draft.time_words import LATER
from tallybook.draft.words import singular, words

FLOW, STATE, SHARE, PEOPLE_COUNT, UNKNOWN = "flow", "state", "share", "people", "unknown"
HIGHEST, LOWEST, PERCENTILE = "highest", "lowest", "percentile"
SLOW_STEP = 0.06
"""A number whose daily change is a smaller share of its size than this is a state."""
MAX_STATE_STEP = 0.3
"""A number whose daily change is a larger share of its size than this is not a state, whatever its table is called."""
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
        *("ctr", "cpc", "cpm", "cpa", "cpl", "roas", "roi", "arpu", "arppu", "aov", "adr", "revpar", "stickiness"),
        *("per", "index", "score", "position", "frequency", "temperature", "temp", "humidity", "voltage", "pressure"),
        *("speed", "latency", "elo", "mmr", "age"),
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
            "second",
            "uptime",
            "downtime",
            "duration",
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
    quotient: tuple[SeenColumn, SeenColumn, int] | None = None
    """The (dividend, divisor, factor) of a share: two other columns of the table."""


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
        if is_monthly(column) and _once_a_period(table, column):
            return column
    keyless = not any(c.key for c in table.columns) and any(c.number and not c.an_id for c in table.columns)
    return next((c for c in days if named or (keyless and not has_amount and _is_bare(c))), None)


def _is_bare(column: SeenColumn) -> bool:
    """Whether the name says day or date, and nothing about which day."""
    return set(column.words) <= {"day", "date", "ds", "dt", "d"}


MAX_COMPARED = 40
"""Maximum number of rows in which a number is compared with the quotients of others."""
_PERCENTILE = re.compile(r"p\d{2,4}")
_EXTREMES = {"max": HIGHEST, "maximum": HIGHEST, "peak": HIGHEST, "highest": HIGHEST, "min": LOWEST, "minimum": LOWEST}
_CHANGE_WORDS = frozenset(("change", "delta", "diff", "difference"))
_FIRST_TIME = frozenset(("new", "signups", "registrations", "registered", "joined", "added", "first"))
_DISTINCT = frozenset(("unique", "uniques", "distinct"))
"""Words of numbers of different people, whatever they did."""
_COUNTS = frozenset(("count", "total", "number", "sum"))
DAILY_NOUNS = frozenset(("daily", "snapshot", "balance"))


def _once_a_day(table: SeenTable, day: SeenColumn) -> bool:
    """Whether no day has two rows."""
    numbers_ = any(c.number and not c.an_id for c in table.columns)
    return numbers_ and len(day.values) >= 5 and distinct_share(day.values) == 1.0


def is_monthly(column: SeenColumn) -> bool:
    """Whether all times are first or last days of months, of at least three months."""
    days = {datetime.fromtimestamp(time, UTC).date() for time in instants(column) if time is not None}
    if len(days) < 3 or len(column.values) < MIN_ROWS:
        return False
    return all(day.day == 1 for day in days) or all((day + timedelta(days=1)).day == 1 for day in days)


def _once_a_period(table: SeenTable, day: SeenColumn) -> bool:
    """Whether no period has two rows, or two rows of one id or category."""
    if not any(c.number and not c.an_id for c in table.columns):
        return False
    if distinct_share(day.values) == 1.0:
        return True
    for column in table.columns:
        if column is not day and not column.key and not column.nulls and (column.an_id or column.textual):
            pairs = list(zip(day.cells, column.cells, strict=True))
            if len(set(pairs)) == len(pairs):
                return True
    return False


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
    """The behavior of one number: by its values first, then by its words. Unknown if the two disagree."""
    named = {singular(word) for word in column.words}
    if any(_PERCENTILE.fullmatch(word) for word in column.words) or "percentile" in named:
        return DailyNumber(
            PERCENTILE, f"{column.name}: the percentile of a week does not follow from those of its days"
        )
    if quotient := quotient_of(table, column):
        return DailyNumber(SHARE, f"{quotient[0].name} / {quotient[1].name} in the rows", quotient=quotient)
    if named & SHARE_WORDS or (is_share(column.values) and not named & _FLOW_WORDS):
        return DailyNumber(SHARE, f"{column.name} is a share or a mean, which does not add up")
    if extremes := [_EXTREMES[word] for word in column.words if word in _EXTREMES]:
        sort = extremes[0]
        return DailyNumber(sort, f"{column.name} is the {sort} of a day, which does not add up")
    if named & _CHANGE_WORDS:
        return DailyNumber(FLOW, f"{column.name} is the change of each day, which adds up")
    if _counts_people(table, column):
        return DailyNumber(PEOPLE_COUNT, "daily counts of people overlap, so they do not add up over days")
    moves = movement(_runs(table, day, column))
    by_table = bool({singular(w) for w in words(table.bare)} & {"balance", "snapshot"})
    stock = bool(set(column.words) & STATES_OF_A_DAY) or by_table
    counter = bool(named & _LIFETIME_WORDS) or (moves is not None and moves.never_falls and moves.starts_high)
    if moves is None:
        sort = STATE if stock or named & {"ever", "lifetime"} else FLOW if named & _FLOW_WORDS else UNKNOWN
        return DailyNumber(sort, f"{column.name} is a state at the end of a day by its name")
    if by_table and not set(column.words) & STATES_OF_A_DAY and moves.median_step > MAX_STATE_STEP:
        return DailyNumber(UNKNOWN, f"{column.name} moves by {moves.median_step:.0%} a day: perhaps no state")
    return _by_movement(column, moves, named, stock=stock, counter=counter)


def _counts_people(table: SeenTable, column: SeenColumn) -> bool:
    """Whether a number counts people, who return on other days. New people count only once."""
    named = set(column.words)
    if named & _DISTINCT:
        return True
    if named & _FIRST_TIME or {singular(w) for w in named} & (_FLOW_WORDS - {"count"} - set(USAGE)):
        return False
    if named & COUNTS_OF_PEOPLE:
        return True
    of_table = set(words(table.bare))
    plain = named <= _COUNTS | {"n", "value", "cnt", "daily"}
    return plain and bool(of_table & (COUNTS_OF_PEOPLE | {"active", "actives"})) and not of_table & _FIRST_TIME


def quotient_of(table: SeenTable, column: SeenColumn) -> tuple[SeenColumn, SeenColumn, int] | None:
    """The (dividend, divisor, factor) of a number that is the quotient of two other numbers in nearly all rows."""
    if column.type.kind == INT or column.an_id:
        return None
    others = [c for c in table.columns if c.number and c is not column and not c.an_id and c.time is None]
    for factor in (1, 100, 1000):
        for dividend in others:
            for divisor in others:
                if dividend is not divisor and _divides(column, dividend, divisor, factor):
                    return dividend, divisor, factor
    return None


def _divides(column: SeenColumn, dividend: SeenColumn, divisor: SeenColumn, factor: int) -> bool:
    """Whether column = factor * dividend / divisor, within rounding."""
    known = good = 0
    for cell, above, below in zip(column.cells[:MAX_COMPARED], dividend.cells, divisor.cells, strict=False):
        triple = numbers((cell, above, below))
        if len(triple) == 3 and triple[2] and triple[0]:
            known += 1
            quotient = factor * triple[1] / triple[2]
            good += abs(triple[0] - quotient) <= max(0.01 * abs(quotient), _half_digit(cell))
            if known - good > 0.1 * MAX_COMPARED:
                return False
    different = len(set(map(str, divisor.values[:MAX_COMPARED]))) > 2
    return known >= MIN_ROWS and good >= 0.9 * known and different


def _half_digit(value: object) -> float:
    """Half of the last written digit, at most 0.005: the largest change by rounding."""
    digits = len(str(value).partition(".")[2])
    return float(0.5 * 10.0**-digits) if digits >= 2 else 0.005


# --- the calendar ------------------------------------------------------------------------------------------------

_PARTS_OF_A_DAY: tuple[Callable[[date], int], ...] = (
    lambda day: day.year,
    lambda day: day.isocalendar().year,
    lambda day: (day.month + 2) // 3,
    lambda day: day.month,
    lambda day: day.day,
    lambda day: day.isocalendar().week,
    lambda day: int(day.strftime("%U")),
    lambda day: int(day.strftime("%W")),
    lambda day: day.timetuple().tm_yday,
    lambda day: day.isoweekday(),
    lambda day: day.weekday(),
    lambda day: day.isoweekday() % 7,
    lambda day: day.isoweekday() % 7 + 1,
    lambda day: day.year * 100 + day.month,
    lambda day: day.year * 10_000 + day.month * 100 + day.day,
)


def is_part_of_day(day: SeenColumn, column: SeenColumn) -> bool:
    """Whether a number is the year, month, week or another part of the day of its row."""
    pairs = [
        (datetime.fromtimestamp(time, UTC).date(), int(value))
        for time, value in zip(instants(day), column.cells, strict=True)
        if time is not None and isinstance(value, int) and not isinstance(value, bool)
    ]
    if len(pairs) < MIN_ROWS or len(pairs) < len(column.values):
        return False
    return any(all(part(when) == value for when, value in pairs) for part in _PARTS_OF_A_DAY)


_CALENDAR_WORDS = frozenset(("date", "dates", "calendar", "day", "days", "time"))


def is_calendar(table: SeenTable, day: SeenColumn) -> bool:
    """Whether the rows are the days of a calendar, and not events on those days."""
    parts = sum(is_part_of_day(day, column) for column in table.columns if column.number and column is not day)
    once = distinct_share(day.values) == 1.0
    return once and (parts >= 3 or (parts >= 1 and set(words(table.bare)) <= _CALENDAR_WORDS))


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
    if set(map(singular, column.words)) & ACCOUNTS and not set(column.words) & _FIRST_TIME:
        return DailyNumber(PEOPLE_COUNT, "daily counts of people overlap, so they do not add up over days")
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
