"""Reads the tables of the TOML key by key. A value that cannot be read is reported as a problem."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tallybook.config.catalog.entity_keys import with_entity
from tallybook.config.catalog.event_keys import refuse_contradictions, with_event, with_expectations
from tallybook.config.catalog.keys import (
    ALERT_KEYS,
    BOOK_KEYS,
    DELIVERY_KEYS,
    GOAL_KEYS,
    METRIC_KEYS,
    SCHEDULE_KEYS,
    SERVE_KEYS,
    SOURCE_KEYS,
    Key,
)
from tallybook.config.catalog.rules import EVENTS, DeclaredMetric
from tallybook.config.catalog.sql import wrong_query
from tallybook.config.catalog.sql_values import NAME
from tallybook.config.catalog.values import Wrong
from tallybook.config.catalog.words import closest_key, shorten_toml, toml
from tallybook.core import (
    DELIVER,
    DESTINATIONS,
    RESERVED_NAMES,
    AlertSettings,
    BookSettings,
    Delivery,
    DestinationKind,
    EventSettings,
    Goal,
    Metric,
    Option,
    Problem,
    Problems,
    ScheduleSettings,
    ServeSettings,
    SourceKind,
    SourceSettings,
    destination_kinds,
    known_destination,
    plain_value,
)

DEFAULT_DIALECT = "postgres"
"""The dialect of `fresh` for a source of unknown kind."""


@dataclass
class SectionTable:
    """One table of the TOML: its valid values by field, its keys as given, and the keys with a problem."""

    path: str
    values: dict[str, Any] = field(default_factory=dict)
    given: Mapping[str, object] = field(default_factory=dict)
    bad: set[str] = field(default_factory=set)


def read_section(raw: object, keys: Mapping[str, Key], path: str, problems: Problems) -> SectionTable:
    """Read the valid values of a table. Report everything else, unless it was reported before."""
    table = SectionTable(path)
    if not isinstance(raw, Mapping):
        seen = type(raw).__name__ if _secret(keys) else shorten_toml(raw)
        expected = f"a table: [{path}] and lines `key = value` below it"
        problems.add(path, "is not a table", seen=seen, expected=expected, paste=f"[{path}]")
        table.bad.update(keys)
        return table
    known = {p.path for p in problems.found}
    table.given = raw
    for key, value in raw.items():
        if f"{path}.{key}" in known:
            table.bad.add(key)
        elif key not in keys:
            table.bad.add(_unknown(key, value, keys, path, problems))
        else:
            _read_value(table, key, value, keys[key], problems)
    return table


def _secret(keys: Mapping[str, Key]) -> bool:
    return any(key.secret for key in keys.values())


def _read_value(table: SectionTable, key: str, value: object, how: Key, problems: Problems) -> None:
    try:
        table.values[how.field or key] = how.read(value)
    except Wrong as wrong:
        table.bad.add(key)
        problems.found.append(wrong_value(table.path, key, value, wrong, how))


def wrong_value(path: str, key: str, value: object, wrong: Wrong, how: Key) -> Problem:
    """The problem report for a value that could not be read."""
    instead = toml(wrong.instead) if wrong.instead is not None else ""
    return Problem(
        path=f"{path}.{key}",
        message=f"{key} {wrong.why}",
        seen=f"{key} = …" if how.secret else f"{key} = {shorten_toml(value)}",
        expected=wrong.expected,
        hint=wrong.hint or (f"did you mean {instead}?" if instead else ""),
        paste=f"{key} = {instead or how.example}" if instead or how.example else "",
    )


def _unknown(key: str, value: object, keys: Mapping[str, Key], path: str, problems: Problems) -> str:
    """Report an unknown key. Returns the key that was probably meant, so that it is not also reported as missing.

    In tables with secrets, a misspelled key may contain one. Then the report does not repeat its value."""
    meant = closest_key(key, keys)
    hidden = _secret(keys) and ("url" in keys or "://" in str(value))
    problems.add(
        f"{path}.{key}",
        f"there is no key {key!r} here",
        seen=f"{key} = {'…' if hidden else shorten_toml(value)}",
        expected=", ".join(keys),
        hint=f"did you mean {meant!r}?" if meant else "",
        paste=f"{meant} = {keys[meant].example if hidden else toml(value)}" if meant else "",
    )
    return meant or key


def _tables(raw: Mapping[str, object], section: str, problems: Problems) -> Mapping[str, object]:
    tables = raw.get(section, {})
    if isinstance(tables, Mapping):
        return tables
    expected, paste = f"one table for each, with its name: [{section}.NAME]", f"[{section}.NAME]"
    problems.add(section, "has no table names", seen=type(tables).__name__, expected=expected, paste=paste)
    return {}


def named_tables(raw: Mapping[str, object], section: str, problems: Problems) -> list[tuple[str, object]]:
    """(name, keys) of every table in a section. Reports invalid names."""
    tables = _tables(raw, section, problems)
    for name in tables:
        _check_name(name, section, problems)
    _check_case(tables, section, problems)
    return list(tables.items())


def read_book(raw: Mapping[str, object], problems: Problems) -> BookSettings:
    """Read `[book]`. Missing keys get defaults."""
    table = read_section(raw.get("book", {}), BOOK_KEYS, "book", problems)
    book = BookSettings(**table.values)
    if "ledger" not in {*table.given, *table.bad}:
        _check_without_ledger(book, problems)
    return book


def _check_without_ledger(book: BookSettings, problems: Problems) -> None:
    """Report settings that need a PostgreSQL ledger."""
    expected, paste = "the URL of a PostgreSQL database", f"ledger = {BOOK_KEYS['ledger'].example}"
    if book.store == "ledger":
        message = 'points in the ledger need a PostgreSQL ledger (for a folder of this name write "./ledger")'
        problems.add("book.store", message, seen='store = "ledger"', expected=expected, paste=paste)
    if book.schema != BookSettings().schema:
        seen = f'schema = "{book.schema}"'
        problems.add("book.schema", "only a PostgreSQL ledger has a schema", seen=seen, expected=expected, paste=paste)


def read_schedule(raw: Mapping[str, object], problems: Problems) -> ScheduleSettings:
    """Read `[schedule]`. Without it, no run is scheduled."""
    table = read_section(raw.get("schedule", {}), SCHEDULE_KEYS, "schedule", problems)
    if "at" in table.given and "cron" in table.given:
        seen = f"at = {shorten_toml(table.given['at'])} and cron = {shorten_toml(table.given['cron'])}"
        problems.add(
            "schedule", "at and cron are both given", seen=seen, expected="at, for a time of every day, or cron"
        )
    return ScheduleSettings(**table.values)


def read_serve(raw: Mapping[str, object], problems: Problems) -> ServeSettings:
    """Read `[serve]`. Without it, `tallybook serve` accepts no events."""
    table = read_section(raw.get("serve", {}), SERVE_KEYS, "serve", problems)
    known = {*table.given, *table.bad}
    for key, other in (("certificate", "private_key"), ("private_key", "certificate")):
        if key in known and other not in known:
            seen, paste = f"{key} = {shorten_toml(table.given.get(key))}", f"{other} = {SERVE_KEYS[other].example}"
            problems.add(
                f"serve.{other}", f"TLS needs {other} too", seen=seen, expected="both, or neither", paste=paste
            )
    return ServeSettings(**table.values)


def read_alerts(raw: Mapping[str, object], problems: Problems) -> AlertSettings:
    """Read `[alerts]`. Without it, no alerts are sent."""
    table = read_section(raw.get("alerts", {}), ALERT_KEYS, "alerts", problems)
    settings = AlertSettings(**table.values)
    known = {*table.given, *table.bad}
    if known - {"heartbeat"} and not {"to", "heartbeat"} & known:
        message, paste = "no recipients: [alerts] to is empty", f"to = {ALERT_KEYS['to'].example}"
        expected = "a list of URLs: webhooks, or Apprise URLs of mail and chat"
        problems.add("alerts.to", message, seen="nothing", expected=expected, paste=paste)
    return settings


def read_sources(
    raw: Mapping[str, object],
    kinds: Mapping[str, SourceKind],
    problems: Problems,
    every_kind: Callable[[], Iterable[SourceKind]] = tuple,
) -> dict[str, SourceSettings]:
    """Read every `[sources.NAME]`. A missing url becomes an empty text."""
    sources = {}
    for name, keys in _tables(raw, "sources", problems).items():
        path = f"sources.{name}"
        kind = kinds.get(name)
        own = (
            {option.name: _option_key(option) for option in kind.options if option.name not in SOURCE_KEYS}
            if kind
            else {}
        )
        known = (
            _known_to_any(keys)
            if kind is None
            else _without_others(keys, {*SOURCE_KEYS, *own}, path, problems, every_kind)
        )
        table = read_section(known, {**SOURCE_KEYS, **own}, path, problems)
        _check_name(name, "sources", problems)
        _check_source(name, table, kind, problems)
        common = {key: value for key, value in table.values.items() if key not in own}
        options = {key: plain_value(table.given[key]) for key in own if key in table.values}
        sources[name] = SourceSettings(name=name, options=options, **{"url": "", **common})
    _check_case(sources, "sources", problems)
    return sources


def _option_key(option: Option) -> Key:
    """The key of an adapter's option."""

    def read(value: object) -> Any:
        try:
            return option.read(plain_value(value))
        except ValueError as error:
            raise Wrong("is not valid", expected=str(error)) from None

    return Key(read, option.example, secret=option.secret)


def _known_to_any(keys: object) -> object:
    """The keys without unknown ones. A source's own keys are known only once its url is correct."""
    if not isinstance(keys, Mapping):
        return keys
    return {key: value for key, value in keys.items() if key in SOURCE_KEYS or closest_key(key, SOURCE_KEYS)}


def _without_others(
    keys: object, known: set[str], path: str, problems: Problems, every_kind: Callable[[], Iterable[SourceKind]]
) -> object:
    """The keys without those of other kinds of sources, which it reports."""
    if not isinstance(keys, Mapping) or keys.keys() <= known:
        return keys
    owners = {option.name: kind for kind in every_kind() for option in kind.options}
    gone = [key for key in keys if key not in known and key in owners]
    for key in gone:
        kind, hidden = owners[key], bool((option := owners[key].option(key)) and option.secret)
        message, seen = f"only a {kind.title or kind.name} source has the key {key!r}", shorten_toml(keys[key])
        at, seen = f"{path}.{key}", f"{key} = {'…' if hidden else seen}"
        problems.add(at, message, seen=seen, expected="without this line")
    return {key: value for key, value in keys.items() if key not in gone}


def _check_source(name: str, table: SectionTable, kind: SourceKind | None, problems: Problems) -> None:
    if name == EVENTS and (kind is None or kind.name != EVENTS):
        message = "the source name 'events' is reserved for usage events"
        problems.add(table.path, message, seen=name, expected="another name", paste="[sources.app]")
    if "url" not in {*table.given, *table.bad}:
        at, paste = f"{table.path}.url", f"url = {SOURCE_KEYS['url'].example}"
        problems.add(at, "a source needs a url", seen="nothing", expected="a database's URL", paste=paste)
    if "policies" in table.values and kind and not kind.policies:
        seen = f"policies = {shorten_toml(table.given['policies'])}"
        message, expected = (
            f"{kind.title or kind.name} has no row-level policies that Tallybook can inspect",
            "without this line",
        )
        problems.add(f"{table.path}.policies", message, seen=seen, expected=expected)
    dialect = kind.dialect if kind else DEFAULT_DIALECT
    fresh = table.values.get("fresh")
    if fresh and (wrong := wrong_query(fresh, dialect)):
        problems.found.append(wrong_value(table.path, "fresh", fresh, wrong, SOURCE_KEYS["fresh"]))


def _check_name(name: str, section: str, problems: Problems) -> None:
    if NAME.fullmatch(name):
        return
    proper = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")
    proper = f"_{proper}" if proper[:1].isdigit() else proper or "name"
    expected, paste = "letters, digits and _, not starting with a digit", f"[{section}.{proper}]"
    problems.add(f"{section}.{name}", f"{name!r} is not a valid name", seen=name, expected=expected, paste=paste)


def _check_case(names: Iterable[str], section: str, problems: Problems) -> None:
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(name.casefold(), name)
        if other != name:
            message = f"{name!r} differs from {other!r} only by case"
            problems.add(f"{section}.{name}", message, seen=name, expected="names that differ")


def read_metrics(
    raw: Mapping[str, object], events: EventSettings, problems: Problems, of_entities: Container[str] = ()
) -> dict[str, DeclaredMetric]:
    """Read every `[metrics.NAME]`. Sources and other metrics are not checked yet. `of_entities`: the sources of users
    and accounts."""
    declared = {}
    for name, written in named_tables(raw, "metrics", problems):
        keys = with_entity(with_event(written, events), of_entities)
        refuse_contradictions(name, written, events, problems)
        table = read_section(keys, METRIC_KEYS, f"metrics.{name}", problems)
        _check_reserved(name, problems)
        refused = not isinstance(keys, Mapping) or "kind" in table.bad
        metric = with_expectations(Metric(name=name, **table.values), events)
        declared[name] = DeclaredMetric(metric, table.path, table.given, table.bad, refused)
    return declared


def _check_reserved(name: str, problems: Problems) -> None:
    if name.casefold() in RESERVED_NAMES:
        message = f"{name!r} is a reserved name: every result has a key of that name"
        paste = f"[metrics.{name}_count]"
        problems.add(f"metrics.{name}", message, seen=name, expected="another name", paste=paste)


@dataclass(frozen=True)
class DeclaredDelivery:
    """A delivery while it is read: its valid values, its keys as given, and the keys with a problem."""

    delivery: Delivery
    path: str
    given: Mapping[str, object]
    bad: set[str]


def read_deliveries(raw: Mapping[str, object], problems: Problems) -> dict[str, DeclaredDelivery]:
    """Read every `[deliveries.NAME]`. Metrics are not checked yet."""
    tables = named_tables(raw, "deliveries", problems)
    return {name: _read_delivery(name, keys, f"deliveries.{name}", problems) for name, keys in tables}


def _read_delivery(name: str, raw: object, path: str, problems: Problems) -> DeclaredDelivery:
    """A delivery with the common keys and the keys of its destination. For an unknown destination, all keys are
    accepted."""
    kind = delivery_kind(raw.get("to")) if isinstance(raw, Mapping) else None
    own = {option.name: _option_key(option) for one in ([kind] if kind else _delivered()) for option in one.options}
    foreign: set[str] = set()
    if kind and isinstance(raw, Mapping):
        foreign = {option.name for one in _delivered() for option in one.options} - {*own, *DELIVERY_KEYS}
    kept = {key: value for key, value in raw.items() if key not in foreign} if isinstance(raw, Mapping) else raw
    if isinstance(kept, Mapping) and _is_unusable(kept.get("to")):
        kept = {key: value for key, value in kept.items() if key in DELIVERY_KEYS}
    table = read_section(kept, DELIVERY_KEYS | own, path, problems)
    options = {key: table.values.pop(key) for key in own if key in table.values}
    given = raw if isinstance(raw, Mapping) else table.given
    return DeclaredDelivery(Delivery(name=name, options=options, **table.values), path, given, table.bad)


def _is_unusable(to: object) -> bool:
    """Whether a destination is installed but cannot be imported, so that its own keys are unknown."""
    return isinstance(to, str) and to in DESTINATIONS and known_destination(to) is None


def _delivered() -> list[DestinationKind]:
    return destination_kinds(DELIVER)


def delivery_kind(to: object) -> DestinationKind | None:
    """The destination of deliveries with this name; None for any other value."""
    kind = known_destination(to)
    return kind if kind and DELIVER in kind.uses else None


@dataclass(frozen=True)
class DeclaredGoal:
    """A goal while it is read: its valid values, its keys as given, and the keys with a problem."""

    goal: Goal
    path: str
    given: Mapping[str, object]
    bad: set[str]
    targets: Mapping[str, Decimal]
    """Targets by period, as written."""


def read_goals(raw: Mapping[str, object], problems: Problems) -> dict[str, DeclaredGoal]:
    """Read every `[goals.NAME]`. The periods of targets stay as written."""
    declared = {}
    for name, keys in named_tables(raw, "goals", problems):
        table = read_section(keys, GOAL_KEYS, f"goals.{name}", problems)
        targets = table.values.pop("targets", {})
        goal = Goal(name=name, **table.values)
        declared[name] = DeclaredGoal(goal, table.path, table.given, table.bad, targets)
    return declared
