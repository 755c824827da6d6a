"""Webhooks: send each value, several values together, or the whole answer as JSON to an external address.

Requests are signed by the Standard Webhooks specification. Each message arrives at least once and always has the same
id."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from tallybook.config import choice_of, read_flag, read_secret_texts, read_template, read_text, read_url, whole_number
from tallybook.core import DELIVER, Delivery, DestinationKind, Option, OptionProblem
from tallybook.deliver.destinations.corrections import ChangedItem
from tallybook.deliver.destinations.outbox import ChangedRow, OutboxDestination, OutboxTask, SharedRate
from tallybook.storage import ATTRIBUTE, OutboxItem, OutboxRow, hash_of_body, item_key

if TYPE_CHECKING:
    from tallybook.deliver.answer_rows import AnswerRow
    from tallybook.deliver.outgoing.addresses import Target
    from tallybook.deliver.outgoing.channel import OutgoingRequest

ITEM, BATCH, RESULT = "item", "batch", "result"
EACH = (ITEM, BATCH, RESULT)
VALUE = "value"
MAX_BATCH = 1000
DEFAULT_BATCH = 100
_PLACE = re.compile(r"\{([A-Za-z_]\w*)\}")
_QUOTE = re.compile(r'(?<!\\)"')


class Webhook(OutboxDestination):
    """Sends requests to your own address or to a third party's."""

    kind = DestinationKind(
        name="webhook",
        noun="a webhook",
        place="url",
        uses=(DELIVER,),
        outbox=True,
        options=(
            Option(
                name="url",
                read=read_url,
                example='"${HOOK_URL}"',
                default="",
                secret=True,
                help="the address of a webhook",
            ),
            Option(
                name="secrets",
                read=read_secret_texts,
                example='["${HOOK_SECRET}"]',
                default=(),
                secret=True,
                help="the secrets that sign a webhook's requests, `whsec_…`; two while one replaces the other",
            ),
            Option(
                name="each",
                read=choice_of(EACH),
                example='"batch"',
                default=ITEM,
                help="what a webhook request contains: `item` one value, `batch` several, `result` the whole answer",
            ),
            Option(
                name="size",
                read=whole_number(1, MAX_BATCH),
                example="500",
                default=DEFAULT_BATCH,
                help='maximum values in a webhook request with `each = "batch"`',
            ),
            Option(
                name="body",
                read=read_template,
                example='\'{"text": "{metric} was {value} on {period}"}\'',
                default="",
                help="the JSON of a webhook request, with names of the value in braces",
            ),
            Option(
                name="shown",
                read=read_text,
                example='"revenue"',
                default="",
                help="the name of the delivery in webhook requests; default: its name in tallybook.toml",
            ),
            Option(
                name="private",
                read=read_flag,
                example="true",
                default=False,
                help="whether the receiver's address may be inside a private network",
            ),
            Option(
                name="rate",
                read=whole_number(1, 10_000),
                example="50",
                default=0,
                help="maximum requests per second; default: as fast as the receiver answers",
            ),
        ),
    )

    def problems(self, delivery: Delivery, given: Iterable[str]) -> Iterable[OptionProblem]:
        options = self.kind.with_defaults(delivery.options)
        if options["body"] and options["each"] != ITEM:
            yield OptionProblem(
                key="body",
                message=f"a body of your own is for one value, and each = {json.dumps(options['each'])} has several",
                expected='each = "item", or no body',
                paste='each = "item"',
            )
        if options["body"]:
            yield from _template_problems(options["body"], delivery)
        if delivery.totals:
            yield OptionProblem(
                key="totals", message="a webhook sends the values of series", expected="without this line"
            )

    # -- planning ----------------------------------------------------------------------------------

    def items(self, row: AnswerRow, task: OutboxTask) -> Iterable[OutboxItem]:
        if task.options["each"] == RESULT:
            return
        for metric, value in zip(row.names.metrics, row.values, strict=True):
            if value is not None:
                yield _item(row, metric, value)

    def changed(self, row: ChangedRow, task: OutboxTask) -> Iterable[OutboxItem]:
        source = row.new or row.old
        if source is None or task.options["each"] == RESULT:
            return
        for metric in source.names.metrics:
            new = row.new.value(metric) if row.new else None
            old = row.old.value(metric) if row.old and metric in row.old.names.metrics else None
            name = _name(source, metric)
            yield from ChangedValue(name=name, kind=VALUE, old=old, new=new, row=source, metric=metric).items(row)

    def latest(self, task: OutboxTask) -> Iterable[OutboxItem]:
        """The whole answer, if the delivery asks for it. It is sent again when it has changed."""
        if task.options["each"] != RESULT or task.service is None or not task.delivery.metrics:
            return
        from tallybook.query import Question, check_question

        d = task.delivery
        asked = Question(
            metrics=d.metrics, scope=d.scope, by=d.by, where=d.where, from_=d.from_, last=d.last, fill=d.fill
        )
        result = task.service.stored(check_question(task.catalog, asked, today=task.today))
        content = msgspec.json.decode(result.to_json(), type=dict[str, msgspec.Raw])
        content.pop("explain", None)  # it contains the version of the book
        yield OutboxItem(item_key(ATTRIBUTE, RESULT, ""), "", _encoded(content).decode())

    # -- sending -----------------------------------------------------------------------------------

    def target(self, task: OutboxTask) -> Target:
        from tallybook.deliver.outgoing.addresses import Target

        return Target(task.options["url"], is_private_allowed=task.options["private"])

    def rate(self, task: OutboxTask) -> SharedRate | None:
        if not task.options["rate"]:
            return None
        place = f"{self.target(task).shown} {hash_of_body(str(task.options['url']))}"
        return SharedRate(place=place, per_second=task.options["rate"])

    def groups(self, rows: Sequence[OutboxRow], task: OutboxTask) -> Iterable[Sequence[OutboxRow]]:
        size = task.options["size"] if task.options["each"] == BATCH else 1
        return [rows[start : start + size] for start in range(0, len(rows), size)]

    def request(self, rows: Sequence[OutboxRow], task: OutboxTask) -> OutgoingRequest:
        from tallybook.deliver.outgoing.channel import OutgoingRequest
        from tallybook.deliver.outgoing.signing import signature_headers

        each, ids = task.options["each"], [message_id(row) for row in rows]
        if each == BATCH:
            body = _encoded(_raw({"type": "metric.batch", "data": [_message(row, task) for row in rows]}))
            id_ = "msg_" + hashlib.blake2b("".join(ids).encode(), digest_size=16).hexdigest()
        else:
            body, id_ = _body(rows[0], task), ids[0]
        stamp = int(task.clock().timestamp())
        where = self.target(task).split
        path = (where.path or "/") + (f"?{where.query}" if where.query else "")
        return OutgoingRequest(
            method="POST", path=path, body=body, headers=signature_headers(task.options["secrets"], id_, stamp, body)
        )


def message_id(row: OutboxRow) -> str:
    """The id of an item with its content, the same for every attempt. A value that returns to an earlier value is a new
    message."""
    text = f"{row.delivery}\0{row.item}\0{row.hash}" + (f"\0{row.version}" if _may_repeat(row) else "")
    return "msg_" + hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _may_repeat(row: OutboxRow) -> bool:
    """Whether an item may have the same content as an earlier one: a correction or a whole answer."""
    return row.kind == ATTRIBUTE or (row.kind == VALUE and "previous" in _fields(row))


def _fields(row: OutboxRow) -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(row.body, type=dict[str, msgspec.Raw])


def _digits(number: msgspec.Raw) -> str | None:
    return None if number == msgspec.Raw(b"null") else bytes(number).decode()


@dataclass(frozen=True, kw_only=True)
class ChangedValue(ChangedItem[str | None]):
    """One value of a changed row. Its corrections have its own name."""

    row: AnswerRow
    metric: str
    is_repeated: ClassVar[bool] = True

    def plain(self) -> OutboxItem:
        return _item(self.row, self.metric, self.new)

    def corrected(self, had: str | None) -> OutboxItem:
        return _item(self.row, self.metric, self.new, Previous(had))

    def had_by(self, waiting: OutboxRow) -> str | None:
        return _digits(_fields(waiting)["previous"])

    def is_first(self, waiting: OutboxRow) -> bool:
        return not _may_repeat(waiting)

    def without_values(self, waiting: OutboxRow) -> OutboxItem:
        if waiting.may_have_arrived:
            return self.corrected(_digits(_fields(waiting)["value"]))
        return super().without_values(waiting)


@dataclass(frozen=True)
class Previous:
    """The value that the receiver has, or None if the last message to it had none."""

    value: str | None


def _name(row: AnswerRow, metric: str) -> str:
    return item_key(VALUE, metric, row.period, "", _encoded(row.dimensions).decode())


def _item(row: AnswerRow, metric: str, value: str | None, previous: Previous | None = None) -> OutboxItem:
    """The item of one value. `previous`: for a correction, what the receiver has."""
    names = row.names.dimensions
    body: dict[str, Any] = {
        "metric": metric,
        "period": row.period,
        "dimensions": dict(zip(names, row.dimensions, strict=True)),
        "value": _number(value),
    }
    if previous is not None:
        body["previous"] = _number(previous.value)
    return OutboxItem(_name(row, metric), row.period, _encoded(body).decode())


def _number(digits: str | None) -> msgspec.Raw | None:
    return None if digits is None else msgspec.Raw(digits.encode())


def _encoded(value: Any) -> bytes:
    return msgspec.json.encode(value)


def _message(row: OutboxRow, task: OutboxTask) -> dict[str, Any]:
    """The JSON of one item."""
    data = json.loads(row.body, parse_float=_Exact, parse_int=_Exact)
    if row.kind == VALUE:
        metric = task.catalog.metrics.get(data["metric"])
        data = {"scope": task.delivery.scope, "unit": metric.unit if metric else None, **data}
        type_ = "metric.corrected" if "previous" in data else "metric.value"
    else:
        type_ = f"{row.kind}.{row.parts[1]}" if row.kind != ATTRIBUTE else "metric.result"
    return {
        "type": type_,
        "id": message_id(row),
        "book": task.catalog.book.name,
        "delivery": task.options["shown"] or row.delivery,
        "data": data,
    }


class _Exact(str):
    """A number with its digits exactly as written."""


def _raw(value: Any) -> Any:
    """The value, with its numbers written digit by digit as they were."""
    match value:
        case _Exact():
            return msgspec.Raw(value.encode())
        case dict():
            return {key: _raw(item) for key, item in value.items()}
        case list():
            return [_raw(item) for item in value]
    return value


def _body(row: OutboxRow, task: OutboxTask) -> bytes:
    message = _message(row, task)
    template = task.options["body"]
    if not template:
        return _encoded(_raw(message))
    data = message["data"]
    known = {**(data.get("dimensions") or {}), **{k: v for k, v in data.items() if not isinstance(v, dict)}}
    known |= {"id": message["id"], "type": message["type"], "book": message["book"], "delivery": message["delivery"]}
    return filled_template(template, known).encode()


# --- templates


def template_names(template: str) -> list[str]:
    """The names in braces in a template."""
    return [found[1] for found in _PLACE.finditer(template)]


def filled_template(template: str, values: Mapping[str, Any]) -> str:
    """The template filled with values: inside quotes as part of the text, elsewhere as JSON."""
    parts, place, is_quoted = [], 0, False
    for found in _PLACE.finditer(template):
        between = template[place : found.start()]
        is_quoted ^= len(_QUOTE.findall(between)) % 2 == 1
        parts += [between, _filled(values.get(found[1]), is_quoted=is_quoted)]
        place = found.end()
    return "".join([*parts, template[place:]])


def _filled(value: Any, *, is_quoted: bool) -> str:
    if not is_quoted:
        return str(value) if isinstance(value, _Exact) else json.dumps(value, ensure_ascii=False)
    return json.dumps("" if value is None else str(value), ensure_ascii=False)[1:-1]


def _template_problems(template: str, delivery: Delivery) -> Iterable[OptionProblem]:
    known = ["metric", "period", "value", "previous", "unit", "scope", "id", "type", "book", "delivery", *delivery.by]
    for name in template_names(template):
        if name not in known:
            yield OptionProblem(
                key="body", message=f"the body names {{{name}}}, which a value does not have", expected=", ".join(known)
            )
    try:
        json.loads(filled_template(template, dict.fromkeys(known, "x")))
    except ValueError as error:
        yield OptionProblem(
            key="body",
            message=f"the body is not JSON once its names are filled in: {error}",
            expected="JSON with names in braces",
            paste='body = \'{"text": "{metric} was {value} on {period}"}\'',
        )
