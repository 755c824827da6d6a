"""Columns in Arrow's memory layout, which DuckDB, pyarrow, polars and others read through `__arrow_c_stream__`.

Types are those of DuckDB's SQL, as in `points.SCHEMAS`: BIGINT, VARCHAR, DECIMAL(38,10). nanoarrow owns the memory."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from itertools import accumulate
from typing import Any

INSTANT_TYPE = "TIMESTAMP WITH TIME ZONE"
_ARRAY_CODES = {"SMALLINT": "h", "BIGINT": "q", "DOUBLE": "d", "DATE": "i", INSTANT_TYPE: "q"}
_BYTES_PER_VALUE = {"SMALLINT": 2, "BIGINT": 8, "DOUBLE": 8, "DATE": 4, INSTANT_TYPE: 8, "BOOLEAN": 1}
_MAX_OFFSET = 2**31 - 1
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class ArrowColumn:
    """Values of one column. `array` is nanoarrow's."""

    type: str
    array: Any

    def __len__(self) -> int:
        return len(self.array)


class ArrowTable:
    """Columns of one length in one or more batches. Any reader of Arrow streams can read it, more than once."""

    def __init__(
        self,
        schema: Any,
        batches: Sequence[Any],
        types: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self._schema, self._batches = schema, batches
        self.types, self.metadata = dict(types or {}), dict(metadata or {})
        """The column types, when this program built the table, and the metadata of its schema."""

    @classmethod
    def of(cls, columns: Mapping[str, ArrowColumn], metadata: Mapping[str, str] | None = None) -> ArrowTable:
        """A table of one batch."""
        return cls.of_batches({name: column.type for name, column in columns.items()}, [columns], metadata)

    @classmethod
    def of_batches(
        cls,
        types: Mapping[str, str],
        batches: Iterable[Mapping[str, ArrowColumn]],
        metadata: Mapping[str, str] | None = None,
    ) -> ArrowTable:
        """A table of many batches. A column that a batch lacks is null there."""
        import nanoarrow as na

        schema = na.c_schema(na.struct({name: _schema(type_) for name, type_ in types.items()}))
        if metadata:
            schema = schema.modify(metadata=dict(metadata))
        arrays = []
        for columns in batches:
            length = len(next(iter(columns.values()), ()))
            children = [
                columns[name].array if name in columns else arrow_nulls(length, type_).array
                for name, type_ in types.items()
            ]
            arrays.append(na.c_array_from_buffers(schema, length, [None], 0, children=children))
        return cls(schema, arrays, types, metadata)

    @classmethod
    def read(cls, stream: Any) -> ArrowTable:
        """A table of everything that an object with `__arrow_c_stream__` yields."""
        import nanoarrow as na

        reader = na.c_array_stream(stream)
        return cls(reader.get_schema(), list(reader))

    @classmethod
    def numbered(cls, tables: Sequence[tuple[int, ArrowTable]]) -> ArrowTable:
        """The rows of tables with equal columns, each preceded by the number of its table. The columns are c0, c1, …"""
        import nanoarrow as na

        own = tables[0][1]._schema
        fields = [na.int64(), *(own.child(place) for place in range(own.n_children))]
        schema = na.c_schema(na.struct({f"c{place}": field for place, field in enumerate(fields)}))
        arrays = []
        for number, table in tables:
            for batch in table._batches:
                first = arrow_column([number] * len(batch), "BIGINT").array
                children = [first, *(batch.child(place) for place in range(own.n_children))]
                arrays.append(na.c_array_from_buffers(schema, len(batch), [None], 0, children=children))
        return cls(schema, arrays)

    @property
    def num_rows(self) -> int:
        """The number of rows of all batches."""
        return sum(len(batch) for batch in self._batches)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        from nanoarrow.c_array_stream import CArrayStream

        stream = CArrayStream.from_c_arrays(list(self._batches), self._schema, move=False, validate=False)
        return stream.__arrow_c_stream__()


def arrow_column(values: Sequence[Any], type_: str) -> ArrowColumn:
    """Values as a column; None is null. Raises ValueError or OverflowError for a value that its type cannot contain
    without loss."""
    import nanoarrow as na

    nulls = sum([value is None for value in values])
    validity = _bits(value is not None for value in values) if nulls else None
    type_, buffers = _buffers(values, type_, nulls)
    return ArrowColumn(type_, na.c_array_from_buffers(_schema(type_), len(values), [validity, *buffers], nulls))


def arrow_constant(value: str | int, length: int, type_: str) -> ArrowColumn:
    """A column that repeats one value."""
    import nanoarrow as na

    if type_ != "VARCHAR":
        return arrow_column([value] * length, type_)
    encoded = str(value).encode()
    if len(encoded) * length > _MAX_OFFSET:
        return arrow_column([value] * length, type_)
    offsets = array("i", range(0, len(encoded) * length + 1, len(encoded)) if encoded else [0] * (length + 1))
    return ArrowColumn(type_, na.c_array_from_buffers(na.string(), length, [None, offsets, encoded * length], 0))


def arrow_nulls(length: int, type_: str) -> ArrowColumn:
    """A column of nulls."""
    import nanoarrow as na

    no_value = bytes((length + 7) // 8)
    if type_ in ("VARCHAR", "BLOB"):
        buffers = [no_value, bytes(4 * (length + 1)), b""]
    else:
        buffers = [no_value, bytes(length * (_BYTES_PER_VALUE.get(type_) or _decimal_bytes(type_)))]
    return ArrowColumn(type_, na.c_array_from_buffers(_schema(type_), length, buffers, length))


def decimal_type(precision: int, scale: int) -> str:
    """The name of a decimal type. Arrow has types of more than 38 digits; DuckDB does not."""
    return f"DECIMAL({precision},{scale})"


def _schema(type_: str) -> Any:
    import nanoarrow as na

    if type_.startswith("DECIMAL"):
        precision, scale = _digits(type_)
        return na.decimal128(precision, scale) if precision <= 38 else na.decimal256(precision, scale)
    make: dict[str, Callable[[], Any]] = {
        "BLOB": na.binary,
        "BOOLEAN": na.bool_,
        "DATE": na.date32,
        "DOUBLE": na.float64,
        INSTANT_TYPE: lambda: na.timestamp("us", "UTC"),
        "SMALLINT": na.int16,
        "BIGINT": na.int64,
        "VARCHAR": na.string,
        "LARGE VARCHAR": na.large_string,
        "LARGE BLOB": na.large_binary,
    }
    return make[type_]()


def _buffers(values: Sequence[Any], type_: str, nulls: int) -> tuple[str, list[Any]]:
    """(type, buffers) of values without their validity; the type is wider for gigabytes of text."""
    if type_ in ("VARCHAR", "BLOB"):
        texts = [b"" if value is None else value for value in values] if nulls else values
        encoded = [text if isinstance(text, bytes) else text.encode() for text in texts]
        joined = b"".join(encoded)
        large = len(joined) > _MAX_OFFSET
        offsets = array("q" if large else "i", accumulate(map(len, encoded), initial=0))
        return f"LARGE {type_}" if large else type_, [offsets, joined]
    if type_ == "BOOLEAN":
        return type_, [_bits(bool(value) for value in values)]
    if type_.startswith("DECIMAL"):
        return type_, [_decimals(values, type_)]
    return type_, [array(_ARRAY_CODES[type_], _numbers(values, type_, nulls))]


def _numbers(values: Sequence[Any], type_: str, nulls: int) -> Iterable[Any]:
    """Values as the numbers that Arrow stores; 0 for null."""
    if type_ == "DATE":
        return [0 if value is None else value.toordinal() - _EPOCH_DAY for value in values]
    if type_ == INSTANT_TYPE:
        return [0 if value is None else _microseconds(value) for value in values]
    return [0 if value is None else value for value in values] if nulls else values


def _microseconds(instant: datetime) -> int:
    """The microseconds from the beginning of 1970 (UTC) to an aware instant."""
    since = instant - _EPOCH
    return since.days * 86_400_000_000 + since.seconds * 1_000_000 + since.microseconds


def _bits(flags: Iterable[bool]) -> bytes:
    """Flags as a bitmap, the first in the lowest bit."""
    digits = bytes(map((48).__add__, flags))[::-1]
    return int(digits, 2).to_bytes((len(digits) + 7) // 8, "little") if digits else b""


def _decimals(values: Sequence[Any], type_: str) -> bytes:
    precision, scale = _digits(type_)
    context = Context(prec=precision + 1, traps=[Inexact, InvalidOperation])
    unit, factor, size, limit = Decimal((0, (1,), -scale)), 10**scale, _decimal_bytes(type_), 10**precision
    whole = []
    for value in values:
        if value is None:
            whole.append(0)
        elif isinstance(value, int):
            whole.append(value * factor)
        else:
            try:
                whole.append(int(f"{context.quantize(value, unit):f}".replace(".", "")))
            except (Inexact, InvalidOperation, ValueError):
                raise ValueError(f"{value} is not a {type_}") from None
    if whole and not (-limit < min(whole) and max(whole) < limit):
        raise ValueError(f"{max(whole, key=abs) / factor:g} is not a {type_}")
    return b"".join([number.to_bytes(size, "little", signed=True) for number in whole])


def _digits(type_: str) -> tuple[int, int]:
    found = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", type_)
    assert found is not None, type_
    return int(found[1]), int(found[2])


def _decimal_bytes(type_: str) -> int:
    return 16 if _digits(type_)[0] <= 38 else 32
