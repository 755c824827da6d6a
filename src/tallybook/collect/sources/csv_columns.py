"""Converts columns of DuckDB to the stored types: columns of its own tables, and of CSV sent by a server."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

from tallybook.collect.sources.base import ARROW_TYPES
from tallybook.collect.sources.values import DEC, KEPT_DIGITS, no_number, too_many_digits
from tallybook.core import EXACT, EXACT_DIGITS, ArrowTable, NotFinite, SourceError

if TYPE_CHECKING:
    import duckdb

# Without any detection, because each option would otherwise be guessed from the first rows.
_OPTIONS = (
    "auto_detect = false, header = false, delim = ',', quote = '\"', escape = '\"', new_line = '\\n', comment = '', "
    "nullstr = '', allow_quoted_nulls = false, parallel = false"
)

_NO_ROOM = "no room for the number "
"""Prefix before the number in engine errors that we raise ourselves."""


def csv_columns(engine: duckdb.DuckDBPyConnection, text: bytes | memoryview, kinds: Sequence[str]) -> ArrowTable:
    """PostgreSQL's CSV as columns c0, c1, … of these kinds. A null is an empty field, and an empty text is in quotes.

    Raises an error of DuckDB for a value that does not fit its kind. No value is rounded."""
    names = [f"c{place}" for place in range(len(kinds))]
    read = ", ".join(
        f"{name}: '{'VARCHAR' if kind == DEC else ARROW_TYPES[kind]}'" for name, kind in zip(names, kinds, strict=True)
    )
    wanted = ", ".join(
        f"{exact_number(name)} AS {name}" if kind == DEC else name for name, kind in zip(names, kinds, strict=True)
    )
    with _file_of(text) as path:
        sql = f"SELECT {wanted} FROM read_csv('{path}', {_OPTIONS}, columns = {{{read}}})"
        return _read(engine, sql)


def _read(engine: duckdb.DuckDBPyConnection, sql: str) -> ArrowTable:
    import duckdb

    try:
        return ArrowTable.read(engine.sql(sql))
    except RuntimeError as error:  # nanoarrow's error, with the message of the engine
        if isinstance(error, duckdb.Error):
            raise
        raise duckdb.ConversionException(str(error).partition(": ")[2] or str(error)) from None


def exact_number(text: str) -> str:
    """SQL of the number in a `text`. A number that a cast would round, or that does not fit, raises an engine error
    that `refused_number` can read."""
    lost = (
        f"contains({text}, '.') AND strlen({text}) - strpos({text}, '.') > {KEPT_DIGITS} "
        f"AND regexp_matches({text}, '\\.\\d{{{KEPT_DIGITS}}}\\d*[1-9]')"
    )
    number = f"TRY_CAST(CASE WHEN NOT ({lost}) THEN {text} END AS {EXACT})"
    refused = f"CASE WHEN {text} IS NOT NULL THEN CAST(error('{_NO_ROOM}' || {text}) AS {EXACT}) END"
    return f"coalesce({number}, {refused})"


def column_as(column: str, type_: str, kind: str) -> str:
    """SQL of an engine column in its stored type. For wide types, a plain cast to DECIMAL would round or fail."""
    scaled = re.match(r"DECIMAL\((\d+),(\d+)\)", type_)
    fits = type_ in ("INTEGER", "BIGINT", "SMALLINT", "TINYINT", "UINTEGER", "UBIGINT")
    if scaled:
        whole, fraction = int(scaled[1]) - int(scaled[2]), int(scaled[2])
        fits = whole <= EXACT_DIGITS[0] - EXACT_DIGITS[1] and fraction <= EXACT_DIGITS[1]
    if kind != DEC or fits:
        return f"CAST({column} AS {ARROW_TYPES[kind]})"
    return exact_number(f"CAST({column} AS VARCHAR)")


def refused_number(error: Exception) -> SourceError | None:
    """The error for the number that `exact_number` refused, or None for other errors."""
    _, found, rest = str(error).partition(_NO_ROOM)
    if not found:
        return None
    text = rest.split()[0]
    try:
        number = Decimal(text)
    except InvalidOperation:
        return no_number(text)
    return too_many_digits(number) if number.is_finite() else NotFinite(text)


@contextmanager
def _file_of(text: bytes | memoryview) -> Iterator[str]:
    """The path of a file with this text, in memory if the system supports that."""
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        file = os.memfd_create("tallybook")
        try:
            with os.fdopen(os.dup(file), "wb") as out:
                out.write(text)
            yield f"/proc/self/fd/{file}"
        finally:
            os.close(file)
        return
    with tempfile.TemporaryDirectory(prefix="tallybook-") as folder:
        path = Path(folder, "rows.csv")
        path.write_bytes(text)
        yield path.as_posix().replace("'", "''")
