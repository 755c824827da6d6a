"""The verbs that write users and accounts to files: `accounts export`, and the same of `users`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from tallybook.cli.entities import CHOSEN, how_many, not_known
from tallybook.cli.options import verb
from tallybook.cli.terminal import Terminal
from tallybook.core import ACCOUNTS, DONE, USERS

CSV, NDJSON, PARQUET = "csv", "ndjson", "parquet"
ENDINGS = {".csv": CSV, ".ndjson": NDJSON, ".jsonl": NDJSON, ".parquet": PARQUET}
STDOUT = Path("-")
EXPORTED = (
    click.argument("file", metavar="[FILE]", required=False, type=click.Path(path_type=Path), default=STDOUT),
    *CHOSEN,
    click.option(
        "--file-format",
        "form",
        type=click.Choice((CSV, NDJSON, PARQUET)),
        help="Default: by the file extension; NDJSON on stdout.",
    ),
)


@verb(*EXPORTED)
def export_accounts(terminal: Terminal, file: Path, form: str | None, **asked: Any) -> int:
    """Write the accounts for which a condition is true to a file: .csv, .ndjson or .parquet.

    \b
      tallybook accounts export trials.csv --where "plan = 'trial' and seats > 5" --columns name,seats
      tallybook accounts export accounts.parquet --as-of 2026-02-28
      tallybook accounts export | jq .plan

    The file is replaced when everything is written. An unknown value is an empty field in CSV and null in other
    formats, and the reason is printed. In CSV a single quote precedes text that a spreadsheet would run as a formula.
    Without FILE, or with -, NDJSON goes to stdout."""
    return _export(terminal, ACCOUNTS, file, form, asked)


@verb(*EXPORTED)
def export_users(terminal: Terminal, file: Path, form: str | None, **asked: Any) -> int:
    """Write the users for which a condition is true to a file: .csv, .ndjson or .parquet.

    \b
      tallybook users export admins.csv --where "role = 'admin'" --columns email,account
      tallybook users export users.parquet --as-of 2026-02-28
      tallybook users export | jq .email

    The file is replaced when everything is written. An unknown value is an empty field in CSV and null in other
    formats, and the reason is printed. In CSV a single quote precedes text that a spreadsheet would run as a formula.
    Without FILE, or with -, NDJSON goes to stdout."""
    return _export(terminal, USERS, file, form, asked)


def _export(terminal: Terminal, kind: str, file: Path, form: str | None, asked: dict[str, Any]) -> int:
    from tallybook.deliver import replacing
    from tallybook.query import write_entities

    form = form or _form_of(kind, file)
    if file == STDOUT and form == PARQUET:
        raise click.UsageError(f"a Parquet export needs a file: tallybook {kind} export {kind}.parquet")
    named = [name.strip() for name in asked.pop("columns").split(",") if name.strip()]
    with ExitStack() as stack:
        found = stack.enter_context(terminal.book().entities(kind).chosen(columns=named, **asked))
        write = terminal.data if file == STDOUT else stack.enter_context(replacing(file)).write
        rows = write_entities(found, form, write)
    for name, why in found.whys.items():
        terminal.err(not_known(name, why))
    if file != STDOUT or found.unknown:
        terminal.err(f"{'' if file == STDOUT else f'{file}: '}{how_many(kind, rows, found.unknown)}.")
    return DONE


def _form_of(kind: str, file: Path) -> str:
    """The format by the file extension. Raises UsageError for an unknown extension."""
    if file == STDOUT:
        return NDJSON
    if (form := ENDINGS.get(file.suffix.lower())) is not None:
        return form
    raise click.UsageError(
        f"cannot tell the format from the ending of {file}: use {', '.join(ENDINGS)}, or --file-format csv\n"
        f"tallybook {kind} export {file.with_suffix('.csv')}"
    )
