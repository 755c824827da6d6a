"""The verb that begins a project: `init`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tallybook.cli.options import TABLE_OR_JSON, verb
from tallybook.cli.terminal import Terminal, count, table
from tallybook.core import DONE, DeclarationError

if TYPE_CHECKING:
    from tallybook.draft import Draft

FILE = "tallybook.toml"


@verb(
    click.argument("url", metavar="URL"),
    click.option(
        "--source", "name", default="app", metavar="NAME", help="What the source is called; app unless given."
    ),
    click.option(
        "--to",
        "to",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The file to write; tallybook.toml in the project's folder unless given.",
    ),
    click.option(
        "--timezone", default="UTC", metavar="ZONE", help="Whose days are counted, as Europe/Berlin; UTC unless given."
    ),
    click.option("--force", is_flag=True, help="Write over a file that is there."),
    TABLE_OR_JSON,
)
def init(terminal: Terminal, url: str, name: str, to: Path | None, timezone: str, force: bool, form: str) -> int:
    """Look at a database and draft a tallybook.toml: signups, revenue, usage, subscriptions, balances.

    \b
      tallybook init sqlite:///app.db
      tallybook init postgresql://reader:secret@host/app --timezone Europe/Berlin
      tallybook init duckdb:///app.duckdb --to draft.toml

    It only reads: the catalogue, some hundred rows of each table, the first time of each metric. Every metric of the
    draft has been held against the database; comments say why it is there and what else it could be. A URL that may
    hold a password is not written: the file says ${DATABASE_URL}, which belongs into .env."""
    from tallybook.config import secrets_of
    from tallybook.draft import draft

    terminal.hide(secrets_of(url, {}))
    place = to or terminal.folder / FILE
    if place.exists() and not force:
        raise DeclarationError(
            f"there is a {place} already", hint="look at a draft beside it: --to draft.toml, or write over it: --force"
        )
    _check_words(name, timezone)
    now = terminal.now() if terminal.now else datetime.now(UTC)
    made = draft(url, folder=place.parent, now=now, name=name, timezone=timezone)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(made.text, encoding="utf-8")
    if form == "json":
        terminal.json(_described(made, place))
    else:
        _tell(terminal, made, place)
    return DONE


def _check_words(name: str, timezone: str) -> None:
    """Raises DeclarationError when the file could not be read with them."""
    from tallybook.config import build

    build({"book": {"timezone": timezone}, "sources": {name: {"url": "…"}}}, kinds={})


def _next(made: Draft) -> list[str]:
    steps = [f"echo '{made.variable}=…' >> .env"] if made.variable else []
    return [*steps, "tallybook check --source", "tallybook run"]


def _described(made: Draft, place: Path) -> dict[str, Any]:
    return {
        "file": str(place),
        "source": made.source,
        "url": made.url,
        "start": made.start and str(made.start),
        "metrics": [{"metric": i.name, "about": i.about, **i.keys, "why": i.why} for i in made.metrics],
        "in_comments": [i.name for i in made.spare],
        "skipped": [{"table": name, "why": why} for name, why in sorted(made.skipped.items())],
        "next": _next(made),
    }


def _tell(terminal: Terminal, made: Draft, place: Path) -> None:
    if made.metrics:
        rows = [
            (i.name, i.keys["measure"], i.keys.get("table", "a query"), ", ".join(i.keys.get("by", ())))
            for i in made.metrics
        ]
        header, *lines = table(("metric", "measure", "of", "by"), rows)
        terminal.out("\n".join([terminal.styled(header, "bold"), *lines]))
    if made.skipped:
        terminal.out(f"\nNothing was made of {', '.join(sorted(made.skipped))}; the file says why.")
    if not made.metrics:
        _tell_of_nothing(terminal, made, place)
        return
    terminal.out(f"\n{place}: {count(len(made.metrics), 'metric')} from {count(made.tables, 'table')}. Read it, then:")
    if made.variable:
        terminal.out(
            f"  put the URL into .env, as {made.variable}=…    (it is not in {place.name}, and .env is not for git)"
        )
    terminal.out("  tallybook check --source\n  tallybook run")


def _tell_of_nothing(terminal: Terminal, made: Draft, place: Path) -> None:
    what = f"none of {count(made.tables, 'table')} became one" if made.tables else "there is no table that can be seen"
    terminal.out(f"{place}: no metrics, because {what}. Is it the right database, and does this user see its tables?")
    terminal.out('  views and other schemas are not looked at; a metric can name them: table = "reporting.signups"')
