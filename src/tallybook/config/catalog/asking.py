"""Checks that deliveries, goals and boards share: their metrics and dimensions must exist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tallybook.config.catalog.keys import Key
from tallybook.config.catalog.words import closest_key, shorten_toml, toml
from tallybook.core import ATTRIBUTE_DIMENSION, FILTER, Catalog, Problems, mixed_unit


class DeclaredTable(Protocol):
    """A table of the file while it is read: its path, its keys as given, and the keys with a problem."""

    @property
    def path(self) -> str:
        """Its path in the file."""

    @property
    def given(self) -> Mapping[str, object]:
        """Its keys and values as given."""

    @property
    def bad(self) -> set[str]:
        """Its keys with a problem."""


@dataclass
class Asking:
    """Checks of questions against the catalog. `metrics`: the names of all metrics, including invalid ones."""

    catalog: Catalog
    metrics: Iterable[str]
    problems: Problems

    def report(self, d: DeclaredTable, key: str, message: str, **details: str) -> None:
        """Report a problem of one key, with the value seen."""
        seen = f"{key} = {shorten_toml(d.given[key])}" if key in d.given else "nothing"
        self.problems.add(f"{d.path}.{key}", message, **{"seen": seen, **details})

    def needs(self, d: DeclaredTable, key: str, message: str, how: Key) -> None:
        """Report a missing key."""
        if key not in {*d.given, *d.bad}:
            self.report(d, key, message, expected=f"such as {how.example}", paste=f"{key} = {how.example}")

    def check_metric(self, d: DeclaredTable, key: str, name: str, asked: Mapping[str, Sequence[str]]) -> None:
        """Report an unknown metric. `asked`: the dimensions that the metric must have, by key."""
        if name not in self.metrics:
            self.unknown(d, key, name, "metric", tuple(self.metrics))
        elif name in self.catalog.metrics:
            self.check_dimensions(d, name, asked)

    def check_dimensions(self, d: DeclaredTable, metric: str, asked: Mapping[str, Sequence[str]]) -> None:
        """Report missing dimensions, once per key, for the first metric that lacks one."""
        has = self.catalog.queryable_dims(metric)
        known = {p.path for p in self.problems.found}
        for key, names in asked.items():
            units = self.catalog.unit_dims(metric) if key == "where" else ()
            computed = () if self.has_anywhere(metric, "weekday") else ("weekday",)
            others = [name for name in names if name not in (*has, *units, *computed)]
            attributes = [name for name in others if self.is_attribute(name)]
            self.check_attributes(d, key, metric, attributes)
            lacking = next((name for name in others if name not in attributes), None)
            if lacking is not None and f"{d.path}.{key}" not in known:
                self.unknown(d, key, lacking, f"dimension of {metric!r}", has)

    def is_attribute(self, name: str) -> bool:
        """Whether a dimension is an attribute of declared accounts or users."""
        found = ATTRIBUTE_DIMENSION.fullmatch(name)
        return found is not None and found["kind"] in self.catalog.entities

    def check_attributes(self, d: DeclaredTable, key: str, metric: str, names: Sequence[str]) -> None:
        """Report attributes of accounts or users whose ids a metric does not store, with the line to add."""
        for name in names:
            settings = self.catalog.entities[name.partition(".")[0]]
            operands = {one: self.catalog.metrics[one] for one in self.catalog.operands(metric)}
            lacking = [one for one in operands if not set(settings.dimension) & set(operands[one].series_dims)]
            if lacking:
                dims = [*operands[lacking[0]].by, settings.dimension[0]]
                message = f"{name!r} needs the ids of {settings.kind}, and {lacking[0]!r} does not store them"
                expected = f"a metric with {' or '.join(settings.dimension)} in by"
                paste = f"[metrics.{lacking[0]}]\nby = {toml(dims)}"
                self.report(d, key, message, expected=expected, paste=paste)
                return

    def has_anywhere(self, metric: str, dimension: str) -> bool:
        """Whether a metric, or a metric that it is computed from, has a dimension."""
        return any(dimension in self.catalog.queryable_dims(one) for one in self.catalog.operands(metric))

    def unknown(self, d: DeclaredTable, key: str, name: str, what: str, valid: tuple[str, ...]) -> None:
        """Report a name that does not exist, with the closest one."""
        meant = closest_key(name, valid)
        self.report(
            d,
            key,
            f"there is no {what} {name!r}" if what == "metric" else f"{name!r} is not a {what}",
            expected=", ".join(valid) or "none",
            hint=f"did you mean {meant!r}?" if meant else "",
            paste=f"{key} = {toml(_instead(d.given[key], name, meant, filters=key == 'where'))}" if meant else "",
        )

    def check_unit(
        self,
        d: DeclaredTable,
        metric: str,
        by: Sequence[str],
        where: Sequence[str],
        *,
        can_split: bool = False,
        together: str = "",
    ) -> None:
        """Report a question that would add up values of different units.

        `can_split`: it can have `by`. `together`: its key that adds rows over several series."""
        if metric not in self.catalog.metrics or {"by", "where"} & d.bad:
            return
        units, single = self.catalog.unit_dims(metric), single_values(where)
        unit = mixed_unit(units, by, single, together=False)
        if unit is not None:
            only = f"where = {toml([*where, f'{unit}=EUR'])}"
            key, lines = ("by", f"by = {toml([*by, unit])}, or {only}") if can_split else ("where", only)
        elif together and (unit := mixed_unit(units, by, single, together=True)):
            key, lines = together, f"without {together}, or where = {toml([*where, f'{unit}=EUR'])}"
        else:
            return
        if any(p.path == f"{d.path}.{key}" for p in self.problems.found):
            return
        message = f"the unit of {metric!r} is in {unit!r}, and values of different units do not add up"
        paste = f"by = {toml([*by, unit])}" if key == "by" else f"where = {toml([*where, f'{unit}=EUR'])}"
        self.report(d, key, message, expected=lines, paste=paste)


def single_values(where: Sequence[str]) -> frozenset[str]:
    """The dimensions that are filtered to one value."""
    found: dict[str, set[str]] = {}
    for text in where:
        if (match := FILTER.match(text)) and match["sign"] == "=":
            found.setdefault(match["dim"], set()).add(match["value"])
    return frozenset(dimension for dimension, values in found.items() if len(values) == 1)


def filtered(where: Sequence[str]) -> list[str]:
    """The dimensions of filters."""
    return [match["dim"] for text in where if (match := FILTER.match(text))]


def _instead(given: object, name: str, meant: str, *, filters: bool) -> object:
    """The given value with `name` replaced by `meant`; filters are always a list."""
    if isinstance(given, str) and not filters:
        return meant
    texts = [given] if isinstance(given, str) else list(given) if isinstance(given, list | tuple) else []
    return [_renamed(str(text), name, meant, filters=filters) for text in texts]


def _renamed(text: str, name: str, meant: str, *, filters: bool) -> str:
    found = FILTER.match(text) if filters else None
    if found:
        return f"{meant}{found['sign']}{found['value']}" if found["dim"] == name else text
    return meant if text == name else text
