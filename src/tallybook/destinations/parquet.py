"""A Parquet file: exact decimals, real dates, and the question and its explanation in the metadata."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from tallybook.destinations import replacing
from tallybook.result import Result


class Parquet:
    """What `Result.to_parquet` writes, in place of the old file in one step."""

    def write(self, result: Result, path: Path, *, created: datetime | None = None) -> None:
        with replacing(path) as file:
            result.to_parquet(file)
