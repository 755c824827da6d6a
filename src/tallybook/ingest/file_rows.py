"""Reads the rows of an NDJSON, CSV or Parquet file of events: one mapping per row, in the order of the file."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

from tallybook.core import FLAG_VALUE, INTEGER_VALUE, NUMBER_VALUE, TEXT_VALUE, QueryError
from tallybook.storage import connect, engine_path

ROWS_AT_A_TIME = 5_000
NDJSON, CSV, PARQUET = "ndjson", "csv", "parquet"
FORMATS = (NDJSON, CSV, PARQUET)
ENDINGS = {".ndjson": NDJSON, ".jsonl": NDJSON, ".json": NDJSON, ".csv": CSV, ".tsv": CSV, ".parquet": PARQUET}
_INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})")
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")
_PACKED = (".gz", ".zst")
_READERS: Mapping[str, Callable[[str], Any]] = {
    INTEGER_VALUE: int,
    NUMBER_VALUE: float,
    FLAG_VALUE: lambda text: text.lower() == "true",
}
"""Readers of CSV values, by column type, for columns that are not text."""


class FileRow(NamedTuple):
    """A row of a file: its number, starting at 1, and its values by column, or the reason why it cannot be read."""

    number: int
    values: Mapping[str, Any] = {}
    error: str = ""
    size: int = 0
    """Its approximate number of characters in the file."""


@dataclass(frozen=True, kw_only=True)
class RowFile:
    """A file of rows. `types`: the types of CSV columns, whose values are texts."""

    path: Path
    form: str
    delimiter: str = ","
    types: Mapping[str, str] = field(default_factory=dict)

    def rows(self) -> Iterator[FileRow]:
        """Yield the rows. Raises QueryError if the file as a whole cannot be read."""
        try:
            yield from {NDJSON: self._lines, CSV: self._csv, PARQUET: self._parquet}[self.form]()
        except (OSError, csv.Error, UnicodeDecodeError) as error:
            raise QueryError(f"cannot read {self.path}: {error}", hint="--format ndjson, csv or parquet") from None

    def _lines(self) -> Iterator[FileRow]:
        decode = json.JSONDecoder().decode
        with _opened(self.path) as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    found = decode(line)
                except ValueError as error:
                    yield FileRow(number=number, error=f"the line is not JSON: {error}")
                    continue
                if isinstance(found, dict):
                    yield FileRow(number, found, "", len(line))
                else:
                    yield FileRow(number=number, error="the line is not a JSON object")

    def _csv(self) -> Iterator[FileRow]:
        with _opened(self.path) as file:
            reader = csv.reader(file, delimiter=self.delimiter)
            headings = next(reader, [])
            readers = [_READERS.get(self.types.get(name, TEXT_VALUE)) for name in headings]
            width = sum(map(len, headings)) + 6 * len(headings)
            if len(set(headings)) < len(headings):
                raise QueryError(f"{self.path}: two columns have the same heading")
            for number, cells in enumerate(reader, 2):
                if len(cells) > len(headings):
                    message = f"the row has {len(cells)} values, and there are {len(headings)} headings"
                    yield FileRow(number=number, error=message)
                elif cells:
                    named = zip(headings, cells, readers, strict=False)
                    values = {name: text if read is None else read(text) for name, text, read in named if text}
                    yield FileRow(number, values, "", width + sum(map(len, cells)))

    def _parquet(self) -> Iterator[FileRow]:
        import duckdb

        read = f"SELECT CAST(to_json(facts) AS VARCHAR) FROM read_parquet({engine_path(self.path)}) AS facts"
        number = 0
        with connect() as engine:
            engine.execute("SET TimeZone = 'UTC'")
            try:
                found = engine.execute(read)
                while rows := found.fetchmany(ROWS_AT_A_TIME):
                    for (text,) in rows:
                        number += 1
                        yield FileRow(number, json.loads(text), "", len(text))
            except duckdb.Error as error:
                raise QueryError(f"cannot read {self.path}: {error}") from None


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    """A text file, decompressed if its name says that it is compressed."""
    with path.open("rb") as raw:
        if path.suffix == ".gz":
            stream: Any = gzip.GzipFile(fileobj=raw)
        elif path.suffix == ".zst":
            import zstandard

            stream = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        else:
            stream = raw
        with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
            yield text


def form_of(path: Path) -> str:
    """The format by the file extension. Raises QueryError for an unknown extension."""
    suffixes = [one.lower() for one in path.suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    if suffixes and suffixes[-1] in ENDINGS:
        return ENDINGS[suffixes[-1]]
    raise QueryError(f"cannot tell the format of {path.name} from its ending", hint=f"--format {'|'.join(FORMATS)}")


def csv_types(file: RowFile) -> dict[str, str]:
    """The type of each column of a CSV file: integer, number or flag if every value in the file fits."""
    possible: dict[str, list[str]] = {}
    for row in file.rows():
        for column, text in row.values.items():
            left = possible.setdefault(column, [INTEGER_VALUE, NUMBER_VALUE, FLAG_VALUE])
            if len(left) == 2 and _INTEGER.fullmatch(text):
                continue  # an integer is also a number
            if left:
                left[:] = [type_ for type_ in left if _fits(text, type_)]
    return {column: left[0] if left else TEXT_VALUE for column, left in possible.items()}


def _fits(text: str, type_: str) -> bool:
    if type_ == FLAG_VALUE:
        return text.lower() in ("true", "false")
    return bool((_INTEGER if type_ == INTEGER_VALUE else _NUMBER).fullmatch(text))
