"""Reads rows and large results of PostgreSQL."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tallybook.collect.sources.postgresql_driver import (
    copied_bytes,
)
from tallybook.collect.sources.server import ServerReader
from tallybook.collect.sources.values import (
    DEC,
    FLOAT,
    INT,
    TEXT,
)
from tallybook.core import EXACT_DIGITS, SourceError

if TYPE_CHECKING:
    import pyarrow as pa


class PostgresqlReader(ServerReader):
    def several(self, statements: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
        with self.explaining(), self.raw.pipeline():
            for cursor in [self.raw.execute(sql) for sql in statements]:
                yield list(cursor.fetchall())

    def table(self, sql: str, kinds: Sequence[str]) -> pa.Table:
        return self.fetched(sql, kinds)()

    def fetched(self, sql: str, kinds: Sequence[str]) -> Callable[[], pa.Table]:
        with self.explaining():
            buffer = self.raw.wait(copied_bytes(self.raw, f"COPY ({sql}) TO STDOUT (FORMAT csv)"))
        return lambda: self._parsed(buffer, kinds)

    def _parsed(self, buffer: io.BytesIO, kinds: Sequence[str]) -> pa.Table:
        import pyarrow as pa
        from pyarrow import csv

        types = {TEXT: pa.string(), INT: pa.int64(), DEC: pa.decimal128(*EXACT_DIGITS), FLOAT: pa.float64()}
        names = [f"c{i}" for i in range(len(kinds))]
        if buffer.tell() == 0:
            return pa.table({n: pa.array([], types[k]) for n, k in zip(names, kinds, strict=True)})
        buffer.seek(0)
        try:
            return csv.read_csv(
                buffer,
                read_options=csv.ReadOptions(column_names=names),
                parse_options=csv.ParseOptions(newlines_in_values=True),
                convert_options=csv.ConvertOptions(
                    column_types={n: types[k] for n, k in zip(names, kinds, strict=True)},
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid as error:
            raise SourceError(
                f"source {self.source.settings.name!r}: a value does not fit: {error}",
                hint="cast it: cast(x as decimal(38, 10))",
            ) from None
