"""Finds rows whose time is written in another form than the column is read in, and rows without a time.

The form of a column is inferred from some of its values. This module checks all rows that a run reads, with one
statement per column. It checks rows of the collected days, with two days on either side, and rows before 1971 or after
tomorrow, because a misread unit or form moves a row there. Rows in between are fine, and an index skips them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tallybook.collect.sources.dialect import TimeForm, has_real_clock
from tallybook.collect.sources.readings import (
    DIGITS,
    EPOCHS,
    FIRST_POSSIBLE,
    LAST_POSSIBLE,
    YYYYMMDD,
    day_of_digits,
    digits,
    is_no_instant,
    misread,
)
from tallybook.collect.sources.values import DATE, INT, TEXT, TIMESTAMPTZ, ColumnType, as_instant, text_form
from tallybook.collect.statements import Group
from tallybook.collect.time_forms import stored_form
from tallybook.core import ONE_DAY, SourceError, calendar, isolated, start_of

MARGIN = timedelta(days=2)
"""Maximum distance between two readings of one instant."""
_HEAD = 13
"""Length of the day and hour in 2026-03-04T10:30:00. Rows of one hour are checked together."""
_DIGIT = "_"
_CLOCK = "0-9:., \t\r\n"
"""Characters that may follow 2026-03-04T in a time without a zone."""
_BEYOND = "1e30"
"""No time has a number beyond this. Greater numbers, such as infinity and NaN, count as no time."""

_NAN_IS_LAST = ("sqlite", "mysql", "postgres", "duckdb")
"""Dialects in which NaN is greater than all numbers, or does not exist. In other dialects, no comparison with NaN is
true."""


@dataclass(kw_only=True)
class Misfits:
    """Rows of one column in another form. `days`: the days that they belong to in either reading, or None if
    unknown."""

    column: str
    form: TimeForm
    rows: int = 0
    example: Any = None
    fits: str | None = None
    """The value of `stored` with which they would be times."""
    days: set[date] | None = field(default_factory=set)

    def add(self, rows: int, example: Any, fits: str | None, days: set[date] | None) -> None:
        if not self.rows or _order_of(example) < _order_of(self.example):  # databases return groups in any order
            self.example, self.fits = example, fits
        self.rows += rows
        self.days = None if days is None or self.days is None else self.days | days

    def error(self, name: str) -> SourceError:
        """The error of a metric with such rows."""
        shown = self.example.decode(errors="replace") if isinstance(self.example, bytes) else self.example
        rows = f"{self.rows} rows contain times" if self.rows > 1 else "1 row contains a time"
        return SourceError(
            f"metrics.{name}: time column {self.column!r} is read {self.form.says}, and {rows} in another form, "
            f"as {shown!r:.60}",
            hint=self._hint(),
        )

    def _hint(self) -> str:
        if isinstance(self.example, bytes):
            return f"a BLOB is no text: select cast({self.column} as text) as {self.column} in `sql`"
        if self.fits is None:
            return "leave such rows out by `where`, or make times of one form in `sql`"
        both = self.form.zone == "UTC" and not self.form.by_day and not self.form.number
        fits = "offset" if both and self.fits in ("utc", "date", "offset") else self.fits
        return f'stored = "{fits}" fits these; where both forms are in use, make them one in `sql`'


@dataclass(kw_only=True)
class Ties:
    """Series with two rows for one day that were received last, so that it is unknown which of them counts."""

    received: Sequence[str]
    time: str
    series: int
    days: set[date] | None

    def error(self, name: str) -> SourceError:
        """The error of a metric with such rows."""
        shown = sorted(self.days or ())
        when = f"on {shown[0]}" if len(shown) == 1 else f"on {len(shown)} days, {shown[0]} the first"
        rows = "1 series has" if self.series == 1 else f"{self.series} series have"
        by = ", ".join(self.received) or self.time
        message = (
            f"metrics.{name}: {rows} two rows that are the last by {by}, {when}: which of them counts is not known"
        )
        if not self.received:
            return SourceError(message, hint='name the column that grows with each row: received = "received_at"')
        line = ", ".join(f'"{column}"' for column in (*self.received, "id"))
        return SourceError(message, hint=f"add a column that grows with each row: received = [{line}]")


@dataclass(kw_only=True)
class ColumnChecks:
    """The result of checking the columns of a group."""

    misfits: list[Misfits | Ties] = field(default_factory=list)
    without: dict[str, tuple[int, Any]] = field(default_factory=dict)
    """By column, the number of rows without a time, and an example of their content."""

    def notes(self) -> Iterator[str]:
        for column, (rows, example) in self.without.items():
            shown = (
                "null"
                if example is None
                else repr(example.decode(errors="replace") if isinstance(example, bytes) else example)
            )
            are = "rows have no time and are" if rows > 1 else "row has no time and is"
            yield f"{rows} {are} left out: {column} is {shown:.60}" + (
                " or the like" if rows > 1 and example is not None else ""
            )


def check_columns(group: Group, first: date, last: date, today: date, known: dict[Any, Any]) -> ColumnChecks:
    """Check the columns of a group for the days first … last. `known` caches results for groups with the same rows.

    Raises SourceError."""
    found = ColumnChecks()
    if group.key.latest and not group.source.commit_order and (ties := _ties(group, first, last)).series:
        found.misfits.append(ties)
    if group.key.plan == "snapshot" or "{{" in group.relation:
        return found
    for column, form, open_ended in _columns(group):
        where, metric = tuple(group._shared()), group.metric
        read = (column, form, metric.stored, metric.interval, open_ended)
        key = (group.key.source, group.relation, where, *read, first, last, group.zone)
        if key not in known:
            with isolated():
                known[key] = _looked_at(group, column, form, first, last, today, open_ended)
        misfits, rows, example = known[key]
        if misfits.rows:
            found.misfits.append(misfits)
        if rows:
            found.without[column] = (rows, example)
    return found


def _ties(group: Group, first: date, last: date) -> Ties:
    with group.source.snapshot() as reader:
        rows = reader.rows(group.ties(first, last))
    return Ties(
        received=group.metric.received_columns,
        time=group.metric.time or "",
        series=sum(int(number) for _, number in rows),
        days={first + int(after) * ONE_DAY for after, _ in rows},
    )


def _columns(group: Group) -> Iterator[tuple[str, TimeForm, bool]]:
    """(column, how it is read, whether null has a meaning) for each time column."""
    facts = group.members[0]
    named = (
        (group.metric.time, facts.time, False),
        (group.metric.from_, facts.since, False),
        (group.metric.until, facts.until, True),
    )
    for column, form, open_ended in named:
        if column is not None and form is not None:
            yield column, form, open_ended


def _looked_at(
    group: Group, column: str, form: TimeForm, first: date, last: date, today: date, open_ended: bool
) -> tuple[Misfits, int, Any]:
    misfits = Misfits(column=column, form=form)
    if group.metric.interval:  # a row counts on every day from its start on
        first = min(first, date(1971, 1, 1))
    rows, example = 0, None
    with group.source.snapshot() as reader:
        if form.is_text:
            judge = _judge(group, form, first, last)
            for _, number, least, most in reader.rows(_texts(group, column, form, first, last, today)):
                if not (is_no_instant(least) and is_no_instant(most)):
                    misfits.add(int(number), least, *judge(least, most))
                elif not (open_ended and _without_end(least)):
                    rows, example = rows + int(number), least
        elif form.number:
            for place, number, least, most in reader.rows(_numbers(group, column, form)):
                other = [*misread(form.number)][int(place)][0]
                misfits.add(
                    int(number),
                    least,
                    other,
                    set(calendar.days(_day_of(least, other, group.zone), _day_of(most, other, group.zone))),
                )
            if group.source.kind.typeless_columns:
                judge = _judge(group, form, first, last)
                for _, number, least, most in reader.rows(_texts_among_numbers(group, column)):
                    if not (is_no_instant(least) and is_no_instant(most)):
                        misfits.add(int(number), least, *judge(least, most))
                    elif not open_ended:
                        rows, example = rows + int(number), least
        if not open_ended:
            more, shown = _without_time(group, reader, column, form, first, last, today)
            rows, example = rows + more, example if shown is None else shown
    return misfits, rows, example


# --- rows without a time -----------------------------------------------------------------------------------


def _without_end(text: Any) -> bool:
    """Whether a text that is not a time means "not ended": '', 0000-00-00, infinity, 9999-12-31."""
    return isinstance(text, str) and (text < "0001" or text >= str(LAST_POSSIBLE))


def _without_time(
    group: Group, reader: Any, column: str, form: TimeForm, first: date, last: date, today: date
) -> tuple[int, Any]:
    source, name = group.source, group.source.quote(column)
    conditions = [f"{name} IS NULL"]
    if form.name in ("instant", "naive", "midnight", "date") and not source.calendar_times:
        low, high = (source.bound(form, start_of(day, "UTC"), day) for day in (FIRST_POSSIBLE, LAST_POSSIBLE))
        if group.metric.interval and column == group.metric.from_ and not source.kind.impossible_dates:
            low = ""  # a row that began before all times counts from the first day on
        conditions += [f"{name} < {low}"] * bool(low) + [f"{name} >= {high}"]
        if source.kind.impossible_dates and (real := source.real_day(name, form)):  # 2026-02-30, 2026-03-00
            near = " OR ".join(_ranges(group, name, form, first, last, today))
            conditions.append(f"(({near}) AND CASE WHEN {real} THEN 0 ELSE 1 END = 1)")
    if form.number and not form.is_text:
        below = f" AND {name} < ''" if source.kind.typeless_columns else ""  # every text is greater than a number
        conditions += [f"{name} >= {_BEYOND}{below}", f"{name} <= -{_BEYOND}"]
        if source.dialect not in _NAN_IS_LAST:
            conditions.append(f"NOT ({name} > -{_BEYOND} AND {name} < {_BEYOND})")
    kind = TEXT if form.is_text else INT if form.number else DATE if form.name == "date" else TIMESTAMPTZ
    shown = source.text(name, ColumnType(kind))
    sql = group._select(
        [], [source.count("*"), f"MIN({shown})"], group.relation, [f"({' OR '.join(conditions)})", *group._shared()]
    )
    ((rows, example),) = reader.rows(sql)
    return int(rows), example


def _order_of(example: Any) -> tuple[str, str]:
    """A sort key for examples of any type."""
    return type(example).__name__, str(example)


# --- numbers -------------------------------------------------------------------------------------------------


def _numbers(group: Group, column: str, form: TimeForm) -> str:
    """SQL of the other form of numbers, with their count, minimum and maximum.

    Only for numbers that the declared form reads as 1970 or as years after 9999."""
    name = group.source.quote(column)
    ranges = [f"({name} >= {low} AND {name} < {high})" for _, low, high in misread(form.number)]
    whens = " ".join(f"WHEN {one} THEN {place}" for place, one in enumerate(ranges))
    columns = [group.source.count("*"), f"MIN({name})", f"MAX({name})"]
    return group._select([f"CASE {whens} END"], columns, group.relation, [f"({' OR '.join(ranges)})", *group._shared()])


def _day_of(value: Any, form: str, zone: str) -> date:
    if form == YYYYMMDD:
        return day_of_digits(f"{digits(value):.0f}") or date(1970, 1, 1)
    return calendar.day_of(datetime.fromtimestamp(float(value) / EPOCHS[form], UTC), zone)


# --- texts ---------------------------------------------------------------------------------------------------


def _texts(group: Group, column: str, form: TimeForm, first: date, last: date, today: date) -> str:
    """SQL of the rows that do not have the form or do not name a day: day and hour, count, minimum and maximum."""
    source, name = group.source, group.source.quote(column)
    ranges = _ranges(group, name, form, first, last, today)
    years = sorted({first.year - 1, first.year, last.year, last.year + 1})  # rows between these are checked anyway
    if not form.number:  # 20260304 and 2026/03/04 sort between two years
        ranges += [f"({name} >= '{y}-13' AND {name} < '{y + 1}')" for y in years]
    elif form.number == YYYYMMDD:  # 2026-03-04 sorts before 20260101
        ranges += [f"({name} >= '{y - 1}13' AND {name} < '{y}01')" for y in years]
    fits, real = _fits(group, name, form), source.real_day(name, form)
    whole = f"{fits} AND {real}" if real else fits
    wrong = f"CASE WHEN {whole} THEN 0 ELSE 1 END = 1"
    columns = [source.count("*"), f"MIN({name})", f"MAX({name})"]
    head = source.substring(name, 1, _HEAD)
    return group._select([head], columns, group.relation, [f"({' OR '.join(ranges)})", wrong, *group._shared()])


def _texts_among_numbers(group: Group, column: str) -> str:
    """Like `_texts`, for SQLite, in which every text and BLOB is greater than every number."""
    name = group.source.quote(column)
    columns = [group.source.count("*"), f"MIN({name})", f"MAX({name})"]
    head = f"CASE WHEN {group.source.is_text(name)} THEN SUBSTR({name}, 1, {_HEAD}) ELSE 'a BLOB' END"
    return group._select([head], columns, group.relation, [f"{name} >= ''", *group._shared()])


def _ranges(group: Group, name: str, form: TimeForm, first: date, last: date, today: date) -> list[str]:
    """Conditions for the collected days, for times before 1971, and for times after tomorrow."""
    low, high, ahead = first - MARGIN, last + MARGIN + ONE_DAY, max(today, last) + MARGIN + ONE_DAY
    written = [_written(group, form, day) for day in (low, high, ahead, date(1971, 1, 1))]
    return [
        f"({name} >= {written[0]} AND {name} < {written[1]})",
        f"{name} < {written[3]}",
        f"{name} >= {written[2]}",
    ]


def _written(group: Group, form: TimeForm, day: date) -> str:
    return group.source.bound(form, start_of(day, "UTC"), day) if form.number else f"'{day}'"


def _fits(group: Group, name: str, form: TimeForm) -> str:
    """The condition that a text has the form, judged by the positions of its separators."""
    text = f"{only} AND " if (only := group.source.is_text(name)) else ""
    if form.number:
        length = DIGITS.get(form.number, 8)
        return f"{text}({name} LIKE '{_DIGIT * length}' OR {name} LIKE '{_DIGIT * length}.%') AND {name} NOT LIKE '%-%'"
    if form.name == "text_date":
        more = "%" if group.metric.stored == "date" else ""
        return f"{text}{name} LIKE '____-__-__{more}'"
    source, rest = group.source, group.source.substring(name, 12, 60)
    real = f"{source.only(source.substring(name, 1, 10), '0-9-')} AND {source.real_clock(name)}"
    if form.name == "text_offset":
        real += f" AND {source.text_as_instant(name)} IS NOT NULL"
        timed = f"({name} LIKE '____-__-__ __:__%' OR {name} LIKE '____-__-__T__:__%')"
        return f"{text}({name} LIKE '____-__-__' OR {timed} AND {source.only(rest, _CLOCK + 'Z+-')}) AND {real}"
    separator = "T" if form.name == "text_t" else " "
    only = source.only(rest, _CLOCK + ("Z" if form.zone == "UTC" else ""))
    timed = f"{name} LIKE '____-__-__{separator}__:__%' AND {rest} NOT LIKE '%+%' AND {rest} NOT LIKE '%-%'"
    return f"{text}{timed} AND {only} AND {real}"


def _judge(
    group: Group, form: TimeForm, first: date, last: date
) -> Callable[[Any, Any], tuple[str | None, set[date] | None]]:
    """A function that judges the smallest and largest of some texts: their form, and their days in either reading."""
    in_order = form.is_text and form.name != "text_offset"
    ordinals = range(first.toordinal(), last.toordinal() + 2) if in_order else range(0)

    def bound(ordinal: int) -> str:
        return group._literal(form, date.fromordinal(ordinal)).strip("'")

    def judged(least: Any, most: Any) -> tuple[str | None, set[date] | None]:
        texts = [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in (least, most)]
        clocks = [text for text in texts if text_form(text) and not has_real_clock(text)]
        fits = None if clocks else stored_form(texts[0])
        if group.metric.interval or not (fits or clocks):
            return fits, None
        if fits is None:  # 24:00:00, 10:61 and +25:00 mean the written day, or a day next to it
            return None, {day for text in texts for day in _beside(text)}
        try:
            days = [_day_of_text(text, fits, form, group.zone) for text in texts]
        except (ValueError, OverflowError, OSError, SourceError):  # the meaning is unknown
            return None, None
        if not isinstance(least, bytes):
            places = [bisect_right(ordinals, text, key=bound) for text in texts]
            days += [date.fromordinal(ordinals[place - 1]) for place in places if 0 < place < len(ordinals)]
        return fits, set(calendar.days(min(days), max(days)))

    return judged


def _beside(text: str) -> list[date]:
    """The day at the start of a text and the days next to it. Empty if the text does not start with a day."""
    try:
        day = date.fromisoformat(text[:10])
    except ValueError:
        return []
    return list(calendar.days(day - ONE_DAY, day + ONE_DAY))


def _day_of_text(text: str, fits: str, form: TimeForm, zone: str) -> date:
    if fits in (*EPOCHS, YYYYMMDD):
        return _day_of(digits(text), fits, zone)
    if fits == "date":
        return date.fromisoformat(text[:10])
    moment = datetime.fromisoformat(text.strip().replace(",", "."))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=calendar.zone(form.zone))
    return calendar.day_of(as_instant(moment, "the time is"), zone)


def without_misfits(stretches: Sequence[tuple[date, date]], found: ColumnChecks) -> tuple[tuple[date, date], ...]:
    """The ranges without the days that have rows in another form. The order of the ranges is kept, because it decides
    what is collected first."""
    if any(misfits.days is None for misfits in found.misfits):
        return ()
    bad = {day for misfits in found.misfits for day in misfits.days or ()}
    return tuple(
        part for a, b in stretches for part in calendar.stretches(day for day in calendar.days(a, b) if day not in bad)
    )
