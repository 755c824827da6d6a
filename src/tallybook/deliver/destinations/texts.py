"""The text formats of `tallybook query`: a table for people, JSON and Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

from tallybook.config import read_flag, read_own_table, read_text
from tallybook.core import DELIVER, QUERY, Delivery, DestinationKind, Option, OptionProblem, Result
from tallybook.deliver.destinations.base import DeliveryOutcome, DeliveryTask, FileDestination, OutputSettings

EXACT = Option(
    name="exact",
    read=read_flag,
    example="true",
    default=False,
    help="whether decimals are written as texts with all digits",
)


class Table(FileDestination):
    """All rows in full width. As a delivery, a table in your own database."""

    kind = DestinationKind(
        name="table",
        noun="a table",
        endings=(".txt",),
        uses=(QUERY, DELIVER),
        place="table",
        options=(
            Option(
                name="url",
                read=read_text,
                example='"${WAREHOUSE_URL}"',
                default="",
                secret=True,
                help="the database of a table (PostgreSQL, MySQL, MariaDB or SQLite), in which Tallybook may write",
            ),
            Option(
                name="table",
                read=read_own_table,
                example='"reporting.daily_metrics"',
                default="",
                help="the table in the database, with or without a schema; Tallybook creates it",
            ),
        ),
    )

    def write(self, result: Result, file: BinaryIO, settings: OutputSettings) -> None:
        file.write((result.to_text(max_rows=None, width=None) + "\n").encode())

    def problems(self, delivery: Delivery, given: Iterable[str]) -> Iterable[OptionProblem]:
        if not delivery.options.get("url"):
            yield OptionProblem(
                key="url", message="a table needs the url of its database", paste='url = "${WAREHOUSE_URL}"'
            )
        if delivery.totals:
            yield OptionProblem(key="totals", message="a table has the rows of series", expected="without this line")

    def bring_up_to_date(self, task: DeliveryTask) -> DeliveryOutcome:
        if not task.options["url"]:
            return super().bring_up_to_date(task)
        from tallybook.deliver.destinations.own_table import deliver_to_table

        return deliver_to_table(task)


class Json(FileDestination):
    """The documented JSON of an answer."""

    kind = DestinationKind(name="json", noun="a JSON file", endings=(".json",), uses=(QUERY,), options=(EXACT,))

    def write(self, result: Result, file: BinaryIO, settings: OutputSettings) -> None:
        file.write((result.to_json(settings.options["exact"]) + "\n").encode())


class Ndjson(FileDestination):
    """A JSON object per row, one per line."""

    kind = DestinationKind(name="ndjson", noun="an NDJSON file", endings=(".ndjson",), uses=(QUERY,), options=(EXACT,))

    def write(self, result: Result, file: BinaryIO, settings: OutputSettings) -> None:
        file.write(result.to_ndjson(settings.options["exact"]).encode())


class Markdown(FileDestination):
    """A Markdown table."""

    kind = DestinationKind(name="markdown", noun="a Markdown file", endings=(".md",), uses=(QUERY,))

    def write(self, result: Result, file: BinaryIO, settings: OutputSettings) -> None:
        file.write(result.to_markdown().encode())
