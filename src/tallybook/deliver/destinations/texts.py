"""The formats of `tallybook query` that are texts: a table for people, JSON and Markdown."""

from __future__ import annotations

from typing import BinaryIO

from tallybook.config import read_flag
from tallybook.core import QUERY, DestinationKind, Option, Result
from tallybook.deliver.destinations.base import FileDestination, OutputSettings

EXACT = Option(name="exact", read=read_flag, example="true", default=False, help="decimals as texts, to the last digit")


class Table(FileDestination):
    """All rows, as wide as they are."""

    kind = DestinationKind(name="table", noun="a table", endings=(".txt",), uses=(QUERY,))

    def write(self, result: Result, file: BinaryIO, settings: OutputSettings) -> None:
        file.write((result.to_text(max_rows=None, width=None) + "\n").encode())


class Json(FileDestination):
    """The documented JSON of an answer."""

    kind = DestinationKind(name="json", noun="a JSON file", endings=(".json",), uses=(QUERY,), options=(EXACT,))

    def write(self, result: Result, file: BinaryIO, settings: OutputSettings) -> None:
        file.write((result.to_json(settings.options["exact"]) + "\n").encode())


class Ndjson(FileDestination):
    """A JSON object for each row, one on each line."""

    kind = DestinationKind(name="ndjson", noun="an NDJSON file", endings=(".ndjson",), uses=(QUERY,), options=(EXACT,))

    def write(self, result: Result, file: BinaryIO, settings: OutputSettings) -> None:
        file.write(result.to_ndjson(settings.options["exact"]).encode())


class Markdown(FileDestination):
    """A Markdown table."""

    kind = DestinationKind(name="markdown", noun="a Markdown file", endings=(".md",), uses=(QUERY,))

    def write(self, result: Result, file: BinaryIO, settings: OutputSettings) -> None:
        file.write(result.to_markdown().encode())
