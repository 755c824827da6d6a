"""The items of a delivery to Gainsight PX: one event per day and series, and one attribute per user or account."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from tallybook.core import ACCOUNTS, FLAG_VALUE, INSTANT_VALUE, TEXT_VALUE, calendar
from tallybook.deliver.actions_of_rules import is_of_rules
from tallybook.deliver.destinations.corrections import ChangedItem
from tallybook.deliver.destinations.outbox import RESTATED_WORDS, ChangedRow, OutboxTask
from tallybook.deliver.destinations.px_declared import (
    CORRECTED,
    DAY_PROPERTY,
    EVENT,
    KINDS,
    dimension_of,
    template_dimensions,
)
from tallybook.storage import ATTRIBUTE, RESTATED, OutboxItem, OutboxRow, item_key

if TYPE_CHECKING:
    from tallybook.deliver.answer_rows import AnswerRow

VALUE, CORRECTION, RESTATEMENT = "value", "corrected", RESTATED
"""Kinds of items: the event of a day, an event that corrects another, and a change that is only reported."""
BEFORE = "_before"
PX_NUMBER, PX_TEXT, PX_FLAG, PX_TIME = "NUMBER", "STRING", "BOOLEAN", "DATE_TIME"
PX_TYPE_OF = {TEXT_VALUE: PX_TEXT, FLAG_VALUE: PX_FLAG, INSTANT_VALUE: PX_TIME}


# -- events ---------------------------------------------------------------------------------------------------------


def event_items(row: AnswerRow, task: OutboxTask) -> Iterator[OutboxItem]:
    """The events of a row: one with all metrics, or one per metric. Unknown values are not sent."""
    for event, metrics in _events(task):
        values = {metric: row.value(metric) for metric in metrics if row.value(metric) is not None}
        if values:
            yield _event_item(VALUE, event, row, task, values, {})


def changed_items(row: ChangedRow, task: OutboxTask) -> Iterator[OutboxItem]:
    """The items for a row that changed after its events were sent: a correction, or a report of the change. An event
    that did not arrive gets its new content or is withdrawn."""
    source = row.new or row.old
    assert source is not None
    kind, (user, _) = CORRECTION if task.options["restated"] == EVENT else RESTATEMENT, _identity(source, task)
    for event, metrics in _events(task):
        name = _event_name(VALUE, event, source, user)
        changed = ChangedPxEvent(
            name=name,
            others=tuple(one + name.removeprefix(VALUE) for one in (CORRECTION, RESTATEMENT)),
            kind=kind,
            old=_known(row.old, metrics),
            new=_known(row.new, metrics),
            event=event,
            metrics=metrics,
            row=source,
            task=task,
        )
        yield from changed.items(row)


@dataclass(frozen=True, kw_only=True)
class ChangedPxEvent(ChangedItem[dict[str, str]]):
    """An event of a changed row, with its known values."""

    event: str
    metrics: tuple[str, ...]
    row: AnswerRow
    task: OutboxTask

    def plain(self) -> OutboxItem:
        return _event_item(VALUE, self.event, self.row, self.task, self.new, {})

    def corrected(self, had: dict[str, str]) -> OutboxItem:
        changed = {one: had.get(one) for one in self.metrics if had.get(one) != self.new.get(one)}
        return _event_item(self.kind, self.event, self.row, self.task, self.new, changed, had)

    def had_by(self, waiting: OutboxRow) -> dict[str, str]:
        kept = json.loads(waiting.body)
        had: dict[str, str] = kept.get("old", self.old)
        return had


def _known(row: AnswerRow | None, metrics: Iterable[str]) -> dict[str, str]:
    """The known values of a row."""
    names = row.names.metrics if row else ()
    found = {name: row.value(name) for name in metrics if name in names} if row else {}
    return {name: value for name, value in found.items() if value is not None}


def _events(task: OutboxTask) -> list[tuple[str, tuple[str, ...]]]:
    """(event, its metrics) for each event of a row."""
    if task.options["event"]:
        return [(task.options["event"], task.delivery.metrics)]
    return [(metric, (metric,)) for metric in task.delivery.metrics]


def _event_item(
    kind: str,
    event: str,
    row: AnswerRow,
    task: OutboxTask,
    values: Mapping[str, str | None],
    changed: Mapping[str, str | None],
    old: Mapping[str, str] | None = None,
) -> OutboxItem:
    """The item for the event of a day. Its time is fixed, so that the event can be found again. `old`: all values that
    PX has, for a correction or a report."""
    names: Mapping[str, str] = task.options["properties"]
    user, user_dims = _identity(row, task)
    properties: dict[str, Any] = {DAY_PROPERTY: row.period}
    for name, value in zip(row.names.dimensions, row.dimensions, strict=True):
        if value is not None and (name not in user_dims or "{" not in task.options["identify"]):
            properties[names.get(name, name)] = value
    for metric, value in values.items():
        properties[names.get(metric, metric)] = _raw(value)
    for metric, value in changed.items():
        properties[names.get(metric, metric) + BEFORE] = _raw(value)
    body: dict[str, Any] = {
        "event": event + (CORRECTED if kind == CORRECTION else ""),
        "user": user,
        "account": _account(row, task),
        "date": milliseconds_of(date.fromisoformat(row.period), task),
        "properties": {name: value for name, value in properties.items() if value is not None},
    }
    if old is not None:
        body["old"] = old
    if kind == RESTATEMENT:
        body["said"] = _restated_words(body, {one: (value, values.get(one)) for one, value in changed.items()})
    return OutboxItem(_event_name(kind, event, row, user), row.period, msgspec.json.encode(body).decode())


def _event_name(kind: str, event: str, row: AnswerRow, user: str | None) -> str:
    return item_key(kind, event, row.period, user or "", msgspec.json.encode(row.dimensions).decode())


def milliseconds_of(day: date, task: OutboxTask) -> int:
    """The instant of a day's events: a fixed time of the day in the book's zone, in milliseconds since 1970."""
    at = datetime.combine(day, time.fromisoformat(task.options["at"]), calendar.zone(task.catalog.book.timezone))
    return round(at.timestamp() * 1000)


def _raw(number: str | None) -> Any:
    """A number with all its digits, or None if it is not finite."""
    if number is None:
        return None
    try:
        is_finite = math.isfinite(float(number))
    except ValueError:
        return number
    return msgspec.Raw(number.encode()) if is_finite else None


def _identity(row: AnswerRow, task: OutboxTask) -> tuple[str | None, set[str]]:
    """The user of an event, and the dimensions in the template. The user is None if one of the dimensions is null."""
    template = task.options["identify"]
    used: set[str] = set()
    for name in template_dimensions(template):
        dimension = dimension_of(name, task.delivery, task.catalog) or name
        value = row.dimension(dimension)
        used.add(dimension)
        if value in (None, ""):
            return None, used
        template = template.replace(f"{{{name}}}", str(value))
    return template, used


def _account(row: AnswerRow, task: OutboxTask) -> str | None:
    dimension = dimension_of("account", task.delivery, task.catalog)
    return row.dimension(dimension) if dimension in row.names.dimensions else None


# -- attributes -----------------------------------------------------------------------------------------------------


def attribute_items(task: OutboxTask) -> Iterator[OutboxItem]:
    """The latest values of attributes. Attributes without a known value are not sent."""
    if task.service is None:
        return
    from tallybook.query import entities_of

    kind, wanted = KINDS[task.options["for"]], task.options["attributes"]
    answers = entities_of(task.service, kind)
    names = list(wanted)
    has_name = (
        kind == ACCOUNTS and task.options["create"] and answers.type_of("name") == TEXT_VALUE and answers.has("name")
    )
    types = {name: px_type(answers.type_of(name)) for name in names}
    task.shared["types"] = types
    for entity, values, name in answers.latest(names, "name" if has_name else None):
        for ours, value in zip(names, values, strict=True):
            sent = _as_sent(value, types[ours])
            if sent is not None:
                body = {"entity": entity, "attribute": wanted[ours], "value": sent}
                body |= {"name": name} if has_name and name else {}
                key = item_key(ATTRIBUTE, wanted[ours], "", entity)
                yield OutboxItem(key, "", msgspec.json.encode(body).decode())


def attribute_state(task: OutboxTask) -> int:
    """A number that changes with users and accounts, and with the declarations and options that affect their
    attributes."""
    if task.service is None:
        return 0
    from tallybook.query import entities_of

    answers = entities_of(task.service, KINDS[task.options["for"]])
    sent = [task.options[name] for name in ("for", "attributes", "create")]
    found = [answers.ledger.number(), answers.settings, sent, task.catalog.metrics]
    return int.from_bytes(hashlib.blake2b(msgspec.json.encode(found), digest_size=6).digest()) or 1


def milliseconds_of_instant(at: datetime) -> int:
    """An instant in milliseconds since 1970. Without a zone, it is in UTC."""
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def px_type(type_: str) -> str:
    """The type that PX must have for one of our attributes."""
    return PX_TYPE_OF.get(type_, PX_NUMBER)


def _as_sent(value: Any, type_: str) -> Any:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if type_ == PX_TIME:
        at = datetime.fromisoformat(value) if isinstance(value, str) else value
        return milliseconds_of_instant(at)
    return msgspec.Raw(str(value).encode()) if isinstance(value, Decimal) else value


# -- requests -------------------------------------------------------------------------------------------------------


def grouped(rows: Sequence[OutboxRow]) -> list[list[OutboxRow]]:
    """The items, grouped by request: the attributes of one user or account go together."""
    attributes = sorted((row for row in rows if row.kind == ATTRIBUTE), key=lambda row: row.parts[3])
    of_entities = [list(some) for _, some in itertools.groupby(attributes, key=lambda row: row.parts[3])]
    return of_entities + [[row] for row in rows if row.kind != ATTRIBUTE]


def attributes_beside(row: OutboxRow, task: OutboxTask) -> list[str]:
    """The items of all attributes of the user or account of an item."""
    if row.kind != ATTRIBUTE or is_of_rules(task.delivery):
        return []
    entity = row.parts[3]
    return [item_key(ATTRIBUTE, theirs, "", entity) for theirs in task.options["attributes"].values()]


def event_body(row: OutboxRow, task: OutboxTask) -> dict[str, Any]:
    """The custom event of an item, in the format of PX."""
    found = json.loads(row.body)
    properties = found["properties"]
    if row.kind == CORRECTION:
        # Two corrections from one value to the same other value are two events, and need different ids.
        properties = {**properties, "correction": row.version}
    body = {
        "eventName": found["event"],
        "identifyId": found["user"],
        "propertyKey": task.options["product"],
        "userType": "USER",
        "date": found["date"],
        "attributes": properties,
    }
    return body | ({"accountId": found["account"]} if found["account"] is not None else {})


def _restated_words(body: Mapping[str, Any], changed: Mapping[str, tuple[str | None, str | None]]) -> str:
    """The report of a value that changed after it was sent."""
    shown = ", ".join(f"{name} was {_shown(old)} and is {_shown(new)} now" for name, (old, new) in changed.items())
    day, user = body["properties"][DAY_PROPERTY], body["user"]
    return f"{RESTATED_WORDS}{body['event']} of {day}, user {user}: {shown}"


def restated_words(row: OutboxRow) -> str:
    """The report in an item."""
    return str(json.loads(row.body)["said"])


def _shown(number: str | None) -> str:
    return "not known" if number is None else number


def values_of(rows: Iterable[OutboxRow]) -> dict[str, Any]:
    """The values of attributes by their apiName."""
    found = (json.loads(row.body) for row in rows)
    return {one["attribute"]: one["value"] for one in found}
