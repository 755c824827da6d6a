"""A declared metric meets its source: how are its times stored, which of its sums are exact?

The answers are part of the metric's definition, because numbers collected under others do not merge with them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from tallybook.collect.joins import joined
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
from tallybook.collect.sources.values import (
    BIT,
    BOOL,
    DATE,
    DEC,
    DECLARED,
    INT,
    NUMBERS,
    OTHER,
    SINGLE,
    TEXT,
    TIMESTAMP,
    TIMESTAMPTZ,
    WIDE_BIT,
    ColumnType,
    as_instant,
    text_form,
)
from tallybook.collect.touched import touched
from tallybook.core import (
    AS_STORED,
    BUCKETS,
    BY_TIME,
    DECIMAL,
    FLOAT,
    IDS,
    INTEGER,
    ONE_DAY,
    BoundSlot,
    Metric,
    Slot,
    SourceError,
    StoredDefinition,
    calendar,
    start_of,
)

FLOATING = "float"
_RAW = (SINGLE, BIT, WIDE_BIT)
_NO_TIME = "a time column contains"
OWN_K = "with a K for each part"
"""Of squares whose parts each have a K of their own: in a definition."""
_BEYOND_64_BITS = re.compile("UNSIGNED|UBIGINT|HUGEINT|UInt64|Int128|Int256", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class BoundMetric:
    """A metric bound to its source, with all that is needed to write its statements.

    `dims` are the types of `metric.dims`, `series` those of `metric.series`; `args` those of every slot's arguments, in
    order."""

    bound: StoredDefinition
    relation: str
    time: TimeForm | None
    since: TimeForm | None
    until: TimeForm | None
    dims: tuple[ColumnType, ...]
    args: tuple[tuple[ColumnType, ...], ...]
    series: tuple[ColumnType, ...] = ()
    reach: tuple[str, str] | None = None
    """With `join`: the table and the column by which a day's facts are found."""
    changed: TimeForm | None = None

    @property
    def metric(self) -> Metric:
        return self.bound.metric


def relation_of(source: Source, metric: Metric) -> str:
    """What stands after FROM. `sql` goes in letter for letter."""
    if metric.sql is not None:
        return f"(\n{metric.sql.strip().rstrip(';')}\n) f"
    assert metric.table is not None
    return source.table_name(metric.table)


def bind(source: Source, metric: Metric, zone: str, key: str, known: StoredDefinition | None = None) -> BoundMetric:
    """Ask the source about one metric. `known` is the definition collected before.

    Raises SourceError naming what does not exist or cannot be summed."""
    declared, reach = metric, None
    assert metric.parsed is not None
    if metric.join:
        over = joined(source, metric)
        metric, relation, reach = over.metric, over.relation, over.reach
    else:
        relation = relation_of(source, metric)
    source.check_policies(relation)
    measure = metric.parsed
    assert measure is not None
    times = [c for c in (metric.time, metric.from_, metric.until) if c is not None]
    extra = [c for c in (*metric.series, metric.received) if c and c not in metric.dims]
    slots = measure.slots
    asked = [source.quote(c) for c in (*times, *metric.dims, *extra)]
    asked += [f"({arg}\n)" for slot in slots for arg in slot.args]
    conditions = [source.as_value(f"({c}\n)") for c in (metric.where, *(slot.filter for slot in slots)) if c]
    written = [source.quote(metric.changed)] if metric.changed else []
    found = source.probe(placeholders_filled(source, metric, relation, zone), [*asked, *conditions, *written] or ["1"])
    by_column = dict(zip(times, found, strict=False))
    forms = {c: _time_form(source, metric, relation, c, by_column[c], zone) for c in times}
    dims = tuple(found[len(times) : len(times) + len(metric.dims)])
    by_name = dict(zip((*metric.dims, *extra), found[len(times) :], strict=False))
    rest = found[len(times) + len(metric.dims) + len(extra) :]
    args: list[tuple[ColumnType, ...]] = []
    bound_slots, told = [], {f"time.{c}": form.meaning for c, form in forms.items()}
    for index, slot in enumerate(slots):
        types, rest = tuple(rest[: len(slot.args)]), rest[len(slot.args) :]
        types = tuple(_with_decimals(t, metric, slot) for t in types)
        one = _bound_slot(source, metric, slot, types)
        args.append(types)
        bound_slots.append(one)
        told[f"slot.{index}"] = f"{one.type} {one.ids or (OWN_K if slot.spread else '')}".strip()
        if _read_anew(slot, types, interval=metric.interval):
            told[f"slot.{index}"] += f" {AS_STORED}"
    told |= {f"dim.{name}": AS_STORED for name, t in zip(metric.dims, dims, strict=True) if t.declared in _RAW}
    told |= touched(source, metric, placeholders_filled(source, metric, relation, zone), forms, args, known)
    definition = declared.fingerprint(zone, told)
    bound = StoredDefinition(
        metric=metric, definition=definition, key=key, zone=zone, forms=told, slots=tuple(bound_slots), checked=True
    )
    return BoundMetric(
        bound=bound,
        relation=relation,
        time=forms.get(metric.time or ""),
        since=forms.get(metric.from_ or ""),
        until=forms.get(metric.until or ""),
        dims=dims,
        args=tuple(args),
        series=tuple(by_name[s] for s in metric.series),
        reach=reach,
        changed=_changed_form(source, metric, relation, found[-1], zone) if metric.changed else None,
    )


def placeholders_filled(source: Source, metric: Metric, relation: str, zone: str) -> str:
    """A relation that reaches over all time, for looking at it as a whole; its time form need not be known."""
    form = metric.stored if metric.stored in (*NUMBER_FORMS, "date") else "naive"
    return fill(relation, source, TimeForm(form), zone, date(1970, 1, 1), date(2200, 1, 1))


def fill(relation: str, source: Source, form: TimeForm, zone: str, first: date, after: date) -> str:
    """A relation with the bounds of [first, after) in the place of `{{from}}` and `{{to}}`."""
    if "{{" not in relation:
        return relation
    relation = re.sub(r"\{\{\s*from\s*\}\}", source.bound(form, start_of(first, zone), first), relation)
    return re.sub(r"\{\{\s*to\s*\}\}", source.bound(form, start_of(after, zone), after), relation)


# --- time -------------------------------------------------------------------------------------------------


def _time_form(source: Source, metric: Metric, relation: str, column: str, type_: ColumnType, zone: str) -> TimeForm:
    """How a time column stores time: what is declared, held against what the source says."""
    stored, where = metric.stored, f"metrics.{metric.name}: time column {column!r}"
    local = metric.stored_zone or zone
    if type_.kind == TIMESTAMPTZ:
        if stored not in (None, "utc"):
            raise SourceError(f"{where} holds instants; stored = {stored!r} does not fit", hint="take `stored` away")
        return TimeForm("instant")
    if type_.kind == DATE and not source.kind.typeless_columns:
        return TimeForm("date")
    if stored in (*NUMBER_FORMS, "date") and (stored != "date" or type_.kind not in (TIMESTAMP, INT)):
        return _declared_form(source, metric, relation, column, type_, where)
    if type_.kind == TIMESTAMP and not source.kind.typeless_columns:
        if stored == "date":
            return TimeForm("midnight")
        if stored == "offset":
            raise SourceError(
                f"{where} is a timestamp without zone; stored = 'offset' is for text", hint='stored = "utc"'
            )
        return TimeForm("naive", local if stored == "local" else "UTC")
    return _sampled_form(source, stored, relation, column, where, local, zone, type_.declared)


def _declared_form(
    source: Source, metric: Metric, relation: str, column: str, type_: ColumnType, where: str
) -> TimeForm:
    """A form that is declared; some values are looked at, and all may not be times of another form.

    A few of another form are found where they lie, by the statements that collect."""
    stored = metric.stored
    assert stored is not None
    values = source.sample(placeholders_filled(source, metric, relation, "UTC"), source.quote(column))
    seen = [value for value in values if not is_no_instant(value) and not is_unset(value, stored)]
    forms = [stored_form(value) for value in seen]
    fitting = [value for form, value in zip(forms, seen, strict=True) if _fits(form, value, stored)]
    if seen and not fitting:
        best = next((one for one in forms if one), None)
        raise SourceError(
            f"{where} is declared as {stored!r} and contains {str(seen[0])!r:.60}",
            hint=f'stored = "{best}"'
            if best
            else f"no stored form fits: make a time of it in `sql`, and take stored = {stored!r} away",
        )
    text = (
        any(isinstance(value, str | bytes) for value in seen or values)
        if source.kind.typeless_columns
        else type_.kind == TEXT
    )
    return TimeForm(f"text_{stored}" if stored == "date" or text else stored)


def stored_form(value: Any) -> str | None:
    """The `stored` by which a value is a time between 1971 and 2200; None where it is none, or can be one by several."""
    if (number := digits(value)) is not None:
        return number_form(number)
    form = text_form(value.decode(errors="replace") if isinstance(value, bytes) else str(value))
    return {"text_date": "date", "text_offset": "offset"}.get(form or "", "utc" if form else None)


def _fits(form: str | None, value: Any, stored: str) -> bool:
    """Whether a value that is likely of a `form`, or of none, is a time by `stored`: of a birthday, or far ahead, too."""
    if stored == "date":
        return form in ("date", "utc", "offset")
    if form is not None or (number := digits(value)) is None:
        return form == stored
    if stored == YYYYMMDD:
        return day_of_digits(f"{number:.0f}") is not None
    return number < 0 or number >= plausible(stored)[0]


def _changed_form(source: Source, metric: Metric, relation: str, type_: ColumnType, zone: str) -> TimeForm:
    """How `changed` stores time: as its column says, and as `stored` does where that can be meant of both."""
    assert metric.changed is not None
    kind = type_.kind
    if source.kind.typeless_columns:
        values = source.sample(relation, source.quote(metric.changed))
        kind = INT if any(isinstance(value, int | float) for value in values) else TEXT
    fits = {TIMESTAMP: ("local",), INT: tuple(EPOCHS), TEXT: ("local", "offset", *EPOCHS)}.get(kind, ())
    stored = metric.changed_stored or (metric.stored if metric.stored in fits else None)
    like = msgspec.structs.replace(metric, stored=stored)
    return _time_form(source, like, relation, metric.changed, type_, zone)


def _sampled_form(
    source: Source,
    stored: str | None,
    relation: str,
    column: str,
    where: str,
    local: str,
    zone: str,
    declared: str,
) -> TimeForm:
    """Text and untyped columns: look at some values; two forms in one column are an error."""
    relation = fill(relation, source, TimeForm("text_date"), zone, date(1970, 1, 1), date(2200, 1, 1))
    values = source.sample(relation, source.quote(column))
    numbers = [v for v in values if isinstance(v, int | float | Decimal) and not isinstance(v, bool) and v != 0]
    if numbers:
        guess = next((form for form in map(number_form, numbers) if form), None)
        hint = (
            f'say what they count: stored = "{guess}"' if guess else "no stored form fits: make a time of it in `sql`"
        )
        raise SourceError(f"{where} holds numbers, as {numbers[0]}", hint=hint)
    forms: dict[str, str] = {}
    for value in values:
        text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        form = text_form(text)
        if is_no_instant(value):
            continue  # '', 0000-00-00 00:00:00, 2026-02-30: of no day, whatever the form of the others
        if form is None:
            guess = stored_form(text)
            raise SourceError(
                f"{where} holds {text!r}, which is no time",
                hint=f'stored = "{guess}"'
                if guess
                else "expected 2026-03-01, 2026-03-01 12:00:00 or 2026-03-01T12:00:00Z",
            )
        forms.setdefault(form, text)
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
    name = next(iter(forms), "text_date" if declared.upper().strip() == "DATE" else "text_space")
    if name.endswith("_z"):
        return TimeForm(name.removesuffix("_z"))
    if name == "text_date":
        return TimeForm("text_date")
    return TimeForm(name, local if stored == "local" else "UTC")


def day_of_value(value: Any, form: TimeForm, zone: str) -> date:
    """The local day of a time as a source gives it. Raises SourceError for what no calendar has."""
    if form.number == YYYYMMDD:
        day = day_of_digits(f"{Decimal(value):.0f}")
        if day is None:
            raise SourceError(f"{_NO_TIME} {value!s:.60}; expected a day such as 20260302")
        return day
    if form.by_day:
        return as_instant(str(value)[:10], _NO_TIME).date()
    try:
        if form.number in EPOCHS:
            return calendar.day_of(datetime.fromtimestamp(float(value) / EPOCHS[form.number], UTC), zone)
        if isinstance(value, str) and form.name == "text_offset":
            # The least text is not always the least instant; a day earlier is never too late.
            return calendar.day_of(as_instant(value, _NO_TIME), zone) - ONE_DAY
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime) and value.tzinfo is None:
            value = value.replace(tzinfo=calendar.zone(form.zone))
        return calendar.day_of(as_instant(value, _NO_TIME), zone)
    except (ValueError, OverflowError, OSError):
        raise SourceError(f"{_NO_TIME} {value!s:.60}; expected a time of the calendar") from None


# --- slots ---------------------------------------------------------------------------------------------------


def _with_decimals(type_: ColumnType, metric: Metric, slot: Slot) -> ColumnType:
    if metric.decimals is None or slot.agg not in (
        "sum",
        "avg",
        "min",
        "max",
        "sum_distinct",
        "avg_distinct",
        *BY_TIME,
    ):
        return type_
    if type_.kind == INT:
        return type_
    return ColumnType(DEC, metric.decimals, DECLARED + type_.kind)


def _read_anew(slot: Slot, types: Sequence[ColumnType], *, interval: bool) -> bool:
    """Whether its ids or extremes were once read as MySQL shows them: their parts are others than those read since."""
    ids = slot.agg == "count_distinct" or (slot.agg in ("min", "max") and not interval)
    return ids and any(t.declared in _RAW for t in types)


def _bound_slot(source: Source, metric: Metric, slot: Slot, types: Sequence[ColumnType]) -> BoundSlot:
    where = f"metrics.{metric.name}: {slot.agg.replace('_', ' ')}({', '.join(slot.args)})"
    if slot.agg == "count":
        return BoundSlot(type=INTEGER)
    if slot.agg == "count_distinct":
        whole = len(types) == 1 and types[0].kind == INT and not _BEYOND_64_BITS.search(types[0].declared)
        return BoundSlot(type=INTEGER, ids="int" if whole else "hash")
    kind = types[0].kind
    if kind not in NUMBERS and not (kind == BOOL and source.kind.booleans_are_numbers):
        if kind == OTHER and source.kind.typeless_columns:
            kind = FLOATING
        else:
            wanted = "cast it to a number: cast(x as decimal(38, 10))" + (
                ", or say its digits: decimals = 2" if kind in (TEXT, OTHER) else ""
            )
            raise SourceError(f"{where}: a column of kind {kind} is no number", hint=wanted)
    if slot.shape == BUCKETS:
        return BoundSlot(type=FLOAT)
    if slot.spread:
        return BoundSlot(type=FLOAT)
    exact = INTEGER if kind in (INT, BOOL) or (kind == DEC and types[0].scale == 0) else DECIMAL
    type_ = FLOAT if kind == FLOATING else exact
    if slot.agg in BY_TIME:
        return BoundSlot(type=type_, ids="time")
    return BoundSlot(type=type_, ids="value" if slot.shape == IDS else "")


def describe_time(facts: BoundMetric) -> str:
    """How the metric's times are read, in words."""
    said: list[Any] = []
    for column, form in (
        (facts.metric.time, facts.time),
        (facts.metric.from_, facts.since),
        (facts.metric.until, facts.until),
    ):
        if column and form:
            said.append(f"{column} {form.says}")
    return ", ".join(said)
