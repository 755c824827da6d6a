"""Reads and checks `[accounts]` and `[users]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tallybook.config.catalog.asking import Asking, filtered
from tallybook.config.catalog.entity_keys import ENTITIES
from tallybook.config.catalog.keys import ENTITY_KEYS, METRIC_ATTRIBUTE_KEYS
from tallybook.config.catalog.rules import EVENTS, wrong_show
from tallybook.config.catalog.tables import SectionTable, read_section
from tallybook.config.catalog.words import closest_key, shorten_toml, toml
from tallybook.core import (
    ACCOUNTS,
    ENTITY_COLUMNS,
    ENTITY_KINDS,
    EntitySettings,
    MetricAttribute,
    Problems,
    SourceSettings,
)

DIMENSIONS = {"accounts": ("account_id", "account"), "users": ("user_id", "user")}
"""Default names of the dimension with the ids."""


def read_entities(
    raw: Mapping[str, object], sources: Mapping[str, SourceSettings], problems: Problems
) -> dict[str, EntitySettings]:
    """Read `[accounts]` and `[users]`, if declared."""
    return {kind: _read(kind, raw[kind], sources, problems) for kind in ENTITY_KINDS if kind in raw}


def _read(kind: str, raw: object, sources: Mapping[str, SourceSettings], problems: Problems) -> EntitySettings:
    written = raw.get("metrics", {}) if isinstance(raw, Mapping) else {}
    rest = {key: value for key, value in raw.items() if key != "metrics"} if isinstance(raw, Mapping) else raw
    table = read_section(rest, ENTITY_KEYS, kind, problems)
    metrics = _read_metrics(kind, written, problems)
    settings = EntitySettings(kind=kind, metrics=metrics, **{"dimension": DIMENSIONS[kind], **table.values})
    known = {*table.given, *table.bad}
    if kind == ACCOUNTS and "account" in table.values:
        message, seen = "only users have an account", f"account = {shorten_toml(table.given['account'])}"
        problems.add("accounts.account", message, seen=seen, expected="without this line")
    if known & {"source", "key", "attributes", "changed", "account"} and "table" not in known:
        expected, paste = "the table that they are read from", f"table = {toml(kind)}"
        problems.add(f"{kind}.table", f"{kind} are read from a table", seen="nothing", expected=expected, paste=paste)
    if "table" in known and "attributes" not in known:
        expected, paste = "the columns that are attributes", 'attributes = ["name", "plan"]'
        problems.add(f"{kind}.attributes", "no attribute is named", seen="nothing", expected=expected, paste=paste)
    _check_attributes(settings, problems)
    return _with_source(settings, table, sources, problems)


def _read_metrics(kind: str, written: object, problems: Problems) -> dict[str, MetricAttribute]:
    """Read `[accounts.metrics]` or `[users.metrics]`: attributes that are metrics."""
    if not isinstance(written, Mapping):
        expected, paste = "a table of attributes", f'[{kind}.metrics]\napi_calls_7d = {{ metric = "api_calls" }}'
        problems.add(f"{kind}.metrics", "is not a table", seen=shorten_toml(written), expected=expected, paste=paste)
        return {}
    found = {}
    for name, keys in written.items():
        table = read_section(keys, METRIC_ATTRIBUTE_KEYS, f"{kind}.metrics.{name}", problems)
        if "metric" not in {*table.given, *table.bad}:
            expected, paste = "the name of a metric", 'metric = "api_calls"'
            at, message = f"{kind}.metrics.{name}.metric", "no metric is named"
            problems.add(at, message, seen="nothing", expected=expected, paste=paste)
        elif "metric" in table.values:
            found[str(name)] = MetricAttribute(**table.values)
    return found


@dataclass(frozen=True)
class _DeclaredAttribute:
    """An attribute that is a metric, while it is checked."""

    path: str
    given: Mapping[str, object]
    bad: set[str]


@dataclass
class MetricAttributes(Asking):
    """All attributes that are metrics, checked against the catalog."""

    entities: Mapping[str, EntitySettings]

    def check(self) -> None:
        """Report unknown metrics, metrics without the ids, wrong shows, and names that another attribute has."""
        for settings in self.entities.values():
            taken = {one.casefold() for one in (*settings.attributes, *ENTITY_COLUMNS)}
            for name, one in settings.metrics.items():
                given = {"metric": one.metric, "where": list(one.where), "show": one.show}
                d = _DeclaredAttribute(f"{settings.kind}.metrics.{name}", given, set())
                if name.casefold() in taken:
                    message, expected = f"{settings.kind} have an attribute {name!r} already", "another name"
                    self.problems.add(d.path, message, seen=name, expected=expected)
                self.check_metric(d, "metric", one.metric, {"where": filtered(one.where)})
                if one.metric in self.catalog.metrics:
                    self.check_ids(d, settings, one)
                    self.check_show(d, one)
                    self.check_unit(d, one.metric, (), one.where)

    def check_ids(self, d: _DeclaredAttribute, settings: EntitySettings, one: MetricAttribute) -> None:
        """Report a metric that does not store the ids, with the metrics that do and a line to paste."""
        catalog, wanted = self.catalog, set(settings.dimension)
        if wanted & set(catalog.queryable_dims(one.metric)):
            return
        having = [name for name in catalog.metrics if wanted & set(catalog.queryable_dims(name))]
        lacking = next(o for o in catalog.operands(one.metric) if not wanted & set(catalog.queryable_dims(o)))
        dims = [*catalog.metrics[lacking].by, settings.dimension[0]]
        self.report(
            d,
            f"{one.metric!r} stores no ids of {settings.kind}",
            "metric",
            expected=f"a metric with {' or '.join(settings.dimension)} in by: {', '.join(having) or 'none has it'}",
            paste=f"[metrics.{lacking}]\nby = {toml(dims)}",
        )

    def check_show(self, d: _DeclaredAttribute, one: MetricAttribute) -> None:
        """Report a show that the metric does not have."""
        metric = self.catalog.metrics[one.metric]
        if one.show and (refused := wrong_show(metric, one.show)):
            why, instead = refused
            self.report(d, "show", why, expected=" or ".join(instead) or "without this key")


def _check_attributes(settings: EntitySettings, problems: Problems) -> None:
    for name in settings.attributes:
        if name.casefold() in ENTITY_COLUMNS:
            problems.add(
                f"{settings.kind}.attributes",
                f"{name!r} is a column that all {settings.kind} have",
                seen=name,
                expected=f"attributes with other names than {', '.join(ENTITY_COLUMNS)}",
                paste=f"attributes = {toml([one for one in settings.attributes if one != name])}",
            )


def _with_source(
    settings: EntitySettings, table: SectionTable, sources: Mapping[str, SourceSettings], problems: Problems
) -> EntitySettings:
    """The settings with their source. The source may be omitted if there is only one."""
    from msgspec.structs import replace

    if settings.table is None or "source" in table.bad:
        return settings
    names = [name for name, source in sources.items() if name != EVENTS and not source.url.startswith(f"{ENTITIES}:")]
    if settings.source is None and len(names) == 1:
        return replace(settings, source=names[0])
    if settings.source in sources:
        return settings
    seen = settings.source or "nothing"
    meant = closest_key(seen, names)
    message = f"there is no source {seen!r}" if settings.source else "there are several sources: which one is meant?"
    problems.add(
        f"{settings.kind}.source",
        message,
        seen=seen,
        expected=", ".join(names) or "a table [sources.NAME] with a url",
        hint=f"did you mean {meant!r}?" if meant else "",
        paste=f"source = {toml(meant or (names[0] if names else 'app'))}",
    )
    return settings
