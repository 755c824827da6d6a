"""Reads a project: from the cache if nothing has changed, else from its files, with all checks."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tallybook.config import cache
from tallybook.config.connections import SecretValuesReading
from tallybook.config.delivery_secrets import Values, secret_values, with_secrets, without_secrets
from tallybook.config.files import metric_files, read_optional, read_toml, sql_metric
from tallybook.config.rule_secrets import Actions, rule_actions, with_actions, without_actions
from tallybook.config.urls import HIDDEN, resolved, secret_variables, secrets_of, session_options
from tallybook.config.variables import Expansion, parse_dotenv
from tallybook.core import (
    APPLY,
    DESTINATIONS,
    REGISTRY,
    AdapterError,
    BookSettings,
    Catalog,
    DeclarationError,
    Problems,
    SourceKind,
    kind_of,
    scheme_of,
)
from tallybook.storage import IN_LEDGER

if TYPE_CHECKING:
    from tallybook.config.modules import Modules

EXPANDED = (
    "book",
    "schedule",
    "alerts",
    "serve",
    "accounts",
    "users",
    "metrics",
    "goals",
    "boards",
    "notes",
    "deliveries",
    "rules",
    "messages",
)
"""Sections whose variables are expanded here. Variables of sources and events are expanded where those are read."""


@dataclass
class ProjectReading(SecretValuesReading):
    """Reads the files of a project into a checked catalog."""

    places: dict[str, str] = field(default_factory=dict)
    """The files of metrics that are declared outside the TOML."""
    watched: dict[str, bytes] = field(default_factory=dict)
    """Files that the catalog depends on, with the hash of their content."""
    variables: Mapping[str, str] = field(default_factory=dict)
    delivery_values: Values = field(default_factory=dict)
    """The secret values of deliveries."""
    actions: Actions = field(default_factory=dict)
    """The actions of each rule."""

    def read(self, env: Mapping[str, str]) -> Catalog:
        """The catalog with all secret values: from the cache if nothing has changed, else checked again and cached."""
        variables = self.variables = {**parse_dotenv(read_optional(self.folder / ".env"), self.problems), **env}
        written, self.raw = read_toml(self.folder)
        files = metric_files(self.folder)
        self.add_own_sources(files)
        self.read_urls(variables)
        self.read_ledger(variables)
        self.read_addresses(variables)
        self.read_identity_secrets(variables)
        self.actions = rule_actions(self.table("rules"), variables, self.secrets)
        self.delivery_values = secret_values(self.table("deliveries"), variables, self.problems, self.secrets)
        store = self.store(variables)
        place = self.cache_file(store) if store and not self.instead else None
        schemes = {name: scheme_of(urls.get("url", "")) for name, urls in self.urls.items()}
        key = cache.digest(cache.own_files(), str(self.folder), written, files, schemes)
        cached = cache.read(place, key, variables) if place and not self.problems.found else None
        self.rules = dict(cached.rules) if cached else {}
        self.check_urls()
        catalog = cached.catalog if cached and not self.problems.found else self.checked(variables, files, key, place)
        return self.with_secret_values(catalog)

    def store(self, variables: Mapping[str, str]) -> str:
        """The value of `store`; empty for an invalid value."""
        written = self.table("book").get("store", BookSettings().store)
        if not isinstance(written, str) or "\0" in written:
            return ""
        expansion = Expansion(variables, Problems())
        store = expansion.text(written, "book.store").strip()
        if "://" in store or re.search(r":.*@", store):  # it may contain a password; the catalog reports the mistake
            self.secrets |= secrets_of(store, {n: v for n, v in expansion.used.items() if v})
            return ""
        return store

    def cache_file(self, store: str) -> Path | None:
        """The file of the cached catalog: in the folder of the book, or in the cache folder of this host; None without
        one."""
        if store != IN_LEDGER:
            return self.folder / store / "cache" / "catalog.msgpack"
        from tallybook.storage import private_folder

        try:
            catalogs = private_folder() / "catalogs"
            catalogs.mkdir(exist_ok=True)
        except OSError:
            return None
        return catalogs / cache.digest(str(self.folder)).hex() / "catalog.msgpack"

    def with_secret_values(self, catalog: Catalog) -> Catalog:
        """The catalog completed with URLs and addresses, which are not cached."""
        sources = {
            name: msgspec.structs.replace(
                source,
                folder=str(self.folder),
                **self.ledger_of(source, catalog),
                **{key: resolved(url, self.folder, self.find) for key, url in self.urls[name].items()},
            )
            for name, source in catalog.sources.items()
        }
        policies = {
            name: f"{APPLY} {session_options(source.url, self.variables, self.find)}".strip()
            for name, source in sources.items()
            if source.policies == APPLY
        }
        metrics = {
            name: msgspec.structs.replace(m, policies=policies[m.source]) if m.source in policies else m
            for name, m in catalog.metrics.items()
        }
        book = msgspec.structs.replace(catalog.book, ledger=self.ledger)
        alerts = msgspec.structs.replace(catalog.alerts, **self.alert_addresses())
        serve = msgspec.structs.replace(catalog.serve, identity_secrets=self.identity_secrets)
        deliveries = with_secrets(catalog.deliveries, self.delivery_values, self.problems)
        catalog = msgspec.structs.replace(catalog, sources=sources, metrics=metrics, deliveries=deliveries)
        rules = with_actions(catalog.rules, self.actions)
        return msgspec.structs.replace(catalog, book=book, alerts=alerts, serve=serve, rules=rules)

    def checked(
        self, variables: Mapping[str, str], files: Mapping[str, bytes], key: bytes, place: Path | None
    ) -> Catalog:
        """Read the catalog from the files and check it, without secret values."""
        from tallybook.config.catalog.building import build
        from tallybook.config.modules import Modules

        modules = Modules(self.folder)
        self.add_files(files, modules)
        if self.instead:
            self.leave_out("metrics", "changed")
        expansion = Expansion(variables, self.problems)
        raw = self.expanded(expansion)
        self.secrets |= secret_variables(expansion.used)
        hashes = self.function_hashes(raw, modules)
        kinds = self.source_kinds()
        catalog = build(raw, kinds=kinds, places=self.places, found=self.problems, every_kind=REGISTRY.kinds)
        catalog = _without_urls(_with_options(catalog, kinds), hashes)
        self.watch_destinations(catalog)
        if place and not self.hide_options(catalog, kinds):
            names = tuple(sorted(expansion.used))
            values = cache.values_of(names, variables)
            entry = cache.CachedCatalog(
                key=key, names=names, values=values, watched=self.watched, rules=self.rules, catalog=catalog
            )
            cache.write(place, entry, self.secrets)
        return catalog

    def watch_destinations(self, catalog: Catalog) -> None:
        """Watch the files of destinations from other packages, because the catalog depends on them."""
        for delivery in catalog.deliveries.values():
            if file := DESTINATIONS.file(delivery.to):
                self.watched[file] = cache.file_digest(file)

    def source_kinds(self) -> dict[str, SourceKind]:
        """The descriptor of each source that has one. Also watches the files of the adapters, because the catalog
        depends on them."""
        kinds = {}
        for name, urls in self.urls.items():
            with contextlib.suppress(AdapterError):
                scheme = scheme_of(urls.get("url", ""))
                if kind := kind_of(scheme):
                    kinds[name] = kind
                    file = sys.modules[REGISTRY.adapter(scheme).__module__].__file__
                    self.watched |= {file: cache.file_digest(file)} if file else {}
        return kinds

    def hide_options(self, catalog: Catalog, kinds: Mapping[str, SourceKind]) -> bool:
        """Hide the values of secret options. Returns whether there are any: such a catalog is not cached."""
        values = [
            catalog.sources[name].options[option.name]
            for name, kind in kinds.items()
            for option in kind.options
            if option.secret and name in catalog.sources and option.name in catalog.sources[name].options
        ]
        self.secrets |= {value: HIDDEN for value in values if isinstance(value, str) and value}
        return bool(values)

    def add_files(self, files: Mapping[str, bytes], modules: Modules) -> None:
        """Add the metrics of metrics/*.sql and metrics/*.py to the metrics of the TOML."""
        for name, written in files.items():
            stem = Path(name).stem
            if name.endswith(".sql"):
                if (keys := sql_metric(name, written, self.problems)) is not None:
                    self.add_metric(stem, keys, name)
            elif not stem.startswith("_"):
                self.add_module(name, modules)

    def add_module(self, name: str, modules: Modules) -> None:
        """Add the metrics of a Python file."""
        try:
            metrics = modules.metrics(name)
        except DeclarationError as error:
            self.problems.add(name, error.message, hint=error.hint, expected="a Python file that can be run")
            return
        for metric, keys in metrics:
            self.add_metric(metric, keys, name)

    def add_metric(self, name: str, keys: dict[str, object], place: str) -> None:
        """Add one metric. Reports a second declaration of the same name."""
        metrics = self.raw.setdefault("metrics", {})
        if not isinstance(metrics, dict):
            return
        if name in metrics:
            first = self.places.get(name, "tallybook.toml")
            seen, expected = f"in {first} and in {place}", "each metric once"
            self.problems.add(f"metrics.{name}", f"{name!r} is declared twice", seen=seen, expected=expected)
            return
        metrics[name] = keys
        self.places[name] = place

    def expanded(self, expansion: Expansion) -> dict[str, object]:
        """The TOML with variables replaced in every known section."""
        raw = dict(self.raw)
        known = dict(self.table("sources"))
        for name in self.urls:
            known[name] = {k: v for k, v in self.table("sources", name).items() if k not in self.urls[name]}
        if "ledger" in self.table("book"):
            raw["book"] = {key: value for key, value in self.table("book").items() if key != "ledger"}
        if "alerts" in self.raw:
            rest = {k: v for k, v in self.table("alerts").items() if k not in self.addresses}
            raw["alerts"] = rest if isinstance(self.raw["alerts"], dict) else self.raw["alerts"]
        if self.delivery_values:
            raw["deliveries"] = self.without_secret_values(self.table("deliveries"))
        for section in EXPANDED:
            if section in raw:
                raw[section] = expansion.value(raw[section], section)
        if isinstance(deliveries := raw.get("deliveries"), dict):
            for name, values in self.delivery_values.items():
                deliveries[name] = {**deliveries[name], **values}
        if "ledger" in self.table("book") and isinstance(raw["book"], dict):
            written = self.table("book")["ledger"]
            raw["book"]["ledger"] = self.ledger if isinstance(written, str) else written
        if isinstance(alerts := raw.get("alerts"), dict):
            raw["alerts"] = alerts | {
                key: value for key, value in self.alert_addresses().items() if key in self.addresses
            }
        if "sources" in raw and isinstance(raw["sources"], dict):
            expanded = expansion.value(known, "sources")
            assert isinstance(expanded, dict)
            raw["sources"] = expanded
            for name, urls in self.urls.items():
                expanded[name] = {**expanded[name], **urls}
        return raw

    def without_secret_values(self, deliveries: Mapping[str, object]) -> dict[str, object]:
        """The tables of deliveries without their secret keys."""
        return {
            name: {k: v for k, v in table.items() if k not in self.delivery_values.get(name, {})}
            if isinstance(table, dict)
            else table
            for name, table in deliveries.items()
        }

    def function_hashes(self, raw: Mapping[str, object], modules: Modules) -> dict[str, str]:
        """A hash of the source text of each function. Reports functions that cannot be imported."""
        from tallybook.core import function_hash

        metrics = raw.get("metrics")
        hashes = {}
        for name, keys in metrics.items() if isinstance(metrics, dict) else ():
            spec = keys.get("function") if isinstance(keys, dict) else None
            if not isinstance(spec, str) or ":" not in spec.strip(":"):
                continue
            try:
                hashes[name] = function_hash(modules.function(spec.strip()))
                self.watch(spec.strip().rpartition(":")[0], modules)
            except (DeclarationError, OSError, ValueError) as error:
                message = error.message if isinstance(error, DeclarationError) else str(error)
                hint = error.hint if isinstance(error, DeclarationError) else ""
                at, seen = f"metrics.{name}.function", f'function = "{spec}"'
                self.problems.add(at, message, seen=seen, expected="a function (day, db)", hint=hint)
        return hashes

    def watch(self, module: str, modules: Modules) -> None:
        """Watch the file of a module: when it changes, the cached catalog is discarded."""
        file = modules.file_of(module)
        if file:
            self.watched[str(file)] = cache.file_digest(file)


def _with_options(catalog: Catalog, kinds: Mapping[str, SourceKind]) -> Catalog:
    """The catalog with source options that affect numbers added to the definitions of the source's metrics."""
    meaningful: dict[str | None, dict[str, Any]] = {}
    for name, kind in kinds.items():
        given = catalog.sources[name].options if name in catalog.sources else {}
        meaningful[name] = {o.name: given[o.name] for o in kind.options if o.in_definition and o.name in given}
    metrics = {
        name: msgspec.structs.replace(m, source_options=meaningful[m.source]) if meaningful.get(m.source) else m
        for name, m in catalog.metrics.items()
    }
    return msgspec.structs.replace(catalog, metrics=metrics)


def _without_urls(catalog: Catalog, hashes: Mapping[str, str]) -> Catalog:
    """The catalog in its cached form: without URLs and addresses, and with the hashes of functions."""
    sources = {name: msgspec.structs.replace(s, url="", replica="") for name, s in catalog.sources.items()}
    metrics = {name: msgspec.structs.replace(m, function_hash=hashes.get(name)) for name, m in catalog.metrics.items()}
    book = msgspec.structs.replace(catalog.book, ledger="")
    alerts = msgspec.structs.replace(catalog.alerts, to=(), heartbeat="")
    serve = msgspec.structs.replace(catalog.serve, identity_secrets=())
    acting = {"deliveries": without_secrets(catalog.deliveries), "rules": without_actions(catalog.rules)}
    catalog = msgspec.structs.replace(catalog, **acting)
    return msgspec.structs.replace(catalog, book=book, alerts=alerts, serve=serve, sources=sources, metrics=metrics)
