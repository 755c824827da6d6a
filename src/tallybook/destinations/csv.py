"""A CSV file as `Result.to_csv` writes it: a single quote stands before text that a spreadsheet would run."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from tallybook.destinations import replacing
from tallybook.result import Result


class Csv:
    """UTF-8 without a byte order mark, which most programs would read as part of the first column's name;
    for spreadsheets there is the workbook."""

    def write(self, result: Result, path: Path, *, created: datetime | None = None) -> None:
        with replacing(path) as file:
            file.write(result.to_csv().encode())
