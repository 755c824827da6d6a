"""The verb that updates deliveries: `deliver`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tallybook.cli.options import TABLE_OR_JSON, verb
from tallybook.cli.terminal import Terminal, count, indented
from tallybook.core import DIFFERS, DONE, WOULD_DELIVER

if TYPE_CHECKING:
    from tallybook.core import DeliveryReport


@verb(
    click.argument("names", nargs=-1, metavar="[NAME…]"),
    click.option("--force", is_flag=True, help="Write deliveries that are up to date, too."),
    click.option("--dry-run", is_flag=True, help="Show what would be written, cell by cell; write nothing."),
    click.option("--verify", is_flag=True, help="Read back what was delivered and list differences; write nothing."),
    click.option("--from", "from_", metavar="DAY", help="Also send days from this one on that were not sent yet."),
    TABLE_OR_JSON,
)
def deliver(
    terminal: Terminal,
    names: tuple[str, ...],
    force: bool,
    dry_run: bool,
    verify: bool,
    from_: str | None,
    form: str,
) -> int:
    """Update the [deliveries] of tallybook.toml: Google Sheets, workbooks, CSV and Parquet files.

    \b
      tallybook deliver                  all of them; `tallybook run` does so too
      tallybook deliver board --force    this one, even if the book has nothing new
      tallybook deliver board --dry-run  what would change in a Google Sheet, cell by cell
      tallybook deliver px --from 2025-01-01   days that Gainsight PX or a webhook did not get yet
      tallybook deliver board --verify   whether a Google Sheet still has what was delivered

    In an existing workbook or Google Sheet only Tallybook's cells are written; other sheets, charts and formulas stay
    as they are. Without anything new nothing is written. A file that is open in another program waits for the next
    run (exit code 1); the others are delivered."""
    from tallybook.core import exit_code

    reports = terminal.book().deliver(*names, force=force, dry_run=dry_run, verify=verify, from_=from_)
    if form == "json":
        terminal.json({"deliveries": [report.to_dict() for report in reports], "exit_code": exit_code(reports)})
        return exit_code(reports)
    if not reports:
        terminal.out("No deliveries are declared: [deliveries.NAME] in tallybook.toml.")
        return DONE
    print_deliveries(terminal, reports, quiet=False)
    return exit_code(reports)


def print_deliveries(terminal: Terminal, reports: list[DeliveryReport], *, quiet: bool) -> None:
    """Print a line for each delivery. Errors go to stderr; with `quiet`, only errors are printed."""
    for report in reports:
        where = f" {report.path}" if report.path else ""
        if report.failed:
            failed = terminal.styled("not delivered:", "bold", "red", stream=terminal.stderr)
            hint = f"\n{indented(report.hint)}" if report.hint else ""
            terminal.err(f"{report.delivery}{where} {failed} {report.error}{hint}")
        for warning in report.warnings:
            warned = terminal.styled("warning:", "yellow", stream=terminal.stderr)
            terminal.err(f"{report.delivery} {warned} {warning}")
        if not (report.failed or quiet):
            more = f", {count(report.rows, 'row')}" if report.rows and report.status == "delivered" else ""
            more = f": {report.hint}" if report.hint else more
            terminal.out(f"{report.delivery}{where} {report.status}{more}")
            for change in report.changes if report.status in (WOULD_DELIVER, DIFFERS) else ():
                terminal.out(indented(_change(change)))


def _change(change: dict[str, Any]) -> str:
    key = " ".join("–" if part is None else str(part) for part in change.get("key", ()))
    if "old" in change:
        return f"{change['what']}: {change['column']} {key} (row {change['row']}): {change['old']} → {change['new']}"
    at = f"row {change['row']}" if "row" in change else ""
    return " ".join(part for part in (f"{change['what']}:", at, str(change.get("column", "")), key) if part)
