"""Deliveries checked against the metrics they ask for and against one another."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tallybook.catalog.keys import DELIVERY_KEYS, closest, shown, toml
from tallybook.catalog.tables import DeclaredDelivery
from tallybook.errors import Problems
from tallybook.metrics import FILE_KINDS, FILTER, SHEETS, Catalog


@dataclass
class Deliveries:
    """The deliveries against the catalog they ask; `metrics` are the names of all metrics, also wrong ones."""

    declared: Mapping[str, DeclaredDelivery]
    catalog: Catalog
    metrics: Iterable[str]
    problems: Problems

    def check(self) -> None:
        for d in self.declared.values():
            if not d.delivery.later:
                self.check_keys(d)
                self.check_place(d)
                self.check_metrics(d)
        self.check_places()

    def tell(self, d: DeclaredDelivery, key: str, message: str, **details: str) -> None:
        seen = f"{key} = {shown(d.given[key])}" if key in d.given else "nothing"
        self.problems.add(f"{d.path}.{key}", message, **{"seen": seen, **details})

    def check_keys(self, d: DeclaredDelivery) -> None:
        sheet = d.delivery.to == SHEETS
        for key in ("to", "document" if sheet else "path", "metrics"):
            if not getattr(d.delivery, key) and key not in d.bad:
                example = DELIVERY_KEYS[key].example
                self.tell(d, key, f"a delivery needs {key}", expected=f"as {example}", paste=f"{key} = {example}")
        if d.delivery.last and d.delivery.from_:
            expected = "one of them"
            self.tell(d, "last", "last and from cannot both say where to begin", expected=expected)
        if d.delivery.tab and d.delivery.to and d.delivery.to not in ("xlsx", SHEETS):
            self.tell(d, "tab", f"a {d.delivery.to} file has no tabs", expected="without this line")
        self.check_foreign_keys(d)

    def check_foreign_keys(self, d: DeclaredDelivery) -> None:
        """Keys that only a file has, or only a Google Sheet."""
        if not d.delivery.to:
            return
        foreign = ("path",) if d.delivery.to == SHEETS else ("document", "mode", "by_hand", "notes", "api")
        what = "a Google Sheet" if d.delivery.to == SHEETS else "a file"
        for key in foreign:
            if key in d.given and key not in d.bad:
                expected = 'document = "https://docs.google.com/…"' if key == "path" else f"to = {toml(SHEETS)}"
                self.tell(d, key, f"{what} has no {key}", expected=expected)
        if d.delivery.mode == "latest" and "layout" in d.given:
            self.tell(d, "layout", "the latest values have one layout: a row for each", expected="without this line")

    def check_place(self, d: DeclaredDelivery) -> None:
        endings = FILE_KINDS.get(d.delivery.to, ())
        path = d.delivery.path
        if not path or not endings or path.lower().endswith(endings):
            return
        meant = posixpath.splitext(path)[0] + endings[0]
        expected = f"a file that ends with {' or '.join(endings)}"
        paste = f"path = {toml(meant)}"
        self.tell(
            d, "path", f"the file of to = {toml(d.delivery.to)} has another ending", expected=expected, paste=paste
        )

    def check_metrics(self, d: DeclaredDelivery) -> None:
        for name in d.delivery.metrics:
            if name not in self.metrics:
                self.unknown(d, "metrics", name, "metric", tuple(self.metrics))
            elif name in self.catalog.metrics:
                self.check_dimensions(d, name)

    def check_dimensions(self, d: DeclaredDelivery, metric: str) -> None:
        """Told once for each dimension, for the first metric that lacks it."""
        has = self.catalog.queryable_dims(metric)
        known = {p.path for p in self.problems.found}
        filters = (FILTER.match(text) for text in d.delivery.where)
        asked = {"by": d.delivery.by, "where": [found["dim"] for found in filters if found]}
        for key, names in asked.items():
            lacking = next((name for name in names if name not in has), None)
            if lacking is not None and f"{d.path}.{key}" not in known:
                self.unknown(d, key, lacking, f"dimension of {metric!r}", has)

    def unknown(self, d: DeclaredDelivery, key: str, name: str, what: str, valid: tuple[str, ...]) -> None:
        meant = closest(name, valid)
        given = d.given[key]
        texts = [given] if isinstance(given, str) else list(given) if isinstance(given, list | tuple) else []
        fixed = [_instead(str(text), name, meant or name, filters=key == "where") for text in texts]
        self.tell(
            d, key, f"there is no {what} {name!r}" if what == "metric" else f"{name!r} is no {what}",
            expected=", ".join(valid) or "none",
            hint=f"did you mean {meant!r}?" if meant else "", paste=f"{key} = {toml(fixed)}" if meant else "",
        )  # fmt: skip

    def check_places(self) -> None:
        """Two deliveries must not write over one another."""
        taken: dict[tuple[str, str], str] = {}
        for name, d in self.declared.items():
            place = d.delivery.path or d.delivery.document
            if not place:
                continue
            file = posixpath.normpath(d.delivery.path) if d.delivery.path else f"document {place}"
            tab = d.delivery.tab_name.casefold() if d.delivery.to in ("xlsx", SHEETS) else ""
            other = taken.setdefault((file, tab), name)
            if other != name:
                where = f"tab {d.delivery.tab_name!r} of {file}" if tab else file
                expected = "another tab" if tab else "another path"
                self.tell(
                    d,
                    "path" if d.delivery.path else "tab",
                    f"[deliveries.{other}] writes {where} already",
                    expected=expected,
                )


def _instead(text: str, name: str, meant: str, *, filters: bool) -> str:
    found = FILTER.match(text) if filters else None
    if found:
        return f"{meant}{found['sign']}{found['value']}" if found["dim"] == name else text
    return meant if text == name else text
