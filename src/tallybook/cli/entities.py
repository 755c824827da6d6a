"""The verbs of users and accounts: `accounts list`, `accounts show` and `accounts import`, and the same of `users`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tallybook.cli.options import TABLE_OR_JSON, verb
from tallybook.cli.terminal import Terminal, count, table
from tallybook.cli.verbs import Verb, verb_group
from tallybook.core import ACCOUNTS, DONE, SOME_FAILED, USERS

if TYPE_CHECKING:
    from tallybook.query import EntityDetails, EntityList


def _verbs(kind: str) -> dict[str, dict[str, Verb]]:
    one = kind.removesuffix("s")
    return {
        kind.capitalize(): {
            "list": Verb(f"list the {kind} for which a condition is true", f"entities:list_{kind}"),
            "show": Verb(f"show every attribute of one {one}, with its time and origin", f"entities:show_{kind}"),
            "export": Verb(f"write {kind} to a CSV, NDJSON or Parquet file", f"entity_files:export_{kind}"),
            "import": Verb(f"push attributes of {kind} from a CSV or Parquet file", f"entities:import_{kind}"),
        }
    }


@verb_group(_verbs(ACCOUNTS))
def accounts() -> None:
    """List accounts by a condition, or show one.

    \b
      tallybook accounts list --where "plan = 'trial' and age(created_at) > '14 days'"
      tallybook accounts show 4711 --as-of 2026-02-28"""


@verb_group(_verbs(USERS))
def users() -> None:
    """List users by a condition, or show one.

    \b
      tallybook users list --where "role = 'admin'" --columns email,account
      tallybook users show 42"""


CHOSEN = (
    click.option("--where", metavar="CONDITION", default="", help="Only those that match this condition."),
    click.option("--columns", metavar="NAMES", default="", help="These attributes, separated by commas."),
    click.option("--sort", metavar="NAME", default="id", show_default=True, help="Order; -NAME: the largest first."),
    click.option("--limit", type=int, metavar="N", help="The maximum number of rows."),
    click.option("--as-of", metavar="DAY", help="As they were at the end of this day."),
)
LISTED = (*CHOSEN, TABLE_OR_JSON)
SHOWN = (
    click.argument("entity_id", metavar="ID"),
    click.option("--as-of", metavar="DAY", help="As it was at the end of this day."),
    TABLE_OR_JSON,
)


IMPORTED = (
    click.argument("file", type=click.Path(dir_okay=False, path_type=Path)),
    click.option("--id", "key", metavar="COLUMN", default="id", show_default=True, help="The column with the id."),
    click.option(
        "--columns", metavar="NAMES", default="", help="These columns, separated by commas; plan=Tariff renames one."
    ),
    click.option("--time", "time", metavar="COLUMN", help="The column with the time since when a row is valid."),
    click.option("--dry-run", is_flag=True, help="Check the file and store nothing."),
    TABLE_OR_JSON,
)


@verb(*LISTED)
def list_accounts(terminal: Terminal, **asked: Any) -> int:
    """List the accounts for which a condition over their attributes is true.

    \b
      tallybook accounts list --where "plan = 'trial' and seats > 5" --columns name,seats --sort -seats

    Conditions: comparisons, and, or, not, in, between, like, is null, now(), age(time), spans as '7 days'."""
    return _list(terminal, ACCOUNTS, **asked)


@verb(*LISTED)
def list_users(terminal: Terminal, **asked: Any) -> int:
    """List the users for which a condition over their attributes is true.

    \b
      tallybook users list --where "role = 'admin' and email like '%@acme.com'"

    Conditions: comparisons, and, or, not, in, between, like, is null, now(), age(time), spans as '7 days'."""
    return _list(terminal, USERS, **asked)


@verb(*SHOWN)
def show_accounts(terminal: Terminal, entity_id: str, as_of: str | None, form: str) -> int:
    """Show every attribute of one account: its value, since when, when it was received, and from where."""
    return _show(terminal, ACCOUNTS, entity_id, as_of, form)


@verb(*SHOWN)
def show_users(terminal: Terminal, entity_id: str, as_of: str | None, form: str) -> int:
    """Show every attribute of one user: its value, since when, when it was received, and from where."""
    return _show(terminal, USERS, entity_id, as_of, form)


@verb(*IMPORTED)
def import_accounts(terminal: Terminal, **asked: Any) -> int:
    """Push attributes of accounts from a CSV or Parquet file. Importing the same file again changes nothing.

    \b
      tallybook accounts import crm.csv --id account_id --columns owner,segment=Segment --dry-run

    Rows that cannot be kept are written to FILE.rejected.ndjson with the reason."""
    return _import(terminal, ACCOUNTS, **asked)


@verb(*IMPORTED)
def import_users(terminal: Terminal, **asked: Any) -> int:
    """Push attributes of users from a CSV or Parquet file. Importing the same file again changes nothing.

    \b
      tallybook users import crm.csv --id user_id --time changed_at

    Rows that cannot be kept are written to FILE.rejected.ndjson with the reason."""
    return _import(terminal, USERS, **asked)


def _import(
    terminal: Terminal, kind: str, *, file: Path, key: str, columns: str, time: str | None, dry_run: bool, form: str
) -> int:
    from tallybook.ingest import AttributeImport, import_attributes

    names = [one.partition("=") for one in columns.split(",") if one.strip()]
    renamed = {name.strip(): (column or name).strip() for name, _, column in names}
    asked = AttributeImport(kind=kind, file=file, key=key, columns=renamed, time=time, dry_run=dry_run)
    book = terminal.book()
    done = import_attributes(asked, book.entities(kind).ledger, now=book.clock())
    if form == "json":
        terminal.json(done.to_dict())
    else:
        would = " (nothing is stored)" if dry_run else f", {done.changed} changed"
        terminal.out(f"{count(done.rows, 'row')}{would}")
        if done.rejected:
            where = f"; see {done.errors}" if done.errors else ""
            terminal.err(f"{count(done.rejected, 'value')} rejected{where}")
    return SOME_FAILED if done.rejected else DONE


def _list(
    terminal: Terminal,
    kind: str,
    *,
    where: str,
    columns: str,
    sort: str,
    limit: int | None,
    as_of: str | None,
    form: str,
) -> int:
    names = [name.strip() for name in columns.split(",") if name.strip()]
    found = terminal.book().entities(kind).list(where, columns=names, sort=sort, limit=limit, as_of=as_of)
    if form == "json":
        terminal.json(found.to_dict())
    else:
        _print_list(terminal, found)
    return DONE


def _print_list(terminal: Terminal, found: EntityList) -> None:
    rows = [tuple("" if value is None else value for value in row) for row in found.rows]
    first, *lines = table(tuple(found.columns), rows)
    terminal.out("\n".join([terminal.styled(first, "bold"), *lines]))
    for name, why in found.whys.items():
        terminal.out(f"\n{not_known(name, why)}")
    terminal.out(f"\n{how_many(found.kind, len(found.rows), found.unknown)}.")


def not_known(name: str, why: str) -> str:
    """The line about an attribute whose values are all unknown."""
    return f"{name} is not known: {why}"


def how_many(kind: str, rows: int, unknown: int) -> str:
    """The number of users or accounts, and for how many others the condition is unknown."""
    more = f"; for {unknown} the condition is not known" if unknown else ""
    return count(rows, kind.removesuffix("s")) + more


def _show(terminal: Terminal, kind: str, entity_id: str, as_of: str | None, form: str) -> int:
    found = terminal.book().entities(kind).show(entity_id, as_of=as_of)
    if form == "json":
        terminal.json(found.to_dict())
    else:
        _print_details(terminal, found)
    return DONE


def _print_details(terminal: Terminal, found: EntityDetails) -> None:
    rows = [
        (name, "" if one.value is None else one.value, one.time[:16].replace("T", " "), one.origin)
        for name, one in found.attributes.items()
    ]
    first, *lines = table(("attribute", "value", "since (UTC)", "from"), rows)
    terminal.out("\n".join([terminal.styled(first, "bold"), *lines]))
    if found.metrics:
        known = [(name, "unknown" if one.why else one.value, one.why or "") for name, one in found.metrics.items()]
        first, *lines = table(("metric", "value", "why"), known)
        terminal.out("\n".join(["", terminal.styled(first, "bold"), *lines]))
    for name, one in found.attributes.items():
        if one.beside is not None:
            terminal.out(f"\n{name}: {one.beside!r} was pushed; it does not count, because {one.origin} is read.")
        if one.other is not None:
            terminal.out(f"\n{name}: {one.other!r} came too, which has another type; it is kept beside.")
    if found.deleted:
        terminal.out(f"\nDeleted {found.deleted[:16].replace('T', ' ')} UTC.")
