"""The page that describes the workbook."""

from __future__ import annotations

from datetime import datetime

from tallybook.core import Column, Result
from tallybook.deliver.destinations.excel.new.pages import ABOUT, MAX_COMMENTS, Pages, clean_text
from tallybook.deliver.destinations.excel.new.table import loses_digits


def write_about(pages: Pages, created: datetime | None) -> None:
    sheet, result = pages.sheet(ABOUT), pages.result
    sheet.hide_gridlines(2)
    sheet.set_column(0, 0, 22)
    sheet.set_column(1, 1, 90)
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    name, text = pages.format(bold=True), pages.format(text_wrap=True, align="left")
    facts = [*_facts(result, created), *_legend(pages)]
    for at, (what, said) in enumerate(facts):
        sheet.set_row(at, 15 * (1 + len(said) // 85))  # not every program adjusts row heights to wrapped text
        sheet.write_string(at, 0, what, name)
        sheet.write_string(at, 1, clean_text(said), text)
    at = len(facts) + 1
    for i, column in enumerate(result.metric_columns):
        sheet.write_string(at + i, 0, clean_text(column.name), name)
        sheet.write_string(at + i, 1, clean_text(_of_metric(column)), text)


def _facts(result: Result, created: datetime | None) -> list[tuple[str, str]]:
    days = [row["period"] for row in result.data if row.get("period")]
    ends = list(dict.fromkeys(result.period_text(day) for day in (min(days), max(days)))) if days else []
    facts = [
        ("Metrics", ", ".join(result.metrics)),
        ("How it was computed", result.explain),
        ("Scope", result.scope),
        ("Periods", " to ".join(ends) or "none"),
        ("Time zone", result.timezone),
        ("Week starts", result.week_starts),
        ("Book version", str(result.version)),
    ]
    if created is not None:
        facts.append(("Created", created.isoformat(sep=" ", timespec="seconds")))
    return facts


def _legend(pages: Pages) -> list[tuple[str, str]]:
    rows, metrics = pages.result.data, pages.result.metrics
    legend = []
    if not all(row["complete"] for row in rows):
        legend.append(("Grey italics", "The period is not complete: 'days' of 'days expected' are in it."))
    if any(row[metric] is None for row in rows for metric in metrics):
        legend.append(("Empty cells", "Not collected, or it cannot be known. Never zero; a comment says why."))
    if any(loses_digits(row[m]) for row in rows for m in metrics if row[m] is not None):
        legend.append(("More than 15 digits", "A sheet keeps 15 digits; the comment has all of them."))
    if pages.comments > MAX_COMMENTS:
        legend.append(("Comments", f"The first {MAX_COMMENTS:,} of {pages.comments:,}."))
    return legend


def _of_metric(column: Column) -> str:
    said = [
        column.title or "",
        f"in {column.unit}" if column.unit else "",
        f"shown as {column.show}" if column.show else "",
        "exact" if column.type != "float" else "floating point",
    ]
    return ", ".join(part for part in said if part)
