"""Reads ClickHouse's types and values, which arrive as tab-separated text with a type above each column."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from tallybook.collect.sources.values import (
    BOOL,
    DATE,
    DEC,
    FLOAT,
    INT,
    OTHER,
    TEXT,
    TIMESTAMP,
    TIMESTAMPTZ,
    UUID,
    ColumnType,
    as_text,
)

_AROUND = re.compile(r"(?:Nullable|LowCardinality)\((.*)\)|SimpleAggregateFunction\(\w+, (.*)\)", re.DOTALL)
_KINDS = (
    (re.compile(r"U?Int\d+"), INT),
    (re.compile(r"Float\d+|BFloat16"), FLOAT),
    (re.compile(r"String|FixedString\(\d+\)|Enum(8|16)?\(.*\)|IPv[46]", re.DOTALL), TEXT),
    (re.compile(r"Bool"), BOOL),
    (re.compile(r"Date(32)?"), DATE),
    (re.compile(r"DateTime(64\(\d\))?"), TIMESTAMP),
    (re.compile(r"DateTime\('.*'\)|DateTime64\(\d, '.*'\)"), TIMESTAMPTZ),
    (re.compile(r"UUID"), UUID),
)
_DECIMAL = re.compile(r"Decimal\((\d+), (\d+)\)")
_NARROW = 18
"""Decimals with up to this many digits are summed in 38 digits, which no sum can exceed."""


def bare(declared: str) -> str:
    """The type without Nullable(…), LowCardinality(…) and SimpleAggregateFunction(…) around it."""
    while found := _AROUND.fullmatch(declared):
        declared = found[1] or found[2]
    return declared


def column_type(declared: str) -> ColumnType:
    name = bare(declared)
    if decimal := _DECIMAL.fullmatch(name):
        return ColumnType(DEC, int(decimal[2]), name)
    kind = next((kind for pattern, kind in _KINDS if pattern.fullmatch(name)), OTHER)
    return ColumnType(kind, 0 if kind == INT else None, name)


def is_wide(type_: ColumnType) -> bool:
    """Whether its sum may need more digits than ClickHouse uses by default, in which case it overflows silently."""
    if decimal := _DECIMAL.fullmatch(type_.declared):
        return int(decimal[1]) > _NARROW
    return type_.declared.endswith(("128", "256"))


# --- values ----------------------------------------------------------------------------------------------------------

_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_MEANT = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"b": b"\b", b"f": b"\f", b"0": b"\0", b"a": b"\a", b"v": b"\v"}


def rows_of(answer: bytes) -> Iterator[tuple[Any, ...]]:
    """The rows of an answer in TabSeparatedWithNamesAndTypes."""
    lines = answer.split(b"\n")
    reads = [_reader(_text(declared) or "") for declared in lines[1].split(b"\t")]
    for line in lines[2:-1]:
        yield tuple(None if cell == b"\\N" else read(cell) for read, cell in zip(reads, line.split(b"\t"), strict=True))


def _reader(declared: str) -> Callable[[bytes], Any]:
    known: dict[str, Callable[[bytes], Any]] = {
        INT: int,
        FLOAT: float,
        DEC: lambda cell: Decimal(cell.decode()),
        BOOL: lambda cell: cell == b"true",
        DATE: lambda cell: date.fromisoformat(cell.decode()),
        TIMESTAMP: _instant,
        TIMESTAMPTZ: _instant,
    }
    return known.get(column_type(declared).kind, _text)


def _instant(cell: bytes) -> datetime:
    """The instant in a text. All times are written in UTC: 2024-03-01T12:00:00.123456789Z."""
    whole, _, fraction = cell.decode().rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{fraction[:6].ljust(6, '0')}+00:00")


def _text(cell: bytes) -> str | None:
    if b"\\" in cell:
        cell = _ESCAPED.sub(lambda found: _MEANT.get(found[1], found[1]), cell)
    return as_text(cell)


def decoded(values: Sequence[bytes | None]) -> list[str | None]:
    """The texts in a column. Values whose bytes are not valid text become hexadecimal digits."""
    return [as_text(value) for value in values]
