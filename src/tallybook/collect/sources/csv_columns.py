"""CSV that a server sent, read by DuckDB into columns."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tallybook.collect.sources.base import ARROW_TYPES
from tallybook.collect.sources.values import DEC, KEPT_DIGITS
from tallybook.core import ArrowTable

if TYPE_CHECKING:
    import duckdb

# Without detection of anything: each of these was guessed from the first rows otherwise.
_OPTIONS = (
    "auto_detect = false, header = false, delim = ',', quote = '\"', escape = '\"', new_line = '\\n', comment = '', "
    "nullstr = '', allow_quoted_nulls = false, parallel = false"
)


def csv_columns(engine: duckdb.DuckDBPyConnection, text: bytes | memoryview, kinds: Sequence[str]) -> ArrowTable:
    """PostgreSQL's CSV as columns c0, c1, … of these kinds: null is an empty field, the empty text is in quotes.

    Raises an error of DuckDB for a value that does not fit its kind; none is rounded."""
    names = [f"c{place}" for place in range(len(kinds))]
    read = ", ".join(
        f"{name}: '{'VARCHAR' if kind == DEC else ARROW_TYPES[kind]}'" for name, kind in zip(names, kinds, strict=True)
    )
    wanted = ", ".join(_exact(name) if kind == DEC else name for name, kind in zip(names, kinds, strict=True))
    with _file_of(text) as path:
        sql = f"SELECT {wanted} FROM read_csv('{path}', {_OPTIONS}, columns = {{{read}}})"
        return _read(engine, sql)


def _read(engine: duckdb.DuckDBPyConnection, sql: str) -> ArrowTable:
    import duckdb

    try:
        return ArrowTable.read(engine.sql(sql))
    except RuntimeError as error:  # nanoarrow's, with the message of the engine
        if isinstance(error, duckdb.Error):
            raise
        raise duckdb.ConversionException(str(error).partition(": ")[2] or str(error)) from None


def _exact(name: str) -> str:
    """SQL of a number with at most so many digits after the point as are kept: a cast would round it."""
    lost = (
        f"contains({name}, '.') AND strlen({name}) - strpos({name}, '.') > {KEPT_DIGITS} "
        f"AND regexp_matches({name}, '\\.\\d{{{KEPT_DIGITS}}}\\d*[1-9]')"
    )
    exact = f"CASE WHEN {lost} THEN error({name} || ' has too many decimals') ELSE {name} END"
    return f"CAST({exact} AS {ARROW_TYPES[DEC]}) AS {name}"


@contextmanager
def _file_of(text: bytes | memoryview) -> Iterator[str]:
    """The path of a file with this text, in memory where the system has such files."""
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
