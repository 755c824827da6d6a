"""The SQL that Tallybook writes for a source. It wraps the user's SQL in SELECT, CASE WHEN, GROUP BY and aggregates,
and never translates it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from tallybook.collect.sources.readings import (
    DIGITS,
    EPOCHS,
    FIRST_POSSIBLE,
    LAST_POSSIBLE,
    NUMBERS as NUMBER_FORMS,
    UNITS,
    YYYYMMDD,
)
from tallybook.collect.sources.values import DECLARED, FLOAT, ColumnType, Moments, as_float, digits_lost
from tallybook.core import ONE_DAY, SourceError, table_parts, zone

if TYPE_CHECKING:
    from tallybook.core import SourceKind


@dataclass(frozen=True)
class TimeForm:
    """How a time column stores time: `instant`, `naive` (in `zone`), `date`, `midnight` (a naive time that means a
    date), `epoch_s`, `epoch_ms`, `epoch_us`, `epoch_ns`, `yyyymmdd`, or text: `text_space`, `text_t`, `text_date`,
    `text_offset`, and `text_` before the forms of numbers."""

    name: str
    zone: str = "UTC"

    @property
    def by_day(self) -> bool:
        """Whether the column contains dates without a zone."""
        return self.name in ("date", "midnight", "text_date", YYYYMMDD, f"text_{YYYYMMDD}")

    @property
    def is_text(self) -> bool:
        return self.name.startswith("text_")

    @property
    def number(self) -> str:
        """The number form, also if it is stored as text: epoch_s for text_epoch_s. Empty for other forms."""
        name = self.name.removeprefix("text_")
        return name if name in NUMBER_FORMS else ""

    @property
    def meaning(self) -> str:
        """The part of the form that belongs to a metric's definition. Whether text has a 'T' or a blank does not."""
        names = {
            "text_space": "naive",
            "text_t": "naive",
            "text_date": "date",
            "midnight": "date",
            "text_offset": "instant",
            YYYYMMDD: "date",
        }
        name = self.number or self.name
        name = names.get(name, name)
        return f"{name} {self.zone}" if name == "naive" else name

    @property
    def says(self) -> str:
        if self.number:
            said = f"as {UNITS[self.number]} since 1970" if self.number in UNITS else "as plain dates like 20260302"
            return said + (", as text" if self.is_text else "")
        known = {
            "instant": "as instants",
            "date": "as plain dates",
            "midnight": "as plain dates at midnight",
            "text_date": "as text, plain dates",
            "text_offset": "as text with an offset from UTC",
        }.get(self.name)
        where = "UTC" if self.zone == "UTC" else f"the local time of {self.zone}"
        return known or f"without a zone, read as {where}" + (", as text" if self.name.startswith("text") else "")


class Dialect:
    """Writes SQL for a source. Pure: no method connects, and the same arguments give the same text.

    The defaults are ANSI SQL; an adapter overrides what its database writes differently."""

    kind: ClassVar[SourceKind]
    """The descriptor of the source."""
    no_inline_suffix: str = ""
    """SQL appended to a subquery so that the optimizer does not inline it (such as OFFSET 0)."""
    grouping_sets: bool = False
    """Whether it supports GROUPING SETS."""
    calendar_times: bool = False
    """Whether its time types contain only calendar times: no infinity, zero dates or years BC."""

    @property
    def dialect(self) -> str:
        """sqlglot's name for its SQL."""
        return self.kind.dialect

    def quote(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    def table_name(self, name: str) -> str:
        return ".".join(self.quote(part) for part in table_parts(name))

    def limited(self, select: str, rows: int) -> str:
        """A SELECT of at most `rows` rows."""
        return f"{select} LIMIT {rows}"

    def as_value(self, condition: str) -> str:
        """A condition as a value: not null if it is true, otherwise null."""
        return condition

    def count(self, what: str) -> str:
        return f"COUNT({what})"

    def fetched_time(self, expression: str, form: TimeForm) -> str:
        """The expression that fetches a time without loss in the driver."""
        return expression

    many_groups = ""
    """A hint after SELECT for statements with about as many groups as rows."""

    def grouping(self, place: int, expression: str) -> list[str]:
        """The GROUP BY terms for column number `place` of the SELECT."""
        return [str(place)]

    def partition_by_terms(self, name: str, expression: str) -> list[str]:
        """The PARTITION BY terms for an `expression` with the alias `name`."""
        return [name]

    def with_null_on_no_match(self, select: str) -> str:
        """A SELECT over LEFT JOINs that returns nulls for rows without a match (ClickHouse: join_use_nulls)."""
        return select

    def min_or_null(self, expression: str) -> str:
        """The minimum, or null over no rows."""
        return f"MIN({expression})"

    def indexing(self, name: str, table: str, column: str) -> str:
        """The statement that creates an index on a column."""
        return f"CREATE INDEX {name} ON {self.table_name(table)} ({self.quote(column)})"

    def text(self, expression: str, type_: ColumnType) -> str:
        """A text expression that groups by exact characters."""
        return expression

    def is_text(self, expression: str) -> str:
        """The condition that a value is text, if the column type does not guarantee it. Otherwise empty."""
        return ""

    def finite(self, expression: str) -> str:
        """The condition that a number is neither NaN nor infinite."""
        return f"{expression} not in ('NaN', 'Infinity', '-Infinity')"

    def float(self, expression: str) -> str:
        return f"CAST({expression} AS DOUBLE PRECISION)"

    def total(self, expression: str, type_: ColumnType) -> list[str]:
        """The columns from which `read_total` computes an exact sum."""
        if not type_.declared.startswith(DECLARED):
            return [f"SUM({expression})"]
        exact = f"CAST({expression} AS DECIMAL(38, {type_.scale}))"
        if type_.declared != DECLARED + FLOAT:
            return [f"SUM({exact})"]
        return [f"SUM({exact})", *self.rounded(expression, type_)]

    def read_total(self, values: Sequence[Any], type_: ColumnType) -> Any:
        """The sum: a Decimal or int if it is exact, otherwise a float. None over no values."""
        if len(values) > 1 and values[1]:
            raise digits_lost(int(values[1]), type_)
        return values[0]

    def spread(self, expression: str, type_: ColumnType) -> list[str]:
        """The columns from which `read_spread` computes the mean and the variance."""
        number = self.float_of(expression, type_)
        return [f"AVG({number})", f"VAR_POP({number})", f"MIN({number})", f"MAX({number})"]

    def float_of(self, expression: str, type_: ColumnType) -> str:
        return self.float(expression)

    def read_spread(self, values: Sequence[Any]) -> Moments:
        """(mean, population variance). None over no values.

        If all values are equal, it is that value and 0, because a server may be off in the last digit."""
        mean, variance, low, high = (as_float(value) for value in values)
        if mean is None or low is None or high is None:
            return None, None
        return (low, 0.0) if low == high else (min(max(mean, low), high), max(variance or 0.0, 0.0))

    def value(self, expression: str, type_: ColumnType) -> str:
        """A number in a form in which it is compared and fetched exactly."""
        declared = type_.declared.startswith(DECLARED)
        return f"CAST({expression} AS DECIMAL(38, {type_.scale}))" if declared else expression

    def no_numbers(self, expression: str, type_: ColumnType) -> str | None:
        """The condition that a value is not a number although it should be. None if the type prevents that."""
        return None

    def value_key(self, expression: str, type_: ColumnType) -> str:
        """`value` as a group key. A value that cannot be read exactly becomes a key that is refused."""
        return self.value(expression, type_)

    def rounded(self, expression: str, type_: ColumnType) -> list[str]:
        """The columns from which `read_rounded` detects rounded values."""
        if type_.declared != DECLARED + FLOAT:
            return []
        exact = f"CAST({expression} AS DECIMAL(38, {type_.scale}))"
        return [f"SUM(CASE WHEN {self._off(expression, exact, type_)} THEN 1 END)"]

    def _off(self, expression: str, exact: str, type_: ColumnType) -> str:
        """The condition that a float is not the `exact` number with its declared digits. A float for money differs only
        in its last bits; a larger difference means undeclared digits."""
        digits = (type_.scale or 0) + 3
        return f"ABS({expression} - {self.float(exact)}) > 1e-{digits} + 1e-15 * ABS({expression})"

    def read_rounded(self, values: Sequence[Any], type_: ColumnType) -> None:
        """Raise SourceError if values were rounded."""
        if values and values[0]:
            raise digits_lost(int(values[0]), type_)

    def number_key(self, number: str, expression: str, type_: ColumnType) -> str:
        """`number`, or the `expression` itself if it is not a number, so that this is detected on arrival."""
        wrong = self.no_numbers(expression, type_)
        return f"CASE WHEN {wrong} THEN {expression} ELSE {number} END" if wrong else number

    def read_value(self, value: Any, type_: ColumnType) -> Any:
        return value

    def instant_literal(self, instant: datetime) -> str:
        return f"TIMESTAMP WITH TIME ZONE '{instant:%Y-%m-%d %H:%M:%S}+00:00'"

    def naive_literal(self, naive: datetime) -> str:
        return f"TIMESTAMP '{naive:%Y-%m-%d %H:%M:%S}'"

    def date_literal(self, day: date) -> str:
        return f"DATE '{day}'"

    def text_instant_literal(self, instant: datetime) -> str:
        """An instant literal for comparison with `text_as_instant`."""
        return self.instant_literal(instant)

    def text_as_instant(self, column: str) -> str:
        """An expression for the instant in a text with an offset, in whole seconds or finer."""
        raise SourceError(f"{type(self).__name__} does not read times with an offset from text")

    def bound(self, form: TimeForm, instant: datetime, day: date) -> str:
        """The beginning of `day`, which is `instant`, as a literal to compare the bare time column with."""
        match form.name:
            case "instant":
                return self.instant_literal(instant)
            case "naive":
                return self.naive_literal(_naive(instant, form.zone))
            case "midnight":
                return self.naive_literal(datetime(day.year, day.month, day.day))
            case "date":
                return self.date_literal(day)
            case "epoch_s" | "epoch_ms" | "epoch_us" | "epoch_ns":
                return str(int(instant.timestamp()) * EPOCHS[form.name])
            case "yyyymmdd":
                return f"{day:%Y%m%d}"
            case "text_yyyymmdd":
                return f"'{day:%Y%m%d}'"
            case "text_epoch_s" | "text_epoch_ms" | "text_epoch_us" | "text_epoch_ns":
                number = max(0, int(instant.timestamp())) * EPOCHS[form.number]
                return f"'{number:0{DIGITS[form.number]}}'"
            case "text_date":
                return f"'{day}'"
            case "text_space" | "text_t":
                return f"'{_text_time(_naive(instant, form.zone), form.name)}'"
            case "text_offset":
                return self.text_instant_literal(instant)
        raise SourceError(f"no literal for times stored {form.name}")

    def time_value(self, column: str, form: TimeForm) -> str:
        """The value to compare with `bound`: the bare column, except for text with offsets."""
        return self.text_as_instant(column) if form.name == "text_offset" else column

    def within(self, column: str, form: TimeForm, start: tuple[datetime, date], end: tuple[datetime, date]) -> str:
        """The condition that a time lies in [start, end); each is (instant, day)."""
        exact = self.between(self.time_value(column, form), form, start, end)
        return exact if form.name != "text_offset" else f"{self.wide(column, start, end)} AND {exact}"

    def between(self, value: str, form: TimeForm, start: tuple[datetime, date], end: tuple[datetime, date]) -> str:
        return f"{value} >= {self.bound(form, *start)} AND {value} < {self.bound(form, *end)}"

    def possible(self, column: str, form: TimeForm) -> list[str]:
        """Conditions on the bare column that a time exists in the calendar. They can use its index."""
        if self.calendar_times and form.name in ("instant", "naive", "midnight", "date"):
            return [f"{column} IS NOT NULL"]
        if form.name == "text_offset":
            return [f"{column} >= '{FIRST_POSSIBLE}' AND {column} < '{LAST_POSSIBLE}'"]
        first, last = ((datetime(d.year, d.month, d.day, tzinfo=UTC), d) for d in self._reach(form))
        return [self.between(column, form, first, last)]

    @staticmethod
    def _reach(form: TimeForm) -> tuple[date, date]:
        """The first and last day that a form can represent."""
        if form.name == "epoch_ns":  # limited by 64 bits
            return date(1678, 1, 1), date(2262, 1, 1)
        return FIRST_POSSIBLE, LAST_POSSIBLE

    def substring(self, text: str, start: int, length: int) -> str:
        return f"SUBSTR({text}, {start}, {length})"

    def as_digits(self, number: str) -> str:
        """A number as text."""
        return f"CAST({number} AS VARCHAR(20))"

    def real_day(self, column: str, form: TimeForm) -> str | None:
        """The condition that the day of a time exists in its month. None if the type guarantees it.

        Times compare as written, so 30 February would count on the last day of the month."""
        if form.number in EPOCHS or not (form.is_text or form.number):
            return None
        text, month, day = column, 6, 9
        if form.number:
            text, month, day = column if form.is_text else self.as_digits(column), 5, 7
        m, d = self.substring(text, month, 2), self.substring(text, day, 2)
        leap = ", ".join(f"'{year:02}'" for year in range(0, 100, 4))
        long_month = f"({m} <> '02' AND ({d} < '31' OR {m} NOT IN ('04', '06', '09', '11')))"
        leap_year = f"{self.substring(text, 3, 2)} IN ({leap}) AND {self.substring(text, 1, 4)} NOT IN ('1900', '2100')"
        last_days = f"({d} < '29' OR {long_month} OR ({d} = '29' AND {leap_year}))"
        return f"({m} BETWEEN '01' AND '12' AND {d} BETWEEN '01' AND '31' AND {last_days})"

    def real_clock(self, column: str) -> str:
        """The condition that the time of day and the offset in a text such as 2026-03-04 10:30:00+02:00 exist.

        Databases disagree on 24:00 and +25:00: some read another day, some read null, and some fail."""
        hours, tens = ", ".join(f"'{hour:02}'" for hour in range(24)), "'0', '1', '2', '3', '4', '5'"
        second = f"({column} NOT LIKE '{'_' * 16}:%' OR {self.substring(column, 18, 1)} IN ({tens}))"
        offset = f"REPLACE({self.substring(column, 12, 60)}, '-', '+')"  # never empty: null on Oracle
        ahead = " OR ".join(f"{offset} LIKE '%+{hour}%'" for hour in ("0_", "10", "11", "12", "13", "14", "15"))
        never = ("%+%+%", "%+__:__:%", *(f"%+__{colon}{ten}%" for colon in ("", ":") for ten in "6789"))
        other = " AND ".join(f"{offset} NOT LIKE '{one}'" for one in never)
        zone = f"({offset} NOT LIKE '%+%' OR ({ahead}) AND {other})"
        clock = f"{self.substring(column, 12, 2)} IN ({hours}) AND {self.substring(column, 15, 1)} IN ({tens})"
        return f"({column} LIKE '____-__-__' OR {clock} AND {second} AND {zone})"

    def only(self, text: str, characters: str) -> str:
        """The condition that a text consists only of these characters, given as in a pattern's class, with `-` last.

        By default, because the dialect's patterns are unknown, the condition is only that it has no letters other than
        Z."""
        rest = f"REPLACE({text}, 'Z', '')" if "Z" in characters else text
        return f"LOWER({rest}) = UPPER({rest})"

    def not_ended(self, column: str, form: TimeForm) -> str:
        """The condition that an end column means 'no end'."""
        if form.is_text:  # '', 0000-00-00
            return f"{column} IS NULL OR {column} < '0001'"
        return f"{column} IS NULL" + (f" OR {column} = 0" if form.number == YYYYMMDD else "")

    def stretch(self, value: str, bounds: Sequence[str]) -> str:
        """The index, from 0, of the interval between ascending `bounds` (literals) that contains a value."""
        return self.in_stretch(value, bounds, [str(i) for i in range(len(bounds) + 1)])

    def in_stretch(self, value: str, bounds: Sequence[str], results: Sequence[str]) -> str:
        """results[i] for the i-th interval between `bounds`: a tree with log₂(n) comparisons per row."""
        if len(results) == 1:
            return results[0]
        middle = len(results) // 2
        left = self.in_stretch(value, bounds[: middle - 1], results[:middle])
        right = self.in_stretch(value, bounds[middle:], results[middle:])
        return f"CASE WHEN {value} < {bounds[middle - 1]} THEN {left} ELSE {right} END"

    def wide(self, column: str, start: tuple[datetime, date], end: tuple[datetime, date]) -> str:
        """An indexable condition on text with offsets, wide enough for every offset."""
        return f"{column} >= '{start[1] - 2 * ONE_DAY}' AND {column} < '{end[1] + 2 * ONE_DAY}'"


_REAL_CLOCK = re.compile(
    r".{10}(?:.([01]\d|2[0-3]):[0-5]\d(?::[0-5]\d([.,]\d+)?)?\s*(Z|[+-](0\d|1[0-5])(:?[0-5]\d)?)?)?", re.ASCII
)


def has_real_clock(text: str) -> bool:
    """Whether a text with a `text_form` has an hour, a minute, a second and an offset that exist (so not 24:00)."""
    return _REAL_CLOCK.fullmatch(text) is not None


def _naive(instant: datetime, zone_name: str) -> datetime:
    """The local time at an instant. If clocks are set forward at that instant, the time before the change.

    So skipped times, which some programs write anyway, belong to the day whose start they skip."""
    there, instant = zone(zone_name), instant.astimezone(UTC)
    shown = instant.astimezone(there).replace(tzinfo=None)
    moment = timedelta(microseconds=1)
    return min(shown, (instant - moment).astimezone(there).replace(tzinfo=None) + moment)


def _text_time(naive: datetime, form: str) -> str:
    """The shortest prefix that sorts before every text of that instant or later, with and without seconds."""
    if naive.hour == naive.minute == naive.second == 0:
        return f"{naive:%Y-%m-%d}"
    separator = "T" if form == "text_t" else " "
    return f"{naive:%Y-%m-%d}{separator}{naive:%H:%M}" + (f":{naive:%S}" if naive.second else "")
