"""Deliveries checked against the metrics they ask for and against one another."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

from tallybook.catalog.asking import Asking, filtered
from tallybook.catalog.keys import DELIVERY_KEYS
from tallybook.catalog.tables import DeclaredDelivery
from tallybook.catalog.words import toml
from tallybook.metrics import FILE_KINDS, SHEETS

CSV_KEYS = ("separator", "decimal", "bom", "guard")


@dataclass
class Deliveries(Asking):
    """The deliveries against the catalog they ask."""

    declared: Mapping[str, DeclaredDelivery]

    def check(self) -> None:
        for d in self.declared.values():
            if not d.delivery.later:
                self.check_keys(d)
                self.check_place(d)
                self.check_metrics(d)
        self.check_places()

    def check_keys(self, d: DeclaredDelivery) -> None:
        sheet = d.delivery.to == SHEETS
        for key in ("to", "spreadsheet" if sheet else "path", "metrics"):
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
        foreign = ("path",) if d.delivery.to == SHEETS else ("spreadsheet", "mode", "by_hand", "notes", "api")
        what = "a Google Sheet" if d.delivery.to == SHEETS else "a file"
        for key in foreign:
            if key in d.given and key not in d.bad:
                expected = 'spreadsheet = "https://docs.google.com/…"' if key == "path" else f"to = {toml(SHEETS)}"
                self.tell(d, key, f"{what} has no {key}", expected=expected)
        for key in CSV_KEYS if d.delivery.to != "csv" else ():
            if key in d.given and key not in d.bad:
                self.tell(d, key, f"only a CSV file has {key}", expected='without this line, or to = "csv"')
        if d.delivery.to == "csv" and d.delivery.separator == d.delivery.decimal:
            expected = "different signs: in a line 1,5,2 nobody can tell the numbers"
            self.tell(
                d, "decimal", "separator and decimal are the same sign", expected=expected, paste='separator = ";"'
            )
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
        asked = {"by": d.delivery.by, "where": filtered(d.delivery.where)}
        for name in d.delivery.metrics:
            self.check_metric(d, "metrics", name, asked)

    def check_places(self) -> None:
        """Two deliveries must not write over one another."""
        taken: dict[tuple[str, str], str] = {}
        for name, d in self.declared.items():
            place = d.delivery.path or d.delivery.spreadsheet
            if not place:
                continue
            file = posixpath.normpath(d.delivery.path) if d.delivery.path else f"spreadsheet {place}"
            tab = d.delivery.tab_name.casefold() if d.delivery.to in ("xlsx", SHEETS) else ""
            other = taken.setdefault((file, tab), name)
            if other != name:
                where = f"tab {d.delivery.tab_name!r} of {file}" if tab else file
                expected = "another path, or another tab of the workbook" if tab and d.delivery.path else "another path"
                self.tell(
                    d,
                    "path" if d.delivery.path else "tab",
                    f"[deliveries.{other}] writes {where} already",
                    expected=expected if d.delivery.path else "another tab",
                )
