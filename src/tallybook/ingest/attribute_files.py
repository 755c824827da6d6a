"""Reads CSV or Parquet files of users or accounts. A CSV file written by `accounts export` gives back the same
values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tallybook.core import TEXT_VALUE, QueryError, did_you_mean, unguarded_text
from tallybook.storage import connect, identifier, literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

ROWS_AT_A_TIME = 2_000
_NUMERIC = ("BIGINT", "INTEGER", "HUGEINT", "DOUBLE", "DECIMAL")
_LEADING_ZERO = r"^\s*[-+]?0[0-9]"
_READ_CSV = "read_csv({file}, quote = '\"', escape = '\"', allow_quoted_nulls = false, sample_size = -1{more})"


def file_rows(
    file: Path, key: str, others: Sequence[str], attributes: Mapping[str, str], types: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """The rows of a file, by heading. `others`: columns that the file must have. `attributes`: columns that are read by
    name. `types`: pinned types of attributes, by case-folded name. Raises QueryError."""
    import duckdb

    engine = connect()
    try:
        relation = _relation(engine, file, key, {column: name for name, column in attributes.items()}, types)
        found = engine.execute(f"SELECT * FROM {relation}")
        is_csv = file.suffix != ".parquet"
        names = [_plain(str(column[0]), is_csv) for column in found.description or ()]
        for wanted in dict.fromkeys([key, *others, *attributes.values()]):
            if wanted not in names:
                hint = f"{did_you_mean(wanted, names)} its columns: {', '.join(names)}".strip()
                raise QueryError(f"{file} has no column {wanted!r}", hint=hint)
        while rows := found.fetchmany(ROWS_AT_A_TIME):
            for row in rows:
                yield {name: _plain(value, is_csv) for name, value in zip(names, row, strict=True)}
    except duckdb.Error as error:
        why = str(error).split("\n")[0]
        raise QueryError(f"{file} cannot be read: {why}", hint="a CSV file with headings, or Parquet") from None
    finally:
        engine.close()


def _relation(
    engine: duckdb.DuckDBPyConnection, file: Path, key: str, by_column: Mapping[str, str], types: Mapping[str, str]
) -> str:
    """The file as a relation. In CSV, three kinds of columns are read as text exactly as written: ids, attributes whose
    values are texts, and columns of numbers of which one begins with a zero."""
    if file.suffix == ".parquet":
        return f"read_parquet({literal(str(file))})"
    sniffed = _READ_CSV.format(file=literal(str(file)), more="")
    columns = {str(row[0]): str(row[1]) for row in engine.execute(f"DESCRIBE SELECT * FROM {sniffed}").fetchall()}

    def is_text(column: str) -> bool:
        name = _plain(column, is_csv=True)
        return name == key or types.get(by_column.get(name, name).casefold()) == TEXT_VALUE

    texts = [column for column in columns if is_text(column)]
    left = [column for column, type_ in columns.items() if column not in texts and type_.startswith(_NUMERIC)]
    as_texts = _READ_CSV.format(file=literal(str(file)), more=", all_varchar = true")
    if left:
        asked = ", ".join(f"bool_or(regexp_matches({identifier(column)}, '{_LEADING_ZERO}'))" for column in left)
        zeros = engine.execute(f"SELECT {asked} FROM {as_texts}").fetchall()[0]
        texts += [column for column, has_zero in zip(left, zeros, strict=True) if has_zero]
    if not texts:
        return sniffed
    named = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in texts)
    return _READ_CSV.format(file=literal(str(file)), more=f", types = {{{named}}}")


def _plain(value: Any, is_csv: bool) -> Any:
    return unguarded_text(value) if is_csv and isinstance(value, str) else value
