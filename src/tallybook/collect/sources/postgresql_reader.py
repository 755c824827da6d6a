"""Reads rows and large results of PostgreSQL."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tallybook.collect.sources.base import ARROW_TYPES
from tallybook.collect.sources.csv_columns import csv_columns, refused_number
from tallybook.collect.sources.failed_statements import undecodable
from tallybook.collect.sources.postgresql_driver import FROM_LATIN1, copied_bytes
from tallybook.collect.sources.server import ServerReader
from tallybook.core import ArrowTable, SourceError

if TYPE_CHECKING:
    from tallybook.collect.sources.postgresql import PostgresqlSource


class PostgresqlReader(ServerReader):
    source: PostgresqlSource

    def several(self, statements: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
        with self.explaining(), self.raw.pipeline():
            for cursor in [self.raw.execute(sql) for sql in statements]:
                yield list(cursor.fetchall())

    def table(self, sql: str, kinds: Sequence[str]) -> ArrowTable:
        return self.fetched(sql, kinds)()

    def fetched(self, sql: str, kinds: Sequence[str]) -> Callable[[], ArrowTable]:
        with self.explaining():
            buffer = self.raw.wait(copied_bytes(self.raw, f"COPY ({sql}) TO STDOUT (FORMAT csv)"))
        return lambda: self._parsed(buffer, kinds)

    def _parsed(self, buffer: io.BytesIO, kinds: Sequence[str]) -> ArrowTable:
        import duckdb

        if buffer.tell() == 0:
            types = {f"c{place}": ARROW_TYPES[kind] for place, kind in enumerate(kinds)}
            return ArrowTable.of_batches(types, [])
        try:
            return csv_columns(self.source.csv_engine.cursor(), buffer.getbuffer(), kinds)
        except duckdb.Error as error:
            if refused := refused_number(error):
                raise refused from None
            if "unicode" in str(error).lower():
                raise undecodable(self.source.settings.name, FROM_LATIN1) from None
            said = " ".join(str(error).split("\n\n")[0].split())
            raise SourceError(
                f"source {self.source.settings.name!r}: a value does not fit: {said}",
                hint="cast it: cast(x as decimal(38, 10))",
            ) from None
