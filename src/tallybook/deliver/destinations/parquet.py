"""A Parquet file: exact decimals, real dates, and the question and its explanation in the metadata."""

from __future__ import annotations

from typing import BinaryIO

from tallybook.core import LAYOUTS, DestinationKind, Result
from tallybook.deliver.destinations.base import FileDestination, OutputSettings


class Parquet(FileDestination):
    """A Parquet file, written by `Result.to_parquet`."""

    kind = DestinationKind(name="parquet", noun="a Parquet file", endings=(".parquet",), layouts=LAYOUTS, is_text=False)

    def write(self, result: Result, file: BinaryIO, settings: OutputSettings) -> None:
        if settings.layout == "columns":
            result.to_parquet(file)
            return
        from tallybook.core import save_parquet
        from tallybook.deliver.destinations.layout import arranged, to_arrow

        save_parquet(to_arrow(arranged(result, settings.layout)), file)
