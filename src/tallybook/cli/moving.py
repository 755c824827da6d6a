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
"""The variable that is written into tallybook.toml for a ledger URL that is not a variable yet."""


@verb(
    click.option(
        "--to-ledger", metavar="URL", help="A PostgreSQL database; or sqlite, for a file in the folder of the points."
    ),
    click.option("--to-schema", metavar="NAME", help="The schema of that database. Default: the one of the project."),
    click.option(
        "--to-store",
        metavar="FOLDER",
        help=(
            "The folder for the points, relative to tallybook.toml; or ledger, to store them in the PostgreSQL ledger."
        ),
    ),
    TABLE_OR_JSON,
)
def move(terminal: Terminal, to_ledger: str | None, to_schema: str | None, to_store: str | None, form: str) -> int:
    """Copy the book to another ledger, to another folder or database for its points, or both, and verify the copy.

    \b
      tallybook move --to-ledger "$DATABASE_URL"
      tallybook move --to-ledger "$DATABASE_URL" --to-store ledger
      tallybook move --to-ledger sqlite --to-store book
      tallybook move --to-store /mnt/large/book

    Copies all versions, revisions and files, and compares them with the original, row by row and byte by byte. No run
    may be in progress. The original book stays unchanged and in use until you change the lines of tallybook.toml that
    are printed at the end."""
    if not (to_ledger or to_schema or to_store):
        raise click.UsageError("no destination: give --to-ledger URL, --to-store FOLDER, or both")
    if to_ledger and to_ledger != SQLITE:
        _check_url(terminal, to_ledger)
    project = terminal.book().project
    place = _place(project, to_ledger, to_schema, to_store)
    done = terminal.book().move(place)
    lines, dotenv = _lines(project, place, to_store)
    if form == "json":
        terminal.json({**_as_dict(done), "book": lines, "env": dotenv})
        return DONE
    terminal.out(_in_words(done))
    terminal.out("The original book is unchanged. To use the copy, write into [book] of tallybook.toml:\n")
    terminal.out("\n".join(f"    {line}" for line in lines))
    if dotenv:
        terminal.out(f"\nand into .env beside it, with the password:\n\n    {dotenv}")
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
    """The new location. Parts that are not given stay as they are."""
    here = project.place
    url = "" if ledger == SQLITE else ledger or here.ledger
    if store == IN_LEDGER or (store is None and here.folder is None):
        if not url:
            raise click.UsageError("a SQLite ledger cannot store points; name a folder: --to-store book")
        folder = None
    else:
        folder = project.folder / store if store else here.folder
    return BookLocation(
        folder=folder, ledger=url, schema=schema or (here.schema if url else SCHEMA), access=here.access
    )


def _lines(project: Project, place: BookLocation, store: str | None) -> tuple[list[str], str]:
    """The lines for [book], and the line for .env that they need."""
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
    """Copy the book into a new folder, as of now, and verify the copy. Runs may be in progress.

    \b
      tallybook backup backups/$(date +%F)

    The backup is a book: a SQLite ledger and points files, even if the original is on PostgreSQL. Query it in place
    (store = "backups/2026-03-10"), or make it the book again with `tallybook restore`."""
    return _print(terminal, terminal.book().backup(folder), form, f"The backup is in {folder}.")


@verb(
    click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR"),
    TABLE_OR_JSON,
)
def restore(terminal: Terminal, folder: Path, form: str) -> int:
    """Copy a backup to where tallybook.toml keeps the book, and verify it. Never overwrites an existing book.

    \b
      tallybook restore backups/2026-03-10"""
    return _print(
        terminal, terminal.book().restore(folder), form, "The next run collects what is missing: tallybook run"
    )


def _print(terminal: Terminal, done: Copied, form: str, next_: str) -> int:
    if form == "json":
        terminal.json(_as_dict(done))
    else:
        terminal.out(f"{_in_words(done)}\n{next_}")
    return DONE


def _as_dict(done: Copied) -> dict[str, Any]:
    return {"version": done.version, "files": done.files, "bytes": done.bytes, "missing": done.missing}


def _in_words(done: Copied) -> str:
    parts: Sequence[str] = (f"Version {done.version}", count(done.files, "file"), count(done.bytes, "byte"))
    missing = (
        f" {count(done.missing, 'file')} of older versions {'was' if done.missing == 1 else 'were'} already missing."
        if done.missing
        else ""
    )
    return f"{', '.join(parts)}: copied and verified.{missing}"
