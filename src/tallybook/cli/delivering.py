"""The verb that hands on: `deliver`."""

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
    click.option("--force", is_flag=True, help="Also what is up to date: write it again."),
    click.option("--dry-run", is_flag=True, help="Say what would be written, cell by cell; write nothing."),
    click.option(
        "--verify", is_flag=True, help="Read back what was delivered and say where it differs; write nothing."
    ),
    TABLE_OR_JSON,
)
def deliver(terminal: Terminal, names: tuple[str, ...], force: bool, dry_run: bool, verify: bool, form: str) -> int:
    """Bring the [deliveries] of tallybook.toml up to date: Google Sheets, workbooks, CSV and Parquet files.

    \b
      tallybook deliver                  all of them; `tallybook run` does so after collecting
      tallybook deliver board --force    this one, also when the book has nothing new
      tallybook deliver board --dry-run  what would change in a Google Sheet, cell by cell
      tallybook deliver board --verify   whether a Google Sheet still says what was delivered

    In a workbook or Google Sheet that is there only our cells are written; sheets, charts and formulas of people stay as they
    are. Where nothing is new nothing is written. A file that is open elsewhere waits for the next run (exit
    code 1), the others are delivered."""
    from tallybook.core import exit_code

    reports = terminal.book().deliver(*names, force=force, dry_run=dry_run, verify=verify)
    if form == "json":
        terminal.json({"deliveries": [report.to_dict() for report in reports], "exit_code": exit_code(reports)})
        return exit_code(reports)
    if not reports:
        terminal.out("No deliveries are declared: [deliveries.NAME] in tallybook.toml.")
        return DONE
    tell_deliveries(terminal, reports, quiet=False)
    return exit_code(reports)


def tell_deliveries(terminal: Terminal, reports: list[DeliveryReport], *, quiet: bool) -> None:
    """A line for each; what failed on stderr, also when only that is to be heard."""
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
