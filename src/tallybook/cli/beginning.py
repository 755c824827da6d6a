"""The verb that drafts a project: `init`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tallybook.cli.draft_preview import described_preview, print_checks, print_preview
from tallybook.cli.options import TABLE_OR_JSON, verb
from tallybook.cli.terminal import Terminal, count, table
from tallybook.core import DONE, SOME_FAILED, DeclarationError, SourceUnavailable

if TYPE_CHECKING:
    from tallybook.draft import Draft, Preview

FILE = "tallybook.toml"
MAX_NAMED_TABLES = 8
MAX_MEASURE_CHARACTERS = 36


@verb(
    click.argument("url", metavar="URL"),
    click.option("--source", "name", default="app", metavar="NAME", help="The name of the source. Default: app."),
    click.option(
        "--to",
        "to",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The file to write. Default: tallybook.toml in the project folder.",
    ),
    click.option(
        "--timezone",
        default="UTC",
        metavar="ZONE",
        help="The time zone of the days, for example Europe/Berlin. Default: UTC.",
    ),
    click.option(
        "--check",
        is_flag=True,
        help="Print plain SQL for each drafted metric, and its number beside Tallybook's. Exit code 1 if one differs.",
    ),
    click.option("--force", is_flag=True, help="Overwrite an existing file."),
    TABLE_OR_JSON,
)
def init(
    terminal: Terminal, url: str, name: str, to: Path | None, timezone: str, check: bool, force: bool, form: str
) -> int:
    """Draft a tallybook.toml from a database: signups, revenue, usage, subscriptions, balances.

    \b
      tallybook init sqlite:///app.db
      tallybook init postgresql://reader:secret@host/app --timezone Europe/Berlin
      tallybook init duckdb:///app.duckdb --to draft.toml
      tallybook init sqlite:///app.db --check

    Only reads: the catalog, some hundred rows of each table, the first time of each metric, and its last seven complete
    days, which are printed at the end. Every drafted metric was checked against the database; comments explain each
    guess and its alternatives. A URL that may contain a password is not in that file, which has ${DATABASE_URL}
    instead. Unless the environment has this variable with the same URL, init writes it to .env, which only you can
    read, and adds .env to the .gitignore of a git repository."""
    from tallybook.config import secrets_of
    from tallybook.draft import draft

    terminal.hide(secrets_of(url, {}))
    place = to or terminal.folder / FILE
    if place.exists() and not force:
        raise DeclarationError(
            f"cannot write {place}: it exists already", hint="write beside it: --to draft.toml; overwrite it: --force"
        )
    _check_words(name, timezone)
    now = terminal.now() if terminal.now else datetime.now(UTC)
    made = draft(url, folder=place.parent, now=now, name=name, timezone=timezone)
    if not made.tables:
        return _print_empty(terminal, made, form)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(made.text, encoding="utf-8")
    previews = _previews(terminal, made, url, now, check)
    kept = _keep_url(terminal, made, url, place.parent)
    if form == "json":
        terminal.json(_described(made, place, kept) | {"preview": [described_preview(one) for one in previews]})
    else:
        _print(terminal, made, place, previews, kept)
        if check:
            print_checks(terminal, previews)
    return DONE if all(one.agrees for one in previews if one.sql) else SOME_FAILED


def _previews(terminal: Terminal, made: Draft, url: str, now: datetime, check: bool) -> list[Preview]:
    """The last days of each metric. Empty, with the reason printed, if the source cannot be queried any more."""
    from tallybook.draft import preview

    try:
        return preview(made, url, now, check=check)
    except SourceUnavailable as error:
        terminal.err(f"no preview: {error}")
        return []


def _check_words(name: str, timezone: str) -> None:
    """Check the names. Raises DeclarationError if the drafted file could not be read with them."""
    from tallybook.config import build

    build({"book": {"timezone": timezone}, "sources": {name: {"url": "…"}}}, kinds={})


def _keep_url(terminal: Terminal, made: Draft, url: str, folder: Path) -> list[str]:
    """Store the URL in .env if the file needs it and the environment does not have it. Returns what was done."""
    from tallybook.cli.dotenv import keep_variable

    if not made.variable or terminal.env.get(made.variable) == url:
        return []
    return keep_variable(folder, made.variable, url)


def _next(made: Draft, kept: Sequence[str]) -> list[str]:
    steps = [f"echo '{made.variable}=…' >> .env"] if made.variable and not kept else []
    return [*steps, "tallybook check --source", "tallybook run"]


def _described(made: Draft, place: Path, kept: Sequence[str]) -> dict[str, Any]:
    return {
        "file": str(place),
        "source": made.source,
        "url": made.url,
        "start": made.start and str(made.start),
        "metrics": [{"metric": i.name, "about": i.about, **i.keys, "why": i.why} for i in made.metrics],
        "in_comments": [i.name for i in made.spare],
        "skipped": [{"table": name, "why": why} for name, why in sorted(made.skipped.items())],
        "kept": list(kept),
        "next": _next(made, kept),
    }


def _print(terminal: Terminal, made: Draft, place: Path, previews: Sequence[Preview], kept: Sequence[str]) -> None:
    if made.metrics:
        rows = [
            (i.name, _short(i.keys["measure"]), i.keys.get("table", "a query"), ", ".join(i.keys.get("by", ())))
            for i in made.metrics
        ]
        header, *lines = table(("metric", "measure", "of", "by"), rows)
        terminal.out("\n".join([terminal.styled(header, "bold"), *lines]))
    print_preview(terminal, previews)
    for why in made.clocks:
        terminal.out(terminal.styled(f"unsure: {why}", "yellow"))
    for idea in made.metrics:
        for why in idea.unsure[:1]:
            terminal.out(terminal.styled(terminal.wrapped(f"unsure of {idea.name}: {why}"), "yellow"))
    if made.skipped:
        terminal.out(f"\nNo metrics for {_some(sorted(made.skipped))}; comments in the file explain why.")
    if made.empty:
        terminal.out(f"{count(len(made.empty), 'table')} without rows.")
    terminal.out(f"\n{place}: {count(len(made.metrics), 'metric')} from {count(made.tables, 'table')}. Read it, then:")
    for done in kept:
        terminal.out(f"  ({done})")
    if made.variable and not kept:
        terminal.out(f"  put the URL into .env: {made.variable}=…    (it is not in {place.name}; keep .env out of git)")
    terminal.out("  tallybook check --source\n  tallybook run")


def _short(measure: str) -> str:
    return measure if len(measure) <= MAX_MEASURE_CHARACTERS else f"{measure[: MAX_MEASURE_CHARACTERS - 1]}…"


def _some(names: Sequence[str]) -> str:
    listed = ", ".join(names[:MAX_NAMED_TABLES])
    return listed if len(names) <= MAX_NAMED_TABLES else f"{listed} and {len(names) - MAX_NAMED_TABLES} more tables"


def _print_empty(terminal: Terminal, made: Draft, form: str) -> int:
    """Print why nothing was drafted. No file is written."""
    if form == "json":
        terminal.json({"file": None, "metrics": [], "tables": made.found, "empty": made.empty})
        return SOME_FAILED
    if made.empty:
        terminal.out(
            f"nothing to draft: all {count(made.found, 'table')} of this database are empty. No file is written."
        )
        terminal.out(
            "  A draft needs rows to look at: give the URL of a database with data, such as a copy of production."
        )
        return SOME_FAILED
    terminal.out("nothing to draft: this user sees no tables in this database. No file is written.")
    terminal.out("  Check the database name of the URL and the rights of its user. init skips views and other schemas;")
    terminal.out('  a metric can name them: table = "reporting.signups"')
    return SOME_FAILED
