"""Sends metrics as events to services that take events: one event per day and series, with the identity from a
template.

The id of an event is made from its item and its content, so a service that checks ids accepts each event once."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time as clock_time, timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

import msgspec

from tallybook.config import choice_of, read_span_of_days, read_text, read_time_of_day, read_url, whole_number
from tallybook.core import DELIVER, Delivery, DestinationKind, Option, OptionProblem
from tallybook.deliver.destinations.corrections import ChangedItem
from tallybook.deliver.destinations.outbox import ChangedRow, OutboxDestination, OutboxTask, SharedRate
from tallybook.deliver.outgoing.failures import ARRIVED, SendVerdict
from tallybook.storage import RESTATED, OutboxItem, OutboxRow, hash_of_body, item_key

if TYPE_CHECKING:
    from tallybook.deliver.answer_rows import AnswerRow
    from tallybook.deliver.outgoing.addresses import Target
    from tallybook.deliver.outgoing.channel import Channel, OutgoingRequest

EVENT, CORRECTED = "event", "corrected"
ALERT = "alert"
PREVIOUS = "previous_"
"""The prefix of the properties of a correction that have the values before it."""
BY, METRICS = "by", "metrics"
_NAME = re.compile(r"\{([A-Za-z_]\w*)\}")


def event_kind(name: str, noun: str, api: str) -> DestinationKind:
    """The descriptor of a service that takes events at `api`."""
    return DestinationKind(
        name=name, noun=noun, place="event", uses=(DELIVER,), outbox=True, options=event_options(noun, api)
    )


def event_options(noun: str, api: str) -> tuple[Option, ...]:
    """The options of a service that takes events."""
    return (
        Option(
            name="key",
            read=read_text,
            example='"${WRITE_KEY}"',
            default="",
            secret=True,
            help=f"of {noun}: the key that events are written with",
        ),
        Option(name="api", read=read_url, example=f'"{api}"', default=api, help="the address of the service"),
        Option(
            name="event",
            read=read_text,
            example='"dailyApiCalls"',
            default="",
            help="the name of the event for each row",
        ),
        Option(
            name="identify",
            read=read_text,
            example='"{user}"',
            default="",
            help="the id of the user or account of an event, with dimensions in braces",
        ),
        Option(
            name="at",
            read=read_time_of_day,
            example='"12:00"',
            default="12:00",
            help="the time of day of an event, in the book's zone",
        ),
        Option(
            name="settle",
            read=read_span_of_days,
            example='"3d"',
            default=0,
            help="how many days to wait before an event is sent, so that it includes late data",
        ),
        *_sending_options(),
    )


def _sending_options() -> tuple[Option, ...]:
    return (
        Option(
            name="restated",
            read=choice_of((ALERT, EVENT)),
            example='"event"',
            default=ALERT,
            help="what to do when a value changes after it was sent: `alert`, or `event` to send `NAME.corrected`",
        ),
        Option(
            name="rate",
            read=whole_number(1, 10_000),
            example="50",
            default=0,
            help="maximum requests per second; default: as fast as the receiver answers",
        ),
    )


class EventService(OutboxDestination):
    """A service that takes events with our ids. `content` builds the JSON of a request with several events."""

    is_additive: ClassVar[bool] = True
    path: ClassVar[str]
    """The path to which events are sent."""
    batch: ClassVar[int] = 100
    """Maximum number of events in a request."""
    reserved: ClassVar[frozenset[str]] = frozenset()
    """Names of properties that the service reads as something else."""

    def content(self, rows: Sequence[OutboxRow], task: OutboxTask) -> Any:
        raise NotImplementedError

    def request(self, rows: Sequence[OutboxRow], task: OutboxTask) -> OutgoingRequest:
        from tallybook.deliver.outgoing.channel import OutgoingRequest

        body, headers = msgspec.json.encode(self.content(rows, task)), basic(task.options["key"])
        return OutgoingRequest(method="POST", path=self.path, body=body, headers=headers)

    def problems(self, delivery: Delivery, given: Iterable[str]) -> Iterable[OptionProblem]:
        options = self.kind.with_defaults(delivery.options)
        yield from required_options(options, self.kind.noun)
        yield from identity_problems(options["identify"], delivery)
        yield from self._name_problems(delivery)
        if delivery.scope != "day":
            yield OptionProblem(
                key="scope", message="events are of days", expected='scope = "day", or without this line'
            )
        if delivery.totals:
            yield OptionProblem(key="totals", message="events are of series", expected="without this line")

    def _name_problems(self, delivery: Delivery) -> Iterable[OptionProblem]:
        """Problems of dimensions and metrics whose property would replace another one."""
        names = [*((BY, one) for one in delivery.by), *((METRICS, one) for one in delivery.metrics)]
        previous = {f"{PREVIOUS}{one}" for one in delivery.metrics}
        for key, one in names:
            if one in self.reserved:
                message = f"{self.kind.noun} uses the property {one!r} itself"
                yield OptionProblem(key=key, message=message, expected="another name, by an alias in `sql`")
            elif one in previous:
                message = f"a correction uses the property {one!r} for the previous value"
                yield OptionProblem(key=key, message=message, expected="another name, by an alias in `sql`")

    def last_day(self, task: OutboxTask) -> date | None:
        return task.today - timedelta(days=1 + int(task.options["settle"]))

    def items(self, row: AnswerRow, task: OutboxTask) -> Iterable[OutboxItem]:
        body = event_body(row, task)
        if body["values"]:
            yield OutboxItem(_key(EVENT, row, task), row.period, _encoded(body))

    def changed(self, row: ChangedRow, task: OutboxTask) -> Iterable[OutboxItem]:
        source = row.new or row.old
        assert source is not None
        changed = ChangedServiceEvent(
            name=_key(EVENT, source, task),
            others=tuple(_key(kind, source, task) for kind in (CORRECTED, RESTATED)),
            kind=CORRECTED if task.options["restated"] == EVENT else RESTATED,
            old=_values(row.old),
            new=_values(row.new),
            row=source,
            task=task,
        )
        return changed.items(row)

    def rate(self, task: OutboxTask) -> SharedRate | None:
        if not task.options["rate"]:
            return None
        place = f"{task.options['api']} {hash_of_body(str(task.options['key']))}"
        return SharedRate(place=place, per_second=task.options["rate"])

    def target(self, task: OutboxTask) -> Target:
        from tallybook.deliver.outgoing.addresses import Target

        return Target(task.options["api"])

    def groups(self, rows: Sequence[OutboxRow], task: OutboxTask) -> Iterable[Sequence[OutboxRow]]:
        notes = [[row] for row in rows if _is_note(row)]
        events = [row for row in rows if not _is_note(row)]
        return [*notes, *(events[start : start + self.batch] for start in range(0, len(events), self.batch))]

    def send(self, rows: Sequence[OutboxRow], task: OutboxTask, channel: Channel) -> SendVerdict:
        if _is_note(rows[0]):
            return SendVerdict(outcome=ARRIVED, said="read")  # someone who replays the report of a day has read it
        return super().send(rows, task, channel)


@dataclass(frozen=True, kw_only=True)
class ChangedServiceEvent(ChangedItem[dict[str, str]]):
    """An event of a changed row, with its known values."""

    row: AnswerRow
    task: OutboxTask

    def plain(self) -> OutboxItem:
        return OutboxItem(self.name, self.row.period, _encoded(event_body(self.row, self.task)))

    def corrected(self, had: dict[str, str]) -> OutboxItem:
        return _correction(self.kind, self.row, had, self.new, self.task)

    def had_by(self, waiting: OutboxRow) -> dict[str, str]:
        return _previous_of(waiting)


def _is_note(row: OutboxRow) -> bool:
    """Whether an item is a report about a whole day instead of an event."""
    return row.kind == RESTATED and row.parts[1] == ""


def _values(row: AnswerRow | None) -> dict[str, str]:
    """The known values of a row."""
    found = zip(row.names.metrics, row.values, strict=True) if row else ()
    return {name: value for name, value in found if value is not None}


def _previous_of(row: OutboxRow) -> dict[str, str]:
    """The values that the receiver has, according to a correction that did not arrive."""
    found = msgspec.json.decode(row.body, type=dict[str, msgspec.Raw])["previous"]
    return {
        name: bytes(value).decode() for name, value in msgspec.json.decode(found, type=dict[str, msgspec.Raw]).items()
    }


def _correction(
    kind: str, row: AnswerRow, old: Mapping[str, str], new: Mapping[str, str], task: OutboxTask
) -> OutboxItem:
    """The event that corrects a value, or the report about the change."""
    names = [name for name in row.names.metrics if name in old or name in new]
    said = "changed after it was sent: " + ", ".join(
        f"{name} {old.get(name, 'nothing')} → {new.get(name, 'nothing')}" for name in names
    )
    body = event_body(row, task) | {
        "values": {name: _raw(new.get(name)) for name in names},
        "previous": {name: _raw(value) for name, value in old.items()},
        "said": said,
    }
    return OutboxItem(_key(kind, row, task), row.period, _encoded(body))


def _raw(number: str | None) -> msgspec.Raw | None:
    return None if number is None else msgspec.Raw(number.encode())


def event_body(row: AnswerRow, task: OutboxTask) -> dict[str, Any]:
    """The content of an event: the identity, the dimensions and the known values."""
    dimensions = dict(zip(row.names.dimensions, row.dimensions, strict=True))
    values = {name: _raw(value) for name, value in _values(row).items()}
    return {"who": identity(task.options["identify"], dimensions), "dimensions": dimensions, "values": values}


def identity(template: str, dimensions: Mapping[str, str | None]) -> str:
    """The id built from a template."""
    return _NAME.sub(lambda found: dimensions.get(found[1]) or "", template)


def identity_problems(template: str, delivery: Delivery) -> Iterable[OptionProblem]:
    """Problems of names in an identity that are not dimensions of the delivery."""
    for name in _NAME.findall(template):
        if name not in delivery.by:
            by = ", ".join(f'"{one}"' for one in [*delivery.by, name])
            yield OptionProblem(
                key="identify",
                message=f"identify names {{{name}}}, which is no dimension of this delivery",
                expected=f"one of: {', '.join(delivery.by) or 'none'}",
                paste=f"by = [{by}]",
            )


def required_options(options: Mapping[str, Any], noun: str) -> Iterable[OptionProblem]:
    """Problems of missing required options."""
    for key, paste in (
        ("event", 'event = "dailyApiCalls"'),
        ("identify", 'identify = "{user}"'),
        ("key", 'key = "${KEY}"'),
    ):
        if not options[key]:
            yield OptionProblem(key=key, message=f"{noun} needs {key}", paste=paste)


def moment_of(row: OutboxRow, task: OutboxTask) -> datetime:
    """The instant of an event: a fixed time of its day in the book's zone."""
    zone = ZoneInfo(task.catalog.book.timezone)
    return datetime.combine(date.fromisoformat(row.day), clock_time.fromisoformat(task.options["at"]), tzinfo=zone)


def event_name(row: OutboxRow, task: OutboxTask) -> str:
    """The name of an event. A correction has `.corrected` after it."""
    name: str = task.options["event"]
    return name if row.kind == EVENT else f"{name}.corrected"


def event_id(row: OutboxRow) -> str:
    """The id of an event with its content: 32 letters and digits. Two corrections with the same content are two
    events."""
    version = "" if row.kind == EVENT else f"\0{row.version}"
    return hash_of_body(f"{row.delivery}\0{row.item}{version}") + row.hash


def properties_of(row: OutboxRow) -> dict[str, Any]:
    """The properties of an event: dimensions and values, and for a correction the previous values."""
    body = msgspec.json.decode(row.body)
    previous = {f"{PREVIOUS}{name}": value for name, value in (body.get("previous") or {}).items()}
    return {**body["dimensions"], **body["values"], **previous}


def who_of(row: OutboxRow) -> str:
    """The id of the user or account that the event belongs to."""
    return str(msgspec.json.decode(row.body)["who"])


def basic(user: str, password: str = "") -> dict[str, str]:
    """The Authorization header for a user and a password."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def _key(kind: str, row: AnswerRow, task: OutboxTask) -> str:
    dimensions = dict(zip(row.names.dimensions, row.dimensions, strict=True))
    series = msgspec.json.encode(row.dimensions).decode()
    return item_key(kind, task.options["event"], row.period, identity(task.options["identify"], dimensions), series)


def _encoded(value: Any) -> str:
    return msgspec.json.encode(value).decode()
