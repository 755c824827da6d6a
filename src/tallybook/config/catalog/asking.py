"""What deliveries and goals have in common: they ask for metrics, split and filtered, that have to be there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tallybook.config.catalog.keys import Key
from tallybook.config.catalog.words import closest, shown, toml
from tallybook.core import FILTER, Catalog, Problems


class DeclaredTable(Protocol):
    """A table of the file on its way: its path, the keys as given, and those with a problem."""

    @property
    def path(self) -> str: ...
    @property
    def given(self) -> Mapping[str, object]: ...
    @property
    def bad(self) -> set[str]: ...


@dataclass
class Asking:
    """What is asked, against the catalog that answers; `metrics` are the names of all metrics, also wrong ones."""

    catalog: Catalog
    metrics: Iterable[str]
    problems: Problems

    def tell(self, d: DeclaredTable, key: str, message: str, **details: str) -> None:
        seen = f"{key} = {shown(d.given[key])}" if key in d.given else "nothing"
        self.problems.add(f"{d.path}.{key}", message, **{"seen": seen, **details})

    def needs(self, d: DeclaredTable, key: str, message: str, how: Key) -> None:
        """A key that was left out."""
        if key not in {*d.given, *d.bad}:
            self.tell(d, key, message, expected=f"as {how.example}", paste=f"{key} = {how.example}")

    def check_metric(self, d: DeclaredTable, key: str, name: str, asked: Mapping[str, Sequence[str]]) -> None:
        """`asked`: by its key, each dimension that the metric has to have."""
        if name not in self.metrics:
            self.unknown(d, key, name, "metric", tuple(self.metrics))
        elif name in self.catalog.metrics:
            self.check_dimensions(d, name, asked)

    def check_dimensions(self, d: DeclaredTable, metric: str, asked: Mapping[str, Sequence[str]]) -> None:
        """Told once for each key, for the first metric that lacks one."""
        has = self.catalog.queryable_dims(metric)
        known = {p.path for p in self.problems.found}
        for key, names in asked.items():
            lacking = next((name for name in names if name not in has), None)
            if lacking is not None and f"{d.path}.{key}" not in known:
                self.unknown(d, key, lacking, f"dimension of {metric!r}", has)

    def unknown(self, d: DeclaredTable, key: str, name: str, what: str, valid: tuple[str, ...]) -> None:
        meant = closest(name, valid)
        self.tell(
            d,
            key,
            f"there is no {what} {name!r}" if what == "metric" else f"{name!r} is no {what}",
            expected=", ".join(valid) or "none",
            hint=f"did you mean {meant!r}?" if meant else "",
            paste=f"{key} = {toml(_instead(d.given[key], name, meant, filters=key == 'where'))}" if meant else "",
        )


def filtered(where: Sequence[str]) -> list[str]:
    """The dimensions of filters."""
    return [found["dim"] for text in where if (found := FILTER.match(text))]


def _instead(given: object, name: str, meant: str, *, filters: bool) -> object:
    """What was given, with another name in it; filters are always a list."""
    if isinstance(given, str) and not filters:
        return meant
    texts = [given] if isinstance(given, str) else list(given) if isinstance(given, list | tuple) else []
    return [_renamed(str(text), name, meant, filters=filters) for text in texts]


def _renamed(text: str, name: str, meant: str, *, filters: bool) -> str:
    found = FILTER.match(text) if filters else None
    if found:
        return f"{meant}{found['sign']}{found['value']}" if found["dim"] == name else text
    return meant if text == name else text
