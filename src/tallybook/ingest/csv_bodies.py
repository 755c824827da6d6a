"""Reads CSV as events, daily values, or attributes of users and accounts, by a mapping of the columns. Pure.

A cell that does not fit its type is left out with a warning; with `strict`, its row is rejected."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any

from tallybook.core import (
    FLAG_VALUE,
    INTEGER_VALUE,
    NUMBER_VALUE,
    TEXT_VALUE,
    EventLimits,
    EventRules,
    Rejection,
    RequestError,
    calendar,
    did_you_mean,
    unguarded_text,
)

EVENTS, VALUES, USERS_ROWS, ACCOUNTS_ROWS = "events", "values", "users", "accounts"
KINDS_OF_ROWS = {
    **{name: name for name in (EVENTS, VALUES, USERS_ROWS, ACCOUNTS_ROWS)},
    # The terms of Gainsight PX's data loader.
    "CUSTOM_EVENT": EVENTS,
    "USER": USERS_ROWS,
    "ACCOUNT": ACCOUNTS_ROWS,
}
UNITS = {"s": 1, "ms": 1_000}
TIME_NAMES = ("time", "timestamp", "date", "day")
IMPORT_COMMAND = "tallybook events import FILE --server URL"
CELL_TYPES = (INTEGER_VALUE, NUMBER_VALUE, TEXT_VALUE, FLAG_VALUE)
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,15})?")
_INTEGER = re.compile(r"-?(0|[1-9]\d{0,14})")
_WHOLE = re.compile(r"-?(0|[1-9]\d{0,18})")
"""An integer where integers are declared. Longer ones are not guessed, because identifiers look like them."""
_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True, kw_only=True)
class CsvMapping:
    """The mapping from columns to fields. An empty name selects the column with the field's own name, if there is
    one."""

    kind: str = EVENTS
    event: str = ""
    """The name of all events. If empty, the column `event` has the names."""
    time: str = ""
    user: str = ""
    account: str = ""
    id: str = ""
    properties: Mapping[str, str] | None = None
    """The column of each property, by its name. None: all other columns."""
    types: Mapping[str, str] = field(default_factory=dict)
    """The type of a column: integer, number, text or flag."""
    zone: str = ""
    """The zone of times without an offset."""
    unit: str = ""
    """The unit of times that are numbers: s or ms since 1970."""
    delimiter: str = ","
    strict: bool = False


@dataclass(frozen=True, kw_only=True)
class CsvRows:
    """The rows of a body, as (row number, body to send), and the problems found. Rows count from 0, without the
    headings."""

    rows: Sequence[tuple[int, dict[str, Any]]] = ()
    rejected: Sequence[Rejection] = ()
    warnings: Sequence[Rejection] = ()
    error: RequestError | None = None


class _Wrong(Exception):
    def __init__(self, code: str, reason: str, column: str) -> None:
        self.code, self.reason, self.column = code, reason, column


def rows_of_csv(body: bytes, mapping: CsvMapping, rules: EventRules) -> CsvRows:
    """The rows of a body as they would be sent to `/v1/events` or `/v1/values`, or as {"id", "attributes", "time"}."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return CsvRows(error=_refused("bad_encoding", f"the body is not UTF-8: byte {error.start} cannot be read"))
    try:
        lines = _lines(text, mapping.delimiter, rules.limits)
    except csv.Error as error:
        return CsvRows(error=_refused("bad_text", f"the body is not CSV: {error}"))
    if not lines or not any(lines[0]):
        return CsvRows(error=_refused("bad_text", "the body has no line of headings"))
    if mapping.kind in (USERS_ROWS, ACCOUNTS_ROWS):
        # `accounts export` writes a quote before text that a spreadsheet would run as a formula.
        lines = [[unguarded_text(cell) for cell in line] for line in lines]
    names = [name.strip() for name in lines[0]]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        return CsvRows(error=_refused("bad_name", f"the column {twice[0]!r} comes twice"))
    reader = _Reader(mapping, names, lines[1:], rules)
    if (problem := reader.problem()) is not None:
        return CsvRows(error=problem)
    if len(reader.lines) > (most := rules.limits.max_batch):
        return CsvRows(error=too_large_file(mapping.kind, f"more than {most:,} rows", f"at most {most:,}"))
    return reader.read()


def too_large_file(kind: str, seen: str, most: str) -> RequestError:
    """The refusal of a file that is too large for one request: the command that takes files of any size."""
    command = f"tallybook {kind} import FILE" if kind in (USERS_ROWS, ACCOUNTS_ROWS) else IMPORT_COMMAND
    return RequestError(
        status=413,
        code="too_large",
        message=f"the file is too large for one request; `{command}` takes files of any size",
        seen=seen,
        expected=most,
    )


def _lines(text: str, delimiter: str, limits: EventLimits) -> list[list[str]]:
    """The lines that are not empty: the headings, and one row more than a request may have at most. Raises csv.Error,
    also for a line of which no event can be made, because reading it would need much memory."""
    given = _Given(io.StringIO(text, newline=""), limits.max_event)
    found: list[list[str]] = []
    for line in csv.reader(given, delimiter=delimiter, strict=True):
        given.size = 0
        if any(line) or not found:
            found.append(line)
            if len(found) > limits.max_batch + 1:
                break
    return found


class _Given:
    """The lines that csv reads, with the characters since the last row."""

    def __init__(self, text: io.StringIO, most: int) -> None:
        self.text, self.most, self.size = text, most, 0

    def __iter__(self) -> _Given:
        return self

    def __next__(self) -> str:
        line = next(self.text)
        self.size += len(line)
        if self.size > self.most:
            raise csv.Error(f"a row has more than {self.most:,} characters")
        return line


def _refused(code: str, message: str, expected: str = "") -> RequestError:
    return RequestError(status=400, code=code, message=message, expected=expected)


class _Reader:
    def __init__(self, mapping: CsvMapping, names: list[str], lines: list[list[str]], rules: EventRules) -> None:
        self.mapping, self.names, self.lines, self.rules = mapping, names, lines, rules
        self.time = mapping.time or next((name for name in TIME_NAMES if name in names), "")
        self.fields = {one: getattr(mapping, one) or (one if one in names else "") for one in ("user", "account", "id")}
        self.event = "" if mapping.event else "event"
        used = {self.time, self.event, *self.fields.values()}
        others = {name: name for name in names if name and name not in used}
        self.properties = others if mapping.properties is None else mapping.properties
        self.types = {column: self._type(column) for column in self.properties.values() if column in names}
        self.seen: Counter[str] = Counter()
        self.warnings: list[Rejection] = []

    def problem(self) -> RequestError | None:
        """The reason why no row can be read, or None."""
        is_entity = self.mapping.kind in (USERS_ROWS, ACCOUNTS_ROWS)
        wanted = [column for column in (self.mapping.time, *self.fields.values(), *self.properties.values()) if column]
        wanted += [self.event] if self.event and not is_entity else []
        for column in wanted:
            if column not in self.names:
                hint = did_you_mean(column, self.names)
                return _refused("bad_name", f"there is no column {column!r}", f"{hint or ', '.join(self.names)}"[:300])
        if is_entity and not self.fields["id"]:
            return _refused("bad_name", f"{self.mapping.kind} need a column `id`, or id=COLUMN", ", ".join(self.names))
        if self.mapping.kind == VALUES and not self.time:
            return _refused("bad_name", "values need a column `day`, or time=COLUMN", ", ".join(self.names)[:300])
        return None

    def _type(self, column: str) -> str:
        """The type of a column: the given type, else the type declared for its event, else the one type that fits all
        cells."""
        if column in self.mapping.types:
            return self.mapping.types[column]
        name = next(name for name, one in self.properties.items() if one == column)
        declared = self.rules.settings.of(self.mapping.event).types.get(name.casefold())
        if declared in CELL_TYPES:
            return str(declared)
        place = self.names.index(column)
        cells = [line[place].strip() for line in self.lines if place < len(line) and line[place].strip()]
        for type_, fits in ((INTEGER_VALUE, _INTEGER.fullmatch), (NUMBER_VALUE, _NUMBER.fullmatch)):
            if cells and all(map(fits, cells)):
                return type_
        return FLAG_VALUE if cells and all(cell.lower() in _FLAGS for cell in cells) else TEXT_VALUE

    def read(self) -> CsvRows:
        rows: list[tuple[int, dict[str, Any]]] = []
        rejected: list[Rejection] = []
        for number, line in enumerate(self.lines):
            try:
                if len(line) != len(self.names):
                    raise _Wrong("bad_text", f"the row has {len(line)} cells; there are {len(self.names)} headings", "")
                rows.append((number, self._row(number, dict(zip(self.names, line, strict=True)))))
            except _Wrong as why:
                rejected.append(Rejection(index=number, code=why.code, reason=why.reason, field=why.column))
        return CsvRows(rows=rows, rejected=rejected, warnings=self.warnings)

    def _row(self, number: int, cells: Mapping[str, str]) -> dict[str, Any]:
        properties = dict(self._properties(number, cells))
        named = {name: cells[column] for name, column in self.fields.items() if column and cells[column]}
        if self.mapping.kind in (USERS_ROWS, ACCOUNTS_ROWS):
            found: dict[str, Any] = {"id": named.get("id", ""), "attributes": properties}
            others = {name: value for name, value in named.items() if name != "id"}
            return found | {"attributes": {**others, **properties}} | self._time(cells)
        body: dict[str, Any] = {"event": self.mapping.event or cells[self.event], **named, "properties": properties}
        if self.mapping.kind == VALUES:
            body["day"] = self._day(cells[self.time].strip())
            return body
        body |= self._time(cells)
        body.setdefault("id", self._own_id(body))
        return body

    def _own_id(self, body: Mapping[str, Any]) -> str:
        """An id derived from the row, so that a file sent twice is stored once. Equal rows within a file get different
        ids."""
        text = json.dumps(body, sort_keys=True, ensure_ascii=False)
        self.seen[text] += 1
        return "csv-" + hashlib.sha256(f"{self.seen[text]}\n{text}".encode("utf-8", "replace")).hexdigest()[:32]

    def _properties(self, number: int, cells: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
        for name, column in self.properties.items():
            text = cells[column]
            if not text.strip():
                continue
            try:
                yield name, _cell(text, self.types[column])
            except ValueError:
                reason = f"{text[:60]!r} is not {self.types[column]}"
                if self.mapping.strict:
                    raise _Wrong("bad_number", reason, column) from None
                self.warnings.append(
                    Rejection(index=number, code="bad_number", reason=f"{reason}; it is left out", field=column)
                )

    def _day(self, text: str) -> str:
        """The day of a value. A midnight is its day as it is written; of another time the day is not known."""
        if len(text) <= 10:
            return text
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            at = None
        if at is None or at.time() != time():
            raise _Wrong("bad_time", f"{text[:60]!r} is not a day, as 2026-03-01", self.time)
        return at.date().isoformat()

    def _time(self, cells: Mapping[str, str]) -> dict[str, str]:
        """The time of a row. Without an offset, the time is in the mapping's zone, and a day is its midnight there."""
        text = cells[self.time].strip() if self.time else ""
        if not text:
            return {}
        try:
            if self.mapping.unit:
                return {"time": datetime.fromtimestamp(float(text) / UNITS[self.mapping.unit], UTC).isoformat()}
            if len(text) == 10:
                zone = self.mapping.zone or self.rules.zone
                return {"time": calendar.start_of(date.fromisoformat(text), zone).isoformat()}
            at = datetime.fromisoformat(text)
        except (ValueError, OverflowError, OSError):
            raise _Wrong("bad_time", f"{text[:60]!r} is not a time, as 2026-03-01T12:00:00Z", self.time) from None
        if at.tzinfo is None and self.mapping.zone:
            at = at.replace(tzinfo=calendar.zone(self.mapping.zone))
        return {"time": at.isoformat()}


def _cell(text: str, type_: str) -> Any:
    """A cell as a value of its type. Raises ValueError."""
    plain = text.strip()
    if type_ == TEXT_VALUE:
        return text
    if type_ == FLAG_VALUE:
        if plain.lower() not in _FLAGS:
            raise ValueError(plain)
        return _FLAGS[plain.lower()]
    if type_ == INTEGER_VALUE:
        if not _WHOLE.fullmatch(plain):
            raise ValueError(plain)
        return int(plain)
    if not re.fullmatch(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?", plain):
        raise ValueError(plain)
    return int(plain) if _INTEGER.fullmatch(plain) else float(plain)
