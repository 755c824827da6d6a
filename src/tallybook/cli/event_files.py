"""The verbs that move events between files and the book: `events import`, `events export`."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tallybook.cli.event_access import SERVER_OPTION, event_tables, note_kept_from, opened_sender
from tallybook.cli.options import FROM, TABLE_OR_JSON, TO, verb
from tallybook.cli.terminal import Terminal, count
from tallybook.core import DONE, SOME_FAILED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tallybook.ingest import EventSender, ImportedEvents

MAX_SHOWN_ERRORS = 5


def _types(_: click.Context, __: click.Parameter, value: str | None) -> dict[str, str]:
    """The mapping in a text such as `zip=text,amount=number`."""
    found = {}
    for part in filter(None, (one.strip() for one in (value or "").split(","))):
        name, _sign, type_ = part.partition("=")
        if type_ not in ("integer", "number", "text", "flag"):
            raise click.BadParameter(f"{part!r}: write COLUMN=integer, number, text or flag")
        found[name] = type_
    return found


def _columns(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(one.strip() for one in value.split(",") if one.strip())


@verb(
    click.argument("file", metavar="FILE"),
    click.option("--event", metavar="NAME", help="The name of all events. Default: the column `event` of each row."),
    click.option("--event-column", metavar="COLUMN", default="event", help="The column that names the event."),
    click.option(
        "--time", metavar="COLUMN", help="The column with the time. Default: time, timestamp, ts, day or date."
    ),
    click.option("--user", metavar="COLUMN", help="Default: user, if it exists."),
    click.option("--account", metavar="COLUMN", help="Default: account, if it exists."),
    click.option("--id", metavar="COLUMN", help="Default: id, if it exists; otherwise an id is made from the row."),
    click.option(
        "--properties",
        metavar="COLUMN…",
        callback=_columns,
        help="Separated by commas; plan=Tariff renames, and props.* means the keys of an object. Default: all others.",
    ),
    click.option(
        "--types", metavar="COLUMN=TYPE…", callback=_types, help="Types of CSV columns: zip=text,amount=number."
    ),
    click.option("--zone", metavar="ZONE", help="The zone of times without an offset, and of days."),
    click.option("--unit", type=click.Choice(("s", "ms", "us")), help="The unit of times that are numbers since 1970."),
    click.option(
        "--delimiter", metavar="CHARACTER", default=",", help="The separator of a CSV file. Default: a comma."
    ),
    click.option(
        "--file-format",
        "file_form",
        type=click.Choice(("ndjson", "csv", "parquet")),
        help="Default: by the file extension.",
    ),
    click.option("--key", metavar="NAME", help="The name of the key that the ids belong to. Default: import."),
    click.option(
        "--errors",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Write rows that cannot be stored to this file, as NDJSON.",
    ),
    click.option("--dry-run", is_flag=True, help="Read the file, show the first event and the types; store nothing."),
    SERVER_OPTION,
    TABLE_OR_JSON,
)
def import_(
    terminal: Terminal,
    form: str,
    server: str | None,
    errors: Path | None,
    key: str | None,
    file_form: str | None,
    **how: Any,
) -> int:
    """Import events from a file: NDJSON, CSV (both also .gz or .zst) or Parquet. Each row is stored once.

    \b
      tallybook events import old.csv --event signup --time created_at --dry-run
      tallybook events import commits.ndjson.zst --time ts --properties 'props.*'
      tallybook events import clicks.parquet --event click --zone Europe/Berlin --errors bad.ndjson

    Repeat an import that was interrupted: rows that are already stored are skipped. A row without an id gets one made
    from the file name, its content, and how often this content came before. Valid rows are stored. If any rows are
    invalid, they are listed, and the exit code is 1. A CSV column is integer, number or flag if every value in the file
    is. A time without a time of day is that day in the book's zone. Over HTTP (--server), repeated rows are recognized
    for 30 days."""
    from tallybook.ingest import IMPORT_KEY, EventImport, StoredIds, import_events

    name = key or IMPORT_KEY
    asked = EventImport(form=file_form, key=name, **how)
    shown: list[dict[str, Any]] = []
    with ExitStack() as stack:

        def opened() -> tuple[EventSender, StoredIds | None]:
            sender, tables = stack.enter_context(opened_sender(terminal, server, name))
            return sender, StoredIds(tables, name) if tables is not None else None

        zone = terminal.book().project.catalog.book.timezone
        done = import_events(asked, opened, zone=zone, on_error=_noting(stack, shown, errors))
    if form == "json":
        terminal.json({**done.to_dict(), "errors": shown})
    else:
        _print(terminal, done, shown, errors)
    return SOME_FAILED if done.rejected else DONE


def _noting(stack: ExitStack, shown: list[dict[str, Any]], errors: Path | None) -> Callable[[dict[str, Any]], None]:
    """A callback that keeps the first errors to show and writes all of them."""
    file = stack.enter_context(errors.open("w", encoding="utf-8")) if errors else None

    def note(error: dict[str, Any]) -> None:
        if len(shown) < MAX_SHOWN_ERRORS:
            shown.append(error)
        if file is not None:
            file.write(json.dumps(error, ensure_ascii=False, default=str) + "\n")

    return note


def _print(terminal: Terminal, done: ImportedEvents, shown: list[dict[str, Any]], errors: Path | None) -> None:
    for error in shown:
        terminal.err(f"row {error['row']}: {error['reason']}")
    if done.rejected > len(shown):
        where = f"all are in {errors}" if errors else "--errors FILE writes all"
        terminal.err(f"… and {done.rejected - len(shown):,} more; {where}")
    if done.dry_run:
        if done.example:
            terminal.show(json.dumps(done.example, ensure_ascii=False, indent=2))
        if done.types:
            terminal.out("Types: " + ", ".join(f"{name} {type_}" for name, type_ in done.types.items()))
        terminal.out(f"{count(done.rows, 'row')}, {done.rejected:,} not readable. Nothing was stored.")
        return
    terminal.out(
        f"{count(done.rows, 'row')}: {done.stored:,} stored, {done.known:,} stored before, {done.rejected:,} rejected."
    )


@verb(
    click.option("--event", "names", multiple=True, metavar="NAME", help="Only this event; repeat it for several."),
    click.option("--user", metavar="ID", help="Only events of this user."),
    click.option("--account", metavar="ID", help="Only events of this account."),
    click.option("--key", metavar="NAME", help="Only events that were sent with this key."),
    FROM,
    TO,
    click.option(
        "--file-format",
        "form",
        type=click.Choice(("ndjson", "parquet")),
        help="Default: by the file extension, or NDJSON.",
    ),
    click.option("-o", "--to-file", "file", metavar="FILE", type=click.Path(path_type=Path), help="Default: stdout."),
)
def export(
    terminal: Terminal,
    names: tuple[str, ...],
    from_: str | None,
    to: str | None,
    form: str | None,
    file: Path | None,
    **filters: str | None,
) -> int:
    """Write stored events to NDJSON, one event on each line, or to Parquet with a column for each property.

    \b
      tallybook events export > all.ndjson
      tallybook events export --event signup --from 2026-03-01 --to 2026-03-31 -o march.parquet
      tallybook events export --account acme -o acme.ndjson

    Events exported as NDJSON can be imported again with the same ids. A Parquet file has one event, because each event
    has its own columns."""
    from tallybook.ingest import EventExport, export_events

    book = terminal.book()
    is_parquet = (form or ("parquet" if file and file.suffix == ".parquet" else "ndjson")) == "parquet"
    if is_parquet and (len(names) != 1 or file is None):
        raise click.UsageError("Parquet needs one event and a file: --event NAME -o FILE.parquet")
    asked = EventExport(names=names, first=book.day(from_), last=book.day(to), **filters)
    with event_tables(terminal) as tables, ExitStack() as stack:
        first, kept = asked.first, tables.kept_from()
        note_kept_from(terminal, kept if first is None or (kept and first < kept) else None)
        if file is None:
            written = export_events(tables, asked, terminal.data)
        else:
            from tallybook.deliver import replacing

            opened = stack.enter_context(replacing(file))
            write = lambda text: opened.write(text if isinstance(text, bytes) else text.encode())  # noqa: E731
            written = export_events(tables, asked, write, parquet=is_parquet)
    if file is not None:
        terminal.err(f"{file}: {count(written, 'event')}")
    return DONE
