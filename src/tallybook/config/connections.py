"""Reads the secret values of tallybook.toml: URLs of sources and of the ledger, and addresses of alerts.

They are read before all other keys, checked, and never cached."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tallybook.config.proper_urls import proper_url
from tallybook.config.urls import (
    HIDDEN,
    masked_url,
    registered,
    secrets_of,
    secrets_of_address,
    wrong_alert,
    wrong_heartbeat,
    wrong_ledger,
    wrong_url,
)
from tallybook.config.variables import Expansion
from tallybook.core import (
    ENTITY_KINDS,
    AdapterError,
    BookSettings,
    Catalog,
    Problems,
    SourceSettings,
    UrlRules,
    kind_of,
    scheme_of,
)
from tallybook.storage import IN_LEDGER

URLS = ("url", "replica")
"""Keys of a source that may contain passwords."""
ADDRESSES = {"to": wrong_alert, "heartbeat": wrong_heartbeat}
"""Secret keys of [alerts], with the function that checks an address."""

_OF_EVENTS = re.compile(rb"""^\s*--\s*(event\s*=|source\s*=\s*["']events["'])""", re.MULTILINE)
"""Matches a line of a .sql metric file that reads usage events."""
_OF_ENTITIES = {
    kind: re.compile(rb"""^\s*--\s*source\s*=\s*["']%s["']""" % kind.encode(), re.MULTILINE) for kind in ENTITY_KINDS
}
"""Matches a line of a .sql metric file that reads users or accounts."""
OWN_SCHEMES = ("events", "entities")
"""Schemes of the sources that are in the book itself."""


@dataclass
class SecretValuesReading:
    """Reads the secret values of a project, and records the texts that must not be shown."""

    folder: Path
    problems: Problems = field(default_factory=Problems)
    secrets: dict[str, str] = field(default_factory=dict)
    raw: dict[str, object] = field(default_factory=dict)
    urls: dict[str, dict[str, str]] = field(default_factory=dict)
    """URLs by source and key (`url` or `replica`)."""
    ledger: str = ""
    addresses: dict[str, list[str]] = field(default_factory=dict)
    """The addresses of [alerts], by key."""
    identity_secrets: tuple[str, ...] = ()
    rules: dict[str, UrlRules] = field(default_factory=dict)
    """The URL rules of each scheme, from the cache or else from the adapters."""
    url_variables: dict[str, dict[str, str]] = field(default_factory=dict)
    """The variables in each URL of a source, with their values, by the path of the URL."""
    unread: set[str] = field(default_factory=set)
    """Paths of URLs that use a variable without a value."""
    instead: Mapping[str, str] = field(default_factory=dict)

    def table(self, *names: str) -> dict[str, object]:
        """A table of the TOML; an empty one if it is missing or invalid (the catalog reports that)."""
        table: object = self.raw
        for name in names:
            table = table.get(name) if isinstance(table, dict) else None
        return table if isinstance(table, dict) else {}

    def add_own_sources(self, files: Mapping[str, bytes]) -> None:
        """Add the undeclared sources of usage events, users and accounts that metrics read."""
        metrics = [one for one in self.table("metrics").values() if isinstance(one, dict)]
        store = self.table("book").get("store", BookSettings().store)
        wanted = bool(self.table("events")) or any("event" in one or one.get("source") == "events" for one in metrics)
        wanted |= any(_OF_EVENTS.search(text) for name, text in files.items() if name.endswith(".sql"))
        found = {"events": f"events:///{store}"} if wanted else {}
        for kind, line in _OF_ENTITIES.items():
            if any(one.get("source") == kind for one in metrics) or any(line.search(text) for text in files.values()):
                found[kind] = f"entities:///{store}"
        sources = self.raw.setdefault("sources", {}) if found and isinstance(store, str) else {}
        for name, url in found.items():
            if isinstance(sources, dict):
                sources.setdefault(name, {"url": url})

    def ledger_of(self, source: SourceSettings, catalog: Catalog) -> dict[str, Any]:
        """The location of the ledger, for sources that are in the book itself; empty for other sources."""
        if scheme_of(self.urls.get(source.name, {}).get("url", "")) not in OWN_SCHEMES:
            return {}
        return {"ledger": self.ledger, "schema": catalog.book.schema, "in_ledger": catalog.book.store == IN_LEDGER}

    def leave_out(self, section: str, key: str) -> None:
        """Remove a key from every table of a section."""
        for name in self.table(section):
            self.table(section, name).pop(key, None)

    def read_urls(self, variables: Mapping[str, str]) -> None:
        """Expand the URLs of sources."""
        for name in self.table("sources"):
            table = self.table("sources", name)
            if name in self.instead:
                self.read_url(name, "url", self.instead[name].replace("$", "$$"), variables)
                self.keep_options_of(self.instead[name], table)
            for key in URLS:
                written = table.get(key)
                if isinstance(written, str) and not (name in self.instead and key == "url"):
                    self.read_url(name, key, written, variables)

    def keep_options_of(self, url: str, table: dict[str, object]) -> None:
        """Remove keys from a source's table that its replacement database does not support."""
        from tallybook.config.catalog.keys import SOURCE_KEYS

        kind = kind_of(url)
        options = {option.name for option in kind.options} if kind else set()
        for key in list(table):
            unsupported = key in ("fresh", "replica") or (key == "policies" and not (kind and kind.policies))
            if unsupported or key not in {*SOURCE_KEYS, *options}:
                del table[key]

    def read_url(self, name: str, key: str, written: str, variables: Mapping[str, str]) -> None:
        """Expand one URL, and record the variables that it uses."""
        path, before = f"sources.{name}.{key}", len(self.problems.found)
        expansion = Expansion(variables, self.problems)
        self.urls.setdefault(name, {})[key] = expansion.text(written, path).strip()
        self.url_variables[path] = {name: value for name, value in expansion.used.items() if value}
        if len(self.problems.found) > before:
            self.unread.add(path)

    def check_urls(self) -> None:
        """Check the URLs of sources, and record their secrets."""
        for name, urls in self.urls.items():
            for key, url in urls.items():
                path = f"sources.{name}.{key}"
                self.secrets |= secrets_of(url, self.url_variables[path], self.find)
                if url and path not in self.unread:
                    self.check_url(name, key, url, path)

    def find(self, scheme: str) -> UrlRules | None:
        """The URL rules of a scheme; None for an unknown scheme or an adapter that cannot be imported."""
        if scheme in self.rules:
            return self.rules[scheme]
        try:
            rules = registered(scheme)
        except AdapterError:
            return None
        if rules:
            self.rules[scheme] = rules
        return rules

    def check_url(self, name: str, key: str, url: str, path: str) -> None:
        """Check one URL. The reported problem does not repeat a secret."""
        rules, seen = self.find(scheme_of(url)), f'{key} = "{masked_url(url, self.find)}"'
        try:
            wrong = wrong_url(url, self.find if rules else registered)
        except AdapterError as error:
            self.problems.add(path, error.message, seen=seen, hint=error.hint)
            return
        source_rules = self.find(scheme_of(self.urls[name].get("url", "")))
        if wrong:
            message, paste = f"the {key} {wrong.pop('message')}", wrong.pop("paste", "").replace("url = ", f"{key} = ")
            self.problems.add(path, message, seen=seen, paste=paste, **wrong)
        elif key == "replica" and rules and source_rules and rules.dialect != source_rules.dialect:
            message = "a replica must be the same kind of database as its source, because the metrics use its SQL"
            self.problems.add(path, message, seen=seen, expected=f"{scheme_of(self.urls[name]['url'])}://…")

    def read_ledger(self, variables: Mapping[str, str]) -> None:
        """Expand and check the URL of the ledger."""
        if self.instead:
            # Facts from other databases must not enter the book of the project.
            for key in ("ledger", "schema", "store"):
                self.table("book").pop(key, None)
        written = self.table("book").get("ledger")
        if not isinstance(written, str):
            return
        before = len(self.problems.found)
        expansion = Expansion(variables, self.problems)
        self.ledger = expansion.text(written, "book.ledger").strip()
        self.secrets |= secrets_of(self.ledger, {name: value for name, value in expansion.used.items() if value})
        self.ledger = proper_url(self.ledger)
        wrong = wrong_ledger(self.ledger) if self.ledger and len(self.problems.found) == before else None
        if wrong:
            message = "the ledger " + wrong.pop("message")
            self.problems.add("book.ledger", message, seen=f'ledger = "{masked_url(self.ledger)}"', **wrong)

    def read_addresses(self, variables: Mapping[str, str]) -> None:
        """Expand and check the addresses of [alerts]."""
        if self.instead:
            # Trials on other databases send no alerts.
            self.raw.pop("alerts", None)
        for key in ADDRESSES:
            written = self.table("alerts").get(key)
            listed = written if isinstance(written, list) else [written]
            texts = [text for text in listed if isinstance(text, str) and text.strip()]
            if written is not None and len(texts) == len(listed):
                self.addresses[key] = [self.read_address(key, text, variables) for text in texts]

    def read_address(self, key: str, written: str, variables: Mapping[str, str]) -> str:
        """Expand and check an address. The reported problem does not repeat it."""
        path, before = f"alerts.{key}", len(self.problems.found)
        expansion = Expansion(variables, self.problems)
        address = expansion.text(written, path).strip()
        if not address or len(self.problems.found) > before:
            return address
        self.secrets |= secrets_of_address(address, {n: v for n, v in expansion.used.items() if v})
        if wrong := ADDRESSES[key](address):
            message = f"an address in {key} {wrong.pop('message')}"
            self.problems.add(path, message, seen=f"{key} = …", **wrong)
        return address

    def read_identity_secrets(self, variables: Mapping[str, str]) -> None:
        """Expand the secrets of [serve] identity_secrets. The catalog reports their problems."""
        written, expansion = self.table("serve").get("identity_secrets"), Expansion(variables, Problems())
        listed = written if isinstance(written, list) else [written]
        texts = [expansion.text(one, "serve.identity_secrets").strip() for one in listed if isinstance(one, str)]
        self.identity_secrets = tuple(dict.fromkeys(filter(None, texts)))
        self.secrets |= dict.fromkeys(self.identity_secrets, HIDDEN)

    def alert_addresses(self) -> dict[str, Any]:
        """The expanded addresses of [alerts]. An empty variable turns an address off."""
        to = dict.fromkeys(filter(None, self.addresses.get("to", [])))
        return {"to": tuple(to), "heartbeat": self.addresses.get("heartbeat", [""])[0]}
