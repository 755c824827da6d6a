"""Checks of deliveries against their metrics and against one another."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

from tallybook.config.catalog.asking import Asking, filtered
from tallybook.config.catalog.keys import DELIVERY_KEYS
from tallybook.config.catalog.tables import DeclaredDelivery, delivery_kind
from tallybook.config.catalog.words import toml
from tallybook.core import DELIVER, DESTINATIONS, Delivery, DestinationKind, destination_kinds


@dataclass
class Deliveries(Asking):
    """All deliveries, checked against the catalog."""

    declared: Mapping[str, DeclaredDelivery]

    def check(self) -> None:
        """Check all deliveries."""
        for d in self.declared.values():
            self.check_keys(d)
            self.check_place(d)
            self.check_metrics(d)
            self.check_moving(d)
        self.check_places()
        self.check_claims()

    def check_claims(self) -> None:
        """Report values that two deliveries would both write."""
        taken: dict[str, str] = {}
        for name, d in self.declared.items():
            kind = delivery_kind(d.delivery.to)
            for key, what in DESTINATIONS.adapter(kind.name)().claims(d.delivery) if kind else ():
                if (other := taken.setdefault(what, name)) != name:
                    message = f"[deliveries.{other}] already sends {what.partition(' ')[2]}"
                    self.report(d, key, message, expected="one delivery for each")

    def check_keys(self, d: DeclaredDelivery) -> None:
        """Report missing keys, keys that exclude each other, and keys of other destinations."""
        kind = delivery_kind(d.delivery.to)
        instead = kind.instead_of_metrics if kind else ""
        for key in ("to", kind.place if kind else "path", "metrics"):
            if key == "metrics" and instead and _value(d.delivery, instead):
                continue
            if not _value(d.delivery, key) and key not in d.bad:
                example = _example(kind, key)
                self.report(
                    d, key, f"a delivery needs {key}", expected=f"such as {example}", paste=f"{key} = {example}"
                )
        if d.delivery.last and d.delivery.from_:
            expected = "one of them"
            self.report(d, "last", "last and from both define the first day", expected=expected)
        if kind:
            self.check_capabilities(d, kind)
            self.check_foreign_keys(d, kind)
            for problem in DESTINATIONS.adapter(kind.name)().problems(d.delivery, d.given):
                self.report(d, problem.key, problem.message, expected=problem.expected, paste=problem.paste)
            for problem in DESTINATIONS.adapter(kind.name)().problems_in(d.delivery, self.catalog):
                self.report(d, problem.key, problem.message, expected=problem.expected, paste=problem.paste)

    def check_capabilities(self, d: DeclaredDelivery, kind: DestinationKind) -> None:
        """Report common keys that this destination does not support."""
        if d.delivery.tab and not kind.tabs:
            self.report(d, "tab", f"{kind.noun} has no tabs", expected="without this line")
        if "path" in d.given and "path" not in d.bad and kind.place != "path":
            expected = f"{kind.place} = {_example(kind, kind.place)}"
            self.report(d, "path", f"{kind.noun} has no path", expected=expected)
        if "layout" in d.given and "layout" not in d.bad and d.delivery.layout not in kind.layouts:
            expected = " or ".join(map(toml, kind.layouts))
            self.report(d, "layout", f"{kind.noun} has no layout {toml(d.delivery.layout)}", expected=expected)

    def check_foreign_keys(self, d: DeclaredDelivery, kind: DestinationKind) -> None:
        """Report keys that only other destinations have."""
        known = {*DELIVERY_KEYS, *(option.name for option in kind.options)}
        for key in d.given.keys() - known:
            owners = [other for other in destination_kinds(DELIVER) if other.option(key)]
            if owners:
                nouns, names = " or ".join(o.noun for o in owners), " or ".join(f"to = {toml(o.name)}" for o in owners)
                message = f"{kind.noun} has no {key}: only {nouns} has {key}"
                self.report(d, key, message, expected=f"without this line, or {names}")

    def check_place(self, d: DeclaredDelivery) -> None:
        """Report a path whose extension the destination does not write."""
        kind, path = delivery_kind(d.delivery.to), d.delivery.path
        endings = (*kind.endings, *kind.update_endings) if kind else ()
        if not path or not endings or path.lower().endswith(endings):
            return
        meant = posixpath.splitext(path)[0] + endings[0]
        expected = f"a file that ends with {' or '.join(endings)}"
        paste = f"path = {toml(meant)}"
        self.report(
            d,
            "path",
            f"the file of to = {toml(d.delivery.to)} has a different extension",
            expected=expected,
            paste=paste,
        )

    def check_metrics(self, d: DeclaredDelivery) -> None:
        """Report unknown metrics and dimensions."""
        asked = {"by": d.delivery.by, "where": filtered(d.delivery.where)}
        for name in d.delivery.metrics:
            self.check_metric(d, "metrics", name, asked)
            together = "totals" if d.delivery.totals else ""
            self.check_unit(d, name, d.delivery.by, d.delivery.where, can_split=True, together=together)

    def check_moving(self, d: DeclaredDelivery) -> None:
        """Report attributes in deliveries that send rows one by one: when an attribute changes, sent rows cannot
        follow."""
        kind = delivery_kind(d.delivery.to)
        if kind is None or not (kind.outbox or kind.has_subscribers):
            return
        for key, names in (("by", d.delivery.by), ("where", filtered(d.delivery.where))):
            moving = next((name for name in names if self.is_attribute(name)), None)
            if moving is not None and f"{d.path}.{key}" not in {p.path for p in self.problems.found}:
                message = f"{moving!r} changes, and rows that were sent cannot move with it"
                expected = "dimensions that the metrics store; an attribute by a delivery to a file or a sheet"
                self.report(d, key, message, expected=expected)

    def check_places(self) -> None:
        """Report deliveries that would overwrite one another."""
        taken: dict[str, dict[str, str]] = {}
        for name, d in self.declared.items():
            kind = delivery_kind(d.delivery.to)
            place = _value(d.delivery, kind.place) if kind else d.delivery.path
            if not place or (kind and (kind.is_shared or kind.outbox)):  # several may send to one receiver
                continue
            key = kind.place if kind else "path"
            where = posixpath.normpath(place) if key == "path" else f"{key} {place}"
            tab = d.delivery.tab_name.casefold() if kind and kind.tabs else ""
            tabs = taken.setdefault(where, {})
            other = tabs.get(tab) or tabs.get("") or (next(iter(tabs.values()), None) if not tab else None)
            tabs.setdefault(tab, name)
            if other is not None:
                self.report_taken_place(d, other, where, key=key, has_tab=bool(tab))

    def report_taken_place(self, d: DeclaredDelivery, other: str, where: str, *, key: str, has_tab: bool) -> None:
        """Report a place that another delivery already writes to."""
        is_file = key == "path"
        message = f"[deliveries.{other}] already writes {f'tab {d.delivery.tab_name!r} of ' if has_tab else ''}{where}"
        another = "another path, or another tab of the workbook" if has_tab else "another path"
        if not is_file:
            another = "another tab" if has_tab else f"another {key}"
        self.report(d, key if is_file or not has_tab else "tab", message, expected=another)


def _value(delivery: Delivery, key: str) -> str:
    """The value of a common key or of an option."""
    value: str = delivery.options.get(key, "") if key in delivery.options else getattr(delivery, key, "")
    return value


def _example(kind: DestinationKind | None, key: str) -> str:
    option = kind.option(key) if kind else None
    return option.example if option else DELIVERY_KEYS[key].example
