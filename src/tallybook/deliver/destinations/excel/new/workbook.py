"""A workbook for people: the numbers, a chart for each metric, and a page that says what they are.

    Metrics     a row per period and series, a column per metric; filters, real dates, number formats
    Charts      one native chart per metric
    Totals      the totals rows, if the query has them: separate, so that no sum counts them twice
    About       how it was computed, scope, time zone, book version
    Chart data  hidden: what the charts of a breakdown draw, a column per series

Nothing in it is a formula or a link, whatever the text looks like. An unknown value is an empty cell
whose comment explains why. Excel keeps 15 digits of a number. If there are more, a comment has all of them."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from tallybook.core import DestinationError, Result
from tallybook.deliver.destinations.excel.new.about import write_about
from tallybook.deliver.destinations.excel.new.charts import needs_chart_data, write_charts
from tallybook.deliver.destinations.excel.new.pages import MAX_COLUMNS, MAX_ROWS, METRICS, NO_INSTANT, TOTALS, Pages
from tallybook.deliver.destinations.excel.new.table import write_table


def refuse_what_does_not_fit(result: Result, path: Path | None = None) -> None:
    """Raise DestinationError if the result does not fit into a sheet, because the rest would be left out silently."""
    rows, columns = len(result.data) + 1, len(result.columns) + 4
    if rows > MAX_ROWS or columns > MAX_COLUMNS:
        raise DestinationError(
            f"a sheet has room for {MAX_ROWS:,} rows and {MAX_COLUMNS:,} columns; "
            f"the result has {rows:,} and {columns:,}",
            hint=(
                "ask at a wider scope or with fewer dimensions, or write "
                f"{path.with_suffix('.parquet') if path else 'a Parquet file'}"
            ),
        )


def blank_workbook(tab: str, created: datetime | None = None) -> bytes:
    """A workbook with one empty sheet, into which `workbooks` puts a grid."""
    import xlsxwriter

    file = BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        instant = created or NO_INSTANT
        book.set_properties({"created": instant.astimezone(UTC) if instant.tzinfo else instant})
        book.add_worksheet(tab).freeze_panes(1, 0)
    return file.getvalue()


def workbook(result: Result, created: datetime | None = None) -> bytes:
    """The bytes of the workbook."""
    file = BytesIO()
    pages = Pages(result, file, created, chart_data=needs_chart_data(result))
    table = write_table(pages, pages.sheet(METRICS), [r for r in result.data if not r.get("total")])
    if table.rows:
        write_charts(pages, table)
    if result.has_totals:
        write_table(pages, pages.sheet(TOTALS), [r for r in result.data if r.get("total")])
    write_about(pages, created)
    pages.book.close()
    return file.getvalue()
