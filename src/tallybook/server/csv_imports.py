"""`POST /v1/import/csv`: the body is a CSV file, and the query string describes its columns."""

from __future__ import annotations

import asyncio
import json
import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from tallybook.core import AttributeChange, DecodedEvents, Rejection, RequestError, TallybookError, calendar
from tallybook.ingest import (
    CELL_TYPES,
    KINDS_OF_ROWS,
    OWN_PROTOCOL,
    CsvMapping,
    CsvRows,
    decode_changes,
    in_order,
    rows_of_csv,
    too_large_file,
    unpack,
)
from tallybook.server.answers import HttpAnswer, Refusal, bad_parameter, ledger_error, only
from tallybook.server.bodies import body_of
from tallybook.server.entities import check_bound
from tallybook.server.gate import Gate
from tallybook.server.requests import Request
from tallybook.server.storing import verdicts_of
from tallybook.storage import ApiKey

if TYPE_CHECKING:
    from tallybook.server.app import EventsApp

CSV_PATH = "/v1/import/csv"
_COLUMNS = ("event", "time", "user", "account", "id")
CSV_PARAMETERS = {
    "type": "events, values, users or accounts",
    "event": "the name of all rows; else the column event names each",
    "time": "the column of the time or day",
    "user": "the column of the user",
    "account": "the column of the account",
    "id": "the column of the id",
    "properties": "columns with commas between, name=column to rename; else all others",
    "types": "column=integer, number, text or flag",
    "zone": "of times without an offset",
    "unit": "s or ms, for times that are numbers since 1970",
    "delimiter": "one character; else a comma",
    "strict": "true: a cell that does not fit its type rejects its row",
    "dry_run": "true: nothing is stored",
}
_FLAGS = {"": True, "true": True, "1": True, "false": False, "0": False}


class CsvDoor:
    """Stores rows like `POST /v1/events`, `/v1/values` and `PUT /v1/users/{id}`, with the same rules and limits."""

    def __init__(self, app: EventsApp) -> None:
        self.app = app

    def takes(self, request: Request) -> bool:
        return request.path == CSV_PATH and self.app.commit is not None

    async def answer(self, request: Request, gate: Gate) -> HttpAnswer:
        if (refused := only(request.method, "POST")) is not None:
            return refused
        app = self.app
        key = await gate.key_of(request, "write")
        app.rates.check(key)
        if (problem := app.problem()) is not None:
            raise Refusal(problem, closes=True)
        mapping, is_trial = mapping_of(request.query)
        with app.room.share() as share:
            try:
                raw = await body_of(request.headers, request.receive, share, app.rules.limits.max_body)
            except Refusal as refusal:
                raise Refusal(_of_file(refusal.error, mapping.kind), closes=refusal.closes) from None
            body = await asyncio.to_thread(unpack, raw, request.headers.get("content-encoding", ""), app.rules.limits)
            if isinstance(body, RequestError):
                raise Refusal(_of_file(body, mapping.kind))
            found = await asyncio.to_thread(rows_of_csv, body, mapping, app.rules)
            if found.error is not None:
                raise Refusal(found.error)
            if mapping.kind in ("users", "accounts"):
                return await self._push(key, mapping.kind, found, is_trial)
            path = f"/v1/{mapping.kind}"
            return await self._store(request, key, found, path, len(raw), is_trial)

    async def _store(
        self, request: Request, key: ApiKey, found: CsvRows, path: str, size: int, is_trial: bool
    ) -> HttpAnswer:
        app, rows = self.app, found.rows
        if is_trial or not rows:
            answer = verdicts_of(DecodedEvents(rejected=found.rejected), app.clock())
            body = {**(answer.body or {}), "stored": 0, "rows": len(rows) + len(found.rejected)}
            return HttpAnswer(
                200 if is_trial else 422, _with_warnings(body, found.warnings, rows[:1] if is_trial else ())
            )
        sent = json.dumps([one for _, one in rows], ensure_ascii=False).encode("utf-8", "surrogatepass")
        row = app.row(request, key, sent, protocol=OWN_PROTOCOL, path=path, encoding="")
        answer = await app.keep(request, key, row, size)
        assert answer.body is not None
        # The verdicts count the rows that were sent, and the file has more rows.
        numbers = [number for number, _ in rows]
        verdicts = [{**one, "index": numbers[one["index"]]} for one in answer.body["rejected"]]
        rejected = sorted([*verdicts, *(one.as_json() for one in found.rejected)], key=lambda one: one["index"])
        body = {**answer.body, "rejected": rejected}
        return HttpAnswer(answer.status, _with_warnings(body, found.warnings))

    async def _push(self, key: ApiKey, kind: str, found: CsvRows, is_trial: bool) -> HttpAnswer:
        app = self.app
        assert app.entities is not None
        now, rejected = app.clock(), list(found.rejected)
        changes: dict[str, list[AttributeChange]] = {}
        for number, row in found.rows:
            check_bound(key, kind, row["id"])
            sent = {name: value for name, value in row.items() if name != "id"}
            decoded = decode_changes(row["id"], sent, in_order(now, number), now=now)
            rejected += [replace(one, index=number) for one in decoded.rejected]
            if decoded.changes:
                changes.setdefault(row["id"], []).extend(decoded.changes)
        if changes and not is_trial:
            try:
                await asyncio.to_thread(app.entities.entities.push, kind, changes, now=now)
            except TallybookError:
                raise Refusal(ledger_error()) from None
        kept = 0 if is_trial else len(changes)
        app.rates.take(key, len(found.rows))
        body = {"kept": kept, "rejected": [one.as_json() for one in sorted(rejected, key=lambda one: one.index)]}
        status = 422 if rejected and not changes else 200
        return HttpAnswer(status, _with_warnings(body, found.warnings, found.rows[:1] if is_trial else ()))


def _of_file(error: RequestError, kind: str) -> RequestError:
    """A refusal of a body in the words for files."""
    return too_large_file(kind, error.seen, error.expected) if error.code == "too_large" else error


def _with_warnings(
    body: Mapping[str, Any], warnings: Sequence[Rejection], example: Sequence[tuple[int, Any]] = ()
) -> dict[str, Any]:
    found = dict(body)
    if warnings:
        found["warnings"] = [*found.get("warnings", ()), *(one.as_json() for one in warnings)]
    return found | ({"example": example[0][1]} if example else {})


def mapping_of(query: str) -> tuple[CsvMapping, bool]:
    """The column mapping in a query string, and whether this is a dry run. Raises Refusal."""
    given: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in CSV_PARAMETERS:
            raise bad_parameter("bad_name", name[:40], "there is no such parameter", value, ", ".join(CSV_PARAMETERS))
        given[name] = value
    kind = given.get("type", "events")
    if kind not in KINDS_OF_ROWS:
        raise bad_parameter("bad_text", "type", "this is no type of rows", kind, ", ".join(KINDS_OF_ROWS))
    if (zone := given.get("zone", "")) and not _is_zone(zone):
        raise bad_parameter("bad_text", "zone", "there is no such time zone", zone, "Europe/Berlin")
    if (unit := given.get("unit", "")) not in ("", "s", "ms"):
        raise bad_parameter("bad_text", "unit", "times are seconds or milliseconds", unit, "s or ms")
    delimiter = given.get("delimiter", ",").replace("\\t", "\t")
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise bad_parameter("bad_text", "delimiter", "the delimiter is one character", delimiter, ", or ; or \\t")
    mapping = CsvMapping(
        kind=KINDS_OF_ROWS[kind],
        **{name: given.get(name, "") for name in _COLUMNS},
        properties=_pairs(given["properties"]) if "properties" in given else None,
        types=_types(given.get("types", "")),
        zone=zone,
        unit=unit,
        delimiter=delimiter,
        strict=_flag(given, "strict"),
    )
    return mapping, _flag(given, "dry_run")


def _flag(given: Mapping[str, str], name: str) -> bool:
    text = given.get(name, "false").lower()
    if text not in _FLAGS:
        raise bad_parameter("bad_text", name, "this is true or false", text, "true or false")
    return _FLAGS[text]


def _pairs(text: str) -> dict[str, str]:
    """The column of each name in a text such as `plan=Tariff,seats`."""
    parts = [one.partition("=") for one in text.split(",") if one.strip()]
    return {name.strip(): (column or name).strip() for name, _, column in parts}


def _types(text: str) -> dict[str, str]:
    found = _pairs(text)
    for column, type_ in found.items():
        if type_ not in CELL_TYPES:
            raise bad_parameter("bad_text", "types", "this is no type", f"{column}={type_}", ", ".join(CELL_TYPES))
    return found


def _is_zone(name: str) -> bool:
    try:
        calendar.zone(name)
    except (TallybookError, zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
