"""Determines how a column stores times: as declared, by its type, or by a sample of its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from tallybook.collect.relations import fill, placeholders_filled
from tallybook.collect.sources.base import Source
from tallybook.collect.sources.dialect import TimeForm
from tallybook.collect.sources.readings import (
    EPOCHS,
    NUMBERS as NUMBER_FORMS,
    YYYYMMDD,
    day_of_digits,
    digits,
    is_no_instant,
    is_unset,
    number_form,
    plausible,
)
from tallybook.collect.sources.values import DATE, INT, TEXT, TIMESTAMP, TIMESTAMPTZ, ColumnType, as_instant, text_form
from tallybook.core import ONE_DAY, Metric, SourceError, calendar

NO_TIME = "a time column contains"


@dataclass(frozen=True)
class TimeColumn:
    """A column of times, as a metric reads it from its source."""

    source: Source
    metric: Metric
    relation: str
    name: str
    type: ColumnType
    zone: str

    @property
    def where(self) -> str:
        """The column in messages."""
        return f"metrics.{self.metric.name}: time column {self.name!r}"

    @property
    def local_zone(self) -> str:
        return self.metric.stored_zone or self.zone

    def sample(self, relation: str) -> list[Any]:
        """Some values of the column."""
        return list(self.source.sample(relation, self.source.quote(self.name)))


def time_form(column: TimeColumn) -> TimeForm:
    """How a column stores times: the declared form, checked against its type and values, or else the detected form."""
    stored, kind, where = column.metric.stored, column.type.kind, column.where
    typeless = column.source.kind.typeless_columns
    if kind == TIMESTAMPTZ:
        if stored not in (None, "utc"):
            raise SourceError(f"{where} holds instants; stored = {stored!r} does not fit", hint="take `stored` away")
        return TimeForm("instant")
    if kind == DATE and not typeless:
        return TimeForm("date")
    if stored in (*NUMBER_FORMS, "date") and (stored != "date" or kind not in (TIMESTAMP, INT)):
        return _declared_form(column, stored)
    if kind == TIMESTAMP and not typeless:
        if stored == "date":
            return TimeForm("midnight")
        if stored == "offset":
            raise SourceError(
                f"{where} is a timestamp without zone; stored = 'offset' is for text", hint='stored = "utc"'
            )
        return TimeForm("naive", column.local_zone if stored == "local" else "UTC")
    return _sampled_form(column)


def _declared_form(column: TimeColumn, stored: str) -> TimeForm:
    """The declared form. Raises SourceError if all sampled values are times in another form.

    A few values in another form are found when their days are collected."""
    source, where = column.source, column.where
    values = column.sample(placeholders_filled(source, column.metric, column.relation, "UTC"))
    seen = [value for value in values if not is_no_instant(value) and not is_unset(value, stored)]
    forms = [stored_form(value) for value in seen]
    if seen and not any(_fits(form, value, stored) for form, value in zip(forms, seen, strict=True)):
        best = next((form for form in forms if form), None)
        raise SourceError(
            f"{where} is declared as {stored!r} and contains {str(seen[0])!r:.60}",
            hint=f'stored = "{best}"'
            if best
            else f"no stored form fits: make a time of it in `sql`, and take stored = {stored!r} away",
        )
    text = (
        any(isinstance(value, str | bytes) for value in seen or values)
        if source.kind.typeless_columns
        else column.type.kind == TEXT
    )
    return TimeForm(f"text_{stored}" if stored == "date" or text else stored)


def stored_form(value: Any) -> str | None:
    """The value of `stored` for which a value is a time between 1971 and 2200. None if there is no such form, or
    several."""
    if (number := digits(value)) is not None:
        return number_form(number)
    form = text_form(value.decode(errors="replace") if isinstance(value, bytes) else str(value))
    return {"text_date": "date", "text_offset": "offset"}.get(form or "", "utc" if form else None)


def _fits(form: str | None, value: Any, stored: str) -> bool:
    """Whether a value with a likely `form`, or none, is a time by `stored`, including birthdays and times far in the
    future."""
    if stored == "date":
        return form in ("date", "utc", "offset")
    if form is not None or (number := digits(value)) is None:
        return form == stored
    if stored == YYYYMMDD:
        return day_of_digits(f"{number:.0f}") is not None
    return number < 0 or number >= plausible(stored)[0]


def changed_form(source: Source, metric: Metric, relation: str, type_: ColumnType, zone: str) -> TimeForm:
    """How `changed` stores times: by its column type, and by `stored` if that can apply to both columns."""
    assert metric.changed is not None
    kind = type_.kind
    if source.kind.typeless_columns:
        values = source.sample(relation, source.quote(metric.changed))
        kind = INT if any(isinstance(value, int | float) for value in values) else TEXT
    fits = {TIMESTAMP: ("local",), INT: tuple(EPOCHS), TEXT: ("local", "offset", *EPOCHS)}.get(kind, ())
    stored = metric.changed_stored or (metric.stored if metric.stored in fits else None)
    like = msgspec.structs.replace(metric, stored=stored)
    return time_form(TimeColumn(source, like, relation, metric.changed, type_, zone))


def _sampled_form(column: TimeColumn) -> TimeForm:
    """The form of texts and of untyped columns, from a sample. Raises SourceError if one column has two forms."""
    whole = TimeForm("text_date")
    values = column.sample(fill(column.relation, column.source, whole, column.zone, date(1970, 1, 1), date(2200, 1, 1)))
    _refuse_numbers(column.where, values)
    return _form_of_texts(column, _texts_by_form(column.where, values))


def _refuse_numbers(where: str, values: Sequence[Any]) -> None:
    """Raise SourceError if a column contains numbers and no form of numbers is declared."""
    numbers = [v for v in values if isinstance(v, int | float | Decimal) and not isinstance(v, bool) and v != 0]
    if numbers:
        guess = next((form for form in map(number_form, numbers) if form), None)
        hint = (
            f'say what they count: stored = "{guess}"' if guess else "no stored form fits: make a time of it in `sql`"
        )
        raise SourceError(f"{where} holds numbers, as {numbers[0]}", hint=hint)


def _texts_by_form(where: str, values: Sequence[Any]) -> dict[str, str]:
    """The first text of each form. Raises SourceError for a text that is not a time."""
    forms: dict[str, str] = {}
    for value in values:
        text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        form = text_form(text)
        if is_no_instant(value):
            continue  # '', 0000-00-00 00:00:00 and 2026-02-30 name no day, whatever the form of the others
        if form is None:
            guess = stored_form(text)
            raise SourceError(
                f"{where} holds {text!r}, which is no time",
                hint=f'stored = "{guess}"'
                if guess
                else "expected 2026-03-01, 2026-03-01 12:00:00 or 2026-03-01T12:00:00Z",
            )
        forms.setdefault(form, text)
    return forms


def _form_of_texts(column: TimeColumn, forms: Mapping[str, str]) -> TimeForm:
    """The common form of all texts."""
    stored, where = column.metric.stored, column.where
    if stored == "offset":
        return TimeForm("text_offset")
    if "text_offset" in forms:
        raise SourceError(f"{where} holds times with an offset, as {forms['text_offset']!r}", hint='stored = "offset"')
    if len(forms) > 1:
        shown = " and ".join(repr(v) for v in forms.values())
        raise SourceError(
            f"{where} holds times in several forms: {shown}; as text they do not compare",
            hint='make them one form in `sql`, or stored = "offset" where each can be read as an instant',
        )
    name = next(iter(forms), "text_date" if column.type.declared.upper().strip() == "DATE" else "text_space")
    if name.endswith("_z"):
        return TimeForm(name.removesuffix("_z"))
    if name == "text_date":
        return TimeForm("text_date")
    return TimeForm(name, column.local_zone if stored == "local" else "UTC")


def day_of_value(value: Any, form: TimeForm, zone: str) -> date:
    """The local day of a time from a source. Raises SourceError for a time outside of the calendar."""
    if form.number == YYYYMMDD:
        day = day_of_digits(f"{Decimal(value):.0f}")
        if day is None:
            raise SourceError(f"{NO_TIME} {value!s:.60}; expected a day such as 20260302")
        return day
    if form.by_day:
        return as_instant(str(value)[:10], NO_TIME).date()
    try:
        if form.number in EPOCHS:
            return calendar.day_of(datetime.fromtimestamp(float(value) / EPOCHS[form.number], UTC), zone)
        if isinstance(value, str) and form.name == "text_offset":
            # The smallest text is not always the earliest instant. A day earlier is always early enough.
            return calendar.day_of(as_instant(value, NO_TIME), zone) - ONE_DAY
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime) and value.tzinfo is None:
            value = value.replace(tzinfo=calendar.zone(form.zone))
        return calendar.day_of(as_instant(value, NO_TIME), zone)
    except (ValueError, OverflowError, OSError):
        raise SourceError(f"{NO_TIME} {value!s:.60}; expected a time of the calendar") from None
