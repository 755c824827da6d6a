"""The verbs that copy the book: `move`, `backup`, `restore`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tallybook.cli.options import TABLE_OR_JSON, verb
from tallybook.cli.terminal import Terminal, count
from tallybook.core import DONE, DeclarationError
from tallybook.storage import IN_LEDGER, SCHEMA, BookLocation

if TYPE_CHECKING:
    from tallybook.config import Project
    from tallybook.storage import Copied

SQLITE = "sqlite"
VARIABLE = "LEDGER_URL"
"""What stands for a URL in tallybook.toml that no variable has."""


@verb(
    click.option(
        "--to-ledger", metavar="URL", help="A PostgreSQL database; or sqlite, for a file in the folder of the points."
    ),
    click.option(
        "--to-schema", metavar="NAME", help="The schema of that database, if it is not the one of the project."
    ),
    click.option(
        "--to-store",
        metavar="FOLDER",
        help="A folder beside tallybook.toml for the points; or ledger, to keep them in the PostgreSQL ledger.",
    ),
    TABLE_OR_JSON,
)
def move(terminal: Terminal, to_ledger: str | None, to_schema: str | None, to_store: str | None, form: str) -> int:
    """Copy the book to another ledger, another place for its points, or both, and verify the copy.

    \b
      tallybook move --to-ledger "$DATABASE_URL"
      tallybook move --to-ledger "$DATABASE_URL" --to-store ledger
      tallybook move --to-ledger sqlite --to-store book
      tallybook move --to-store /mnt/large/book

    Every version, every revision and every file goes along, and is held against the original: rows by rows, files byte
    by byte. No run may be at work. The book stays as it is; at the end stands which lines of tallybook.toml to change,
    and until then nothing has changed."""
    if not (to_ledger or to_schema or to_store):
        raise click.UsageError("move where to? --to-ledger URL, --to-store FOLDER, or both")
    if to_ledger and to_ledger != SQLITE:
        _check_url(terminal, to_ledger)
    project = terminal.book().project
    place = _place(project, to_ledger, to_schema, to_store)
    done = terminal.book().move(place)
    lines, dotenv = _lines(project, place, to_store)
    if form == "json":
        terminal.json({**_as_dict(done), "book": lines, "env": dotenv})
        return DONE
    terminal.out(_told(done))
    terminal.out("The book is left where it was. To use the copy, let [book] of tallybook.toml say:\n")
    terminal.out("\n".join(f"    {line}" for line in lines))
    if dotenv:
        terminal.out(f"\nand the environment, or .env beside it, with the password:\n\n    {dotenv}")
    terminal.out("\nthen: tallybook doctor")
    return DONE


def _check_url(terminal: Terminal, url: str) -> None:
    from tallybook.config import masked_url, secrets_of, wrong_ledger

    terminal.hide(secrets_of(url, {}))
    if wrong := wrong_ledger(url):
        raise DeclarationError(
            f"--to-ledger {masked_url(url)} {wrong['message']}",
            hint=f"{wrong['expected'].partition(';')[0]}, or {SQLITE}",
        )


def _place(project: Project, ledger: str | None, schema: str | None, store: str | None) -> BookLocation:
    """Where to; what is not said stays as it is."""
    here = project.place
    url = "" if ledger == SQLITE else ledger or here.ledger
    if store == IN_LEDGER or (store is None and here.folder is None):
        if not url:
            raise click.UsageError("a SQLite ledger keeps no points; say where they go: --to-store book")
        folder = None
    else:
        folder = project.folder / store if store else here.folder
    return BookLocation(
        folder=folder, ledger=url, schema=schema or (here.schema if url else SCHEMA), access=here.access
    )


def _lines(project: Project, place: BookLocation, store: str | None) -> tuple[list[str], str]:
    """(the lines of [book], the line of .env that they need)."""
    lines, dotenv = [], ""
    if place.ledger:
        variable = next((name for name, value in project.variables.items() if value == place.ledger), None)
        if variable is None:
            from tallybook.config import masked_url

            dotenv = f"{VARIABLE}='{masked_url(place.ledger)}'"
        lines.append(f'ledger = "${{{variable or VARIABLE}}}"')
        if place.schema != SCHEMA:
            lines.append(f'schema = "{place.schema}"')
    kept = IN_LEDGER if place.folder is None else store or project.catalog.book.store
    lines.append(f'store = "{kept}"')
    book = project.catalog.book
    gone = [key for key, there in (("ledger", book.ledger), ("schema", book.schema != SCHEMA)) if there]
    lines += [f"# and without the line {key} = …" for key in gone if not any(line.startswith(key) for line in lines)]
    return lines, dotenv


@verb(click.argument("folder", type=click.Path(file_okay=False, path_type=Path), metavar="DIR"), TABLE_OR_JSON)
def backup(terminal: Terminal, folder: Path, form: str) -> int:
    """Copy the book, as it is at this moment, into a new folder, and verify the copy. Runs may be at work.

    \b
      tallybook backup backups/$(date +%F)

    What comes of it is a book: a SQLite ledger and points files, wherever this one is kept. It can be asked where it
    is (store = "backups/2026-03-10"), and made the book again by `tallybook restore`."""
    return _say(terminal, terminal.book().backup(folder), form, f"The backup is in {folder}.")


@verb(
    click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR"),
    TABLE_OR_JSON,
)
def restore(terminal: Terminal, folder: Path, form: str) -> int:
    """Make a backup the book, where tallybook.toml keeps it, and verify it. A book that is there is never overwritten.

    \b
      tallybook restore backups/2026-03-10"""
    return _say(terminal, terminal.book().restore(folder), form, "The next run collects what is missing: tallybook run")


def _say(terminal: Terminal, done: Copied, form: str, next_: str) -> int:
    if form == "json":
        terminal.json(_as_dict(done))
    else:
        terminal.out(f"{_told(done)}\n{next_}")
    return DONE


def _as_dict(done: Copied) -> dict[str, Any]:
    return {"version": done.version, "files": done.files, "bytes": done.bytes, "missing": done.missing}


def _told(done: Copied) -> str:
    parts: Sequence[str] = (f"Version {done.version}", count(done.files, "file"), count(done.bytes, "byte"))
    missing = f" {count(done.missing, 'file')} of older versions were missing before." if done.missing else ""
    return f"{', '.join(parts)}: copied, and read again to compare.{missing}"
