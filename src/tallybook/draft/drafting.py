"""Drafts a `tallybook.toml` for a new database.

    made = draft("postgresql://reader@host/app", folder=Path("."), now=now)
    made.text                      # the file
    made.metrics, made.skipped     # what is in it, and why the other tables are not

It reads the catalog, some hundred rows of each table and the first time of each metric, and writes nothing. Every
metric of the draft was checked against the database."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

from tallybook.collect import (
    DEC,
    DECLARED,
    FLOAT,
    BoundMetric,
    ColumnType,
    Source,
    TimeForm,
    bind,
    day_of_value,
    fits_zone,
    newest_times,
    open_source,
    skew_of,
)
from tallybook.config import masked_url, names_path, resolved, wrong_url
from tallybook.core import (
    DeclarationError,
    Problem,
    SourceError,
    SourceSettings,
    SourceUnavailable,
    calendar,
    isolated,
)
from tallybook.draft.active_people import people_since
from tallybook.draft.guess import Guesser
from tallybook.draft.headlines import MAX_COMMENTED, named, switched_on
from tallybook.draft.seen import STATEMENT_SECONDS, Seen, see
from tallybook.draft.table_guesses import Idea, Topic, qualified
from tallybook.draft.write import draft_text

LEAST_TEXTS = 200
"""Number of smallest texts that are compared as instants to find the earliest one."""
VARIABLE = "DATABASE_URL"
_MAIN = (Topic.SIGNUPS, Topic.REVENUE, Topic.ACTIVE, Topic.PAYMENTS)
"""Topics whose first fact is the start of the book."""


@dataclass(kw_only=True)
class Draft:
    """A draft. `variable`: the environment variable that must contain the URL, if it needs one."""

    source: str
    url: str
    """The URL as written in the file, without secrets."""
    variable: str = ""
    id: str = ""
    timezone: str = "UTC"
    start: date | None = None
    first: str = ""
    """The metric with the earliest fact."""
    tables: int = 0
    """The number of tables with rows that were read."""
    found: int = 0
    """The number of tables in the catalog."""
    empty: list[str] = field(default_factory=list)
    """Tables without rows."""
    rows: int = 0
    """The number of rows of the largest table."""
    clocks: list[str] = field(default_factory=list)
    """Times without a zone that cannot be UTC."""
    metrics: list[Idea] = field(default_factory=list)
    spare: list[Idea] = field(default_factory=list)
    """Metrics that are drafted as comments."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Tables without a drafted metric, and the reasons."""

    @property
    def text(self) -> str:
        """The text of `tallybook.toml`."""
        return draft_text(self)


def draft(
    url: str,
    *,
    folder: Path,
    now: datetime,
    name: str = "app",
    timezone: str = "UTC",
    on_table: Callable[[str], None] = lambda _: None,
) -> Draft:
    """Inspect the database at `url`, and draft a project for `folder`. Relative paths are below the current folder.

    Raises DeclarationError for an invalid URL, SourceUnavailable if the database is unreachable."""
    if wrong := wrong_url(url):
        message = "the URL " + wrong.pop("message")
        raise DeclarationError(message, problems=[Problem(path="URL", message=message, **wrong)])
    full = resolved(url, Path.cwd())
    source = open_source(SourceSettings(name=name, url=full, statement_timeout=STATEMENT_SECONDS))
    try:
        seen = see(source, now, on_table)
        shown, variable = _shown_url(full, folder)
        made = Draft(
            source=name, url=shown, variable=variable, timezone=timezone, tables=len(seen.tables), id=_new_id(full, now)
        )
        made.found, made.empty = seen.found, seen.empty
        made.rows = max((table.total for table in seen.tables), default=0)
        _fill(made, source, seen, now)
        return made
    finally:
        source.close()


def _new_id(url: str, now: datetime) -> str:
    return blake2b(f"{masked_url(Path(url).name)} {now.isoformat()}".encode(), digest_size=6).hexdigest()


def _shown_url(url: str, folder: Path) -> tuple[str, str]:
    """The URL of a file, relative to the folder; any other URL as a variable, because it may contain a password."""
    if not names_path(url):
        return f"${{{VARIABLE}}}", VARIABLE
    start, _, path = url.partition(":///")
    place, question, rest = path.partition("?")
    relative = os.path.relpath(place, folder.absolute())
    near = not relative.startswith("../../..")
    return f"{start}:///{Path(relative if near else place).as_posix()}{question}{rest}".replace("${", "$${"), ""


def _fill(made: Draft, source: Source, seen: Seen, now: datetime) -> None:
    """Add the suggested metrics that the database accepts, and the first day."""
    guesser = Guesser(source, seen, lambda column: _as_sql(source, column))
    guesser.exact = lambda relation, sql, digits: _exact(source, relation, sql, digits)
    guesser.keeps_any_number = source.kind.typeless_columns
    guesser.people_since = lambda idea, since: people_since(source, seen, idea, since)
    ideas = named(guesser.ideas())
    metrics = {idea.name.casefold() for idea in ideas}
    accepted: list[Idea] = []
    for idea in ideas:
        wanted = not idea.doubt or sum(bool(other.doubt) for other in accepted) < MAX_COMMENTED
        if wanted and _accepted(made, source, seen, idea, metrics, now):
            accepted.append(idea)
    made.metrics, spare = switched_on(accepted)
    made.spare = spare[:MAX_COMMENTED]
    made.skipped |= seen.skipped
    _choose_start(made)


def _accepted(made: Draft, source: Source, seen: Seen, idea: Idea, metrics: set[str], now: datetime) -> bool:
    """Whether the database accepts a metric, if necessary without its join. Adds its first day."""
    _without_clashes(idea, metrics)
    _qualify_shared(idea, seen)
    facts = _checked_against(source, made, idea)
    if facts is None and "join" in idea.keys and "." not in idea.keys["measure"]:
        reason = made.skipped[idea.name]
        _without_join(idea, seen)
        facts = _checked_against(source, made, idea)
        idea.unsure.append(f"dimensions of another table are left out: the join {reason}")
    if facts is None:
        return False
    if _is_local(source, facts, made, now):
        idea.keys["stored"] = "local"
        idea.why["stored"] = f"read as UTC, the newest row is in the future; in {made.timezone} it is not"
        facts = _checked_against(source, made, idea) or facts
    if not idea.doubt:
        idea.first = _first_day(source, facts, made.timezone, now)
    return True


def _is_local(source: Source, facts: BoundMetric, made: Draft, now: datetime) -> bool:
    """Whether the times of a metric are local times of the book's zone. Other doubts about them are recorded."""
    form = facts.time or facts.since
    table, column = facts.reach or (facts.metric.table or "", facts.metric.time or facts.metric.from_ or "")
    if form is None or not table:
        return False
    relation = source.table_name(table)
    skew = skew_of(source, relation, column, form, now)
    if not skew:
        return False
    newest = newest_times(source, relation, column, form)
    if made.timezone != "UTC" and fits_zone(newest[0], source.known_until(now), made.timezone):
        return True
    made.clocks += [line for line in [f"{table}: {skew}"] if line not in made.clocks]
    return False


def _qualify_shared(idea: Idea, seen: Seen) -> None:
    """Name the table of columns in SQL that both tables of a join have."""
    table = seen.table(idea.keys.get("table", ""))
    other = seen.table(str(idea.keys.get("join", "")).partition(" on ")[0].strip('"'))
    if table is not None and other is not None:
        for key in ("where", "measure"):
            if key in idea.keys:
                idea.keys[key] = qualified(idea.keys[key], table, other)


def _without_join(idea: Idea, seen: Seen) -> None:
    """Remove the join of a metric, and the dimensions from it."""
    table = seen.table(idea.keys["table"])
    idea.keys.pop("join")
    idea.why.pop("join", None)
    idea.keys["by"] = [name for name in idea.keys["by"] if table is not None and table.column(name)]
    if not idea.keys["by"]:
        idea.keys.pop("by")


def _checked_against(source: Source, made: Draft, idea: Idea) -> BoundMetric | None:
    """The metric bound to the database, as in `check --source`; None, and a reason in `skipped`, if that fails."""
    from tallybook.config import build

    raw = {"sources": {made.source: {"url": "…"}}, "metrics": {idea.name: idea.keys}}
    try:
        with isolated():
            catalog = build(raw, kinds={made.source: source.kind})
            facts = bind(source, catalog.metrics[idea.name], made.timezone, idea.name)
    except SourceUnavailable:
        raise
    except SourceError as error:
        problems = error.__cause__.problems if isinstance(error.__cause__, DeclarationError) else ()
        reason = problems[0].message if problems else error.message
        made.skipped[idea.name] = f"was refused by the database: {' '.join(reason.split())}"
        return None
    made.skipped.pop(idea.name, None)
    return facts


def _first_day(source: Source, facts: BoundMetric, zone: str, now: datetime) -> date | None:
    """The day of the earliest fact; None if it is implausible or not found within the time limit."""
    form = facts.time or facts.since
    if form is None:
        return None
    table, column = facts.reach or (facts.relation, facts.metric.time or facts.metric.from_ or "")
    relation, name = (source.table_name(table) if facts.reach else table), source.quote(column)
    if form.name == "text_offset":
        return _first_of_offsets(source, relation, name, form, zone)
    key = ("first", relation, column)
    try:
        with isolated():
            if key not in source.remembered:
                source.remembered[key] = None
                with source.snapshot() as reader:
                    where = " AND ".join(source.possible(name, form))
                    found = reader.rows(f"SELECT MIN({name}) FROM {relation} WHERE {where}")
                source.remembered[key] = found[0][0]
            value = source.remembered[key]
            day = None if value is None else day_of_value(value, form, zone)
    except SourceUnavailable:
        raise
    except SourceError:
        return None
    return day if day is not None and date(1990, 1, 1) <= day <= now.date() else None


def _first_of_offsets(source: Source, relation: str, name: str, form: TimeForm, zone: str) -> date | None:
    """The day of the earliest instant among the smallest texts with an offset, because the smallest text need not be
    the earliest."""
    where = " AND ".join(source.possible(name, form))
    select = source.limited(f"SELECT {name} FROM {relation} WHERE {where} ORDER BY {name}", LEAST_TEXTS)
    try:
        with isolated(), source.snapshot() as reader:
            found = [datetime.fromisoformat(str(value)) for (value,) in reader.rows(select)]
    except SourceUnavailable:
        raise
    except (SourceError, ValueError):
        return None
    return min((calendar.day_of(value, zone) for value in found if value.tzinfo), default=None)


def _choose_start(made: Draft) -> None:
    """Start the book with the first signup, payment or use. Metrics with older facts get their own `start`."""
    known = [idea for idea in made.metrics if idea.first is not None]
    main = [idea for idea in known if idea.topic in _MAIN] or known
    if not main:
        return
    first = min(main, key=lambda idea: idea.first or date.max)
    made.start, made.first = first.first, first.name
    for idea in known:
        if idea.first and made.start and idea.first < made.start and "from" not in idea.keys:
            idea.keys["start"] = str(idea.first)
            idea.why["start"] = "its first fact is older than the start of the book"


def _exact(source: Source, relation: str, sql: str, digits: int) -> bool:
    """Whether no value has more decimals, checked on all values."""
    type_ = ColumnType(DEC, digits, DECLARED + FLOAT)
    try:
        with isolated():
            with source.snapshot() as reader:
                row = reader.rows(f"SELECT {', '.join(source.total(sql, type_))} FROM {relation}")[0]
            source.read_total(row, type_)
    except SourceUnavailable:
        raise
    except SourceError:
        return False
    return True


def _as_sql(source: Source, column: str) -> str:
    """A column in SQL, in quotes only where needed."""
    import re

    from tallybook.draft.reserved import RESERVED

    return (
        column
        if re.fullmatch(source.kind.plain_name, column) and column.upper() not in RESERVED
        else source.quote(column)
    )


def _without_clashes(idea: Idea, metrics: set[str]) -> None:
    """Remove dimensions with the name of a metric."""
    for key in ("by", "series"):
        names: Any = idea.keys.get(key)
        if names:
            idea.keys[key] = [n for n in names if n.casefold() not in metrics]
            if not idea.keys[key]:
                idea.keys.pop(key)
