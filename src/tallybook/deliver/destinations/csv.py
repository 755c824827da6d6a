"""CSV files in the format of `Result.to_csv`, with a single quote before text that a spreadsheet would run as a
formula."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

from tallybook.config import read_flag, separator_of
from tallybook.core import LAYOUTS, Delivery, DestinationKind, Option, OptionProblem, Result
from tallybook.deliver.destinations.base import FileDestination, OutputSettings

SEPARATORS, DECIMALS = (",", ";", "\t"), (".", ",")


class Csv(FileDestination):
    """CSV in UTF-8 without a byte order mark, because most programs would read the mark as part of the first column's
    name. For spreadsheets, use workbooks."""

    kind = DestinationKind(
        name="csv",
        noun="a CSV file",
        endings=(".csv",),
        layouts=LAYOUTS,
        options=(
            Option(
                name="separator",
                read=separator_of(SEPARATORS),
                example='";"',
                default=",",
                help='the field separator of a CSV file: a comma, a semicolon or a tab (`"\\t"`)',
            ),
            Option(
                name="decimal",
                read=separator_of(DECIMALS),
                example='","',
                default=".",
                help="the decimal separator of a CSV file: a point or a comma",
            ),
            Option(
                name="bom",
                read=read_flag,
                example="true",
                default=False,
                help="whether a CSV file begins with the byte order mark by which Excel recognizes UTF-8",
            ),
            Option(
                name="guard",
                read=read_flag,
                example="false",
                default=True,
                help=(
                    "whether a CSV file has a single quote before text that a spreadsheet would run as a formula, "
                    "including `-1`"
                ),
            ),
        ),
    )

    def problems(self, delivery: Delivery, given: Iterable[str]) -> Iterable[OptionProblem]:
        options = self.kind.with_defaults(delivery.options)
        if options["separator"] == options["decimal"]:
            yield OptionProblem(
                key="decimal",
                message="separator and decimal are the same sign",
                expected="different signs: a line 1,5,2 would be ambiguous",
                paste='separator = ";"',
            )

    def write(self, result: Result, file: BinaryIO, settings: OutputSettings) -> None:
        from tallybook.deliver.destinations.layout import arranged, to_csv

        options = settings.options
        guard, separator, decimal = options["guard"], options["separator"], options["decimal"]
        if settings.layout == "columns":
            text = result.to_csv(guard=guard, separator=separator, decimal=decimal)
        else:
            text = to_csv(arranged(result, settings.layout), guard=guard, separator=separator, decimal=decimal)
        file.write(text.encode("utf-8-sig" if options["bom"] else "utf-8"))
