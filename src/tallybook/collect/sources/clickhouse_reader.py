"""Reads rows and large results of ClickHouse."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tallybook.collect.sources.base import Reader
from tallybook.collect.sources.chdb_files import check_reads_folder_only
from tallybook.collect.sources.clickhouse_types import decoded, rows_of
from tallybook.collect.sources.values import DEC, FLOAT, INT, TEXT
from tallybook.core import EXACT_DIGITS, ArrowTable, SourceError

if TYPE_CHECKING:
    from tallybook.collect.sources.clickhouse import ClickhouseSource


class ClickhouseReader(Reader):
    def __init__(self, source: ClickhouseSource) -> None:
        self.source = source

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return list(rows_of(self._asked(sql, "TabSeparatedWithNamesAndTypes")))

    def batches(self, sql: str, size: int = 50_000) -> Iterator[list[tuple[Any, ...]]]:
        rows = self.rows(sql)
        yield from (rows[start : start + size] for start in range(0, len(rows), size))

    def table(self, sql: str, kinds: Sequence[str]) -> ArrowTable:
        return self.fetched(sql, kinds)()

    def fetched(self, sql: str, kinds: Sequence[str]) -> Callable[[], ArrowTable]:
        answer = self._asked(sql, "CSV")
        return lambda: self._parsed(answer, kinds)

    def _asked(self, sql: str, form: str) -> bytes:
        if self.source.settings.url.startswith("chdb:"):
            check_reads_folder_only(self.source.settings.name, sql)
        try:
            answer: bytes = self.source.client().raw_query(sql, fmt=form)
        except SourceError:
            raise
        except Exception as error:
            # chDB would put the partial result of a failed statement before the next one on this connection.
            self.source.close()
            raise self.source.explained(error) from None
        return answer

    def _parsed(self, answer: bytes, kinds: Sequence[str]) -> ArrowTable:
        import pyarrow as pa
        from pyarrow import csv

        types = {TEXT: pa.binary(), INT: pa.int64(), DEC: pa.decimal128(*EXACT_DIGITS), FLOAT: pa.float64()}
        names = [f"c{i}" for i in range(len(kinds))]
        columns = {name: types[kind] for name, kind in zip(names, kinds, strict=True)}
        try:
            table = (
                csv.read_csv(
                    io.BytesIO(answer),
                    read_options=csv.ReadOptions(column_names=names),
                    parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
                    convert_options=csv.ConvertOptions(
                        column_types=columns,
                        null_values=["\\N"],
                        strings_can_be_null=True,
                        quoted_strings_can_be_null=False,
                    ),
                )
                if answer
                else pa.schema(columns.items()).empty_table()
            )
        except pa.ArrowInvalid as error:
            raise SourceError(
                f"source {self.source.settings.name!r}: a value needs more than 28 digits before or 10 after the point",
                hint="say in the measure how it is to be rounded: cast(x as Decimal(38, 10)), or toFloat64(x)",
            ) from error
        return ArrowTable.read(pa.table([_as_text(column) for column in table.columns], names=names))


def _as_text(column: Any) -> Any:
    import pyarrow as pa

    if column.type != pa.binary():
        return column
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array(decoded(column.to_pylist()), pa.string())
