"""A project on disk: tallybook.toml, .env, metrics/ and the environment become a `Project`.

    project = load(Path("."), os.environ)
    project.catalog.metrics["revenue"]

Every command begins here, so what is heavy (SQL parsing, the user's Python) is done only after a change.
"""

from __future__ import annotations

import contextlib
import functools
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tallybook.config import cache
from tallybook.config.files import metric_files, read_optional, read_toml, sql_metric
from tallybook.config.urls import (
    HIDDEN,
    dialect_of,
    masked,
    masked_url,
    registered,
    resolved,
    secret_variables,
    secrets_of,
    secrets_of_address,
    session_options,
    wrong_alert,
    wrong_heartbeat,
    wrong_ledger,
    wrong_url,
)
from tallybook.config.variables import Expansion, parse_dotenv
from tallybook.core import (
    APPLY,
    REGISTRY,
    AdapterError,
    BookSettings,
    Catalog,
    DeclarationError,
    Metric,
    Problem,
    Problems,
    SourceKind,
    SourceSettings,
    UrlRules,
    kind_of,
    scheme_of,
)
from tallybook.storage import IN_LEDGER, BookLocation

if TYPE_CHECKING:
    from tallybook.config.modules import Modules
    from tallybook.core import Function

URLS = ("url", "replica")
"""Keys of a source that may hold passwords: they are read before all others, and kept nowhere."""
ADDRESSES = {"to": wrong_alert, "heartbeat": wrong_heartbeat}
"""Keys of [alerts] that are as secret."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Project:
    """What is declared, and where. The sources' urls hold their passwords: show `masked_url` of them."""

    folder: Path
    catalog: Catalog
    secrets: Mapping[str, str] = field(default_factory=dict)
    """What must not be seen in any output, and what is shown instead; see `mask`."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """The environment and .env."""

    @property
    def store_folder(self) -> Path:
        """Where the book is kept, when it is kept in a folder."""
        return self.folder / self.catalog.book.store

    @property
    def place(self) -> BookLocation:
        """Where the book is kept. It holds the password of the ledger, if that has one."""
        book = self.catalog.book
        return BookLocation(
            folder=None if book.store == IN_LEDGER else self.store_folder,
            ledger=book.ledger,
            schema=book.schema,
            access=book.access,
        )

    @functools.cached_property
    def modules(self) -> Modules:
        """The user's Python, none of it imported yet."""
        from tallybook.config.modules import Modules

        return Modules(self.folder)

    def function(self, metric: Metric) -> Function:
        """The function of a Python metric; imports the user's module now. Raises DeclarationError."""
        if metric.function is None:
            raise DeclarationError(f"metric {metric.name!r} is not a function")
        return self.modules.function(metric.function)

    def __repr__(self) -> str:
        return f"Project({str(self.folder)!r}, {len(self.catalog.metrics)} metrics)"


def load(folder: Path, env: Mapping[str, str], *, instead: Mapping[str, str] | None = None) -> Project:
    """The project in `folder`, with the variables of `env` and, behind them, of its .env file.

    `instead` are urls of other databases, perhaps of another kind, in whose SQL the metrics are read then; what
    is declared of a source's freshness, of changes of its rows, of where the book is kept, and of alerts, does not hold
    for them.
    Raises one DeclarationError that holds every problem and no secret."""
    reading = _ProjectReading(folder=_readable(Path(folder).absolute()), instead=instead or {})
    try:
        return reading.project(env)
    except RecursionError:
        raise DeclarationError("tallybook.toml is nested too deeply") from None
    except DeclarationError as error:
        raise _without(reading.secrets, error) from None


def _readable(folder: Path) -> Path:
    """The folder. Raises DeclarationError where its name is no text for this process."""
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        shown = str(folder).encode(errors="replace").decode()
        raise DeclarationError(
            f"the name of the folder {shown} is not UTF-8, or this process does not read it so",
            hint="export PYTHONUTF8=1; or give the folder another name",
        ) from None
    return folder


def mask(text: str, project: Project) -> str:
    """The text without any secret of the project. For messages and logs, not for data."""
    return masked(text, project.secrets)


def source_override(project: Project, urls: Mapping[str, str]) -> Project:
    """The project with other databases for some sources, as `--source app=URL` says; the facts mean the same.

    A relative file is one of the current folder, as everywhere on a command line."""
    problems = Problems()
    sources = dict(project.catalog.sources)
    secrets = dict(project.secrets)
    for name, url in urls.items():
        secrets |= secrets_of(url, {})
        if name in sources:
            _check_override(sources[name], url, project.variables, problems)
            sources[name] = msgspec.structs.replace(sources[name], url=resolved(url, Path.cwd()))
        else:
            _no_such_source(name, sources, problems)
    try:
        problems.raise_if_any("--source")
    except DeclarationError as error:
        raise _without(secrets, error) from None
    catalog = msgspec.structs.replace(project.catalog, sources=sources)
    return replace(project, catalog=catalog, secrets=secrets)


def _no_such_source(name: str, sources: Mapping[str, SourceSettings], problems: Problems) -> None:
    from tallybook.config.catalog.words import closest

    meant, expected = closest(name, sources), ", ".join(sources)
    hint = f"did you mean {meant!r}?" if meant else ""
    problems.add(f"--source {name}", f"there is no source {name!r}", seen=name, expected=expected, hint=hint)


def _check_override(source: SourceSettings, url: str, variables: Mapping[str, str], problems: Problems) -> None:
    path = f"--source {source.name}"
    wrong = wrong_url(url)
    if wrong:
        problems.add(path, "the copy's url " + wrong["message"], seen=masked_url(url), expected=wrong["expected"])
    elif dialect_of(url) != dialect_of(source.url):
        message = "a copy is of the same kind: the metrics are written in its SQL"
        problems.add(path, message, seen=masked_url(url), expected=f"{scheme_of(source.url)}://…")
    elif source.policies == APPLY and session_options(url, variables) != session_options(source.url, variables):
        message = "the copy's url has other session options, so that its policies may show other rows"
        problems.add(path, message, seen=masked_url(url), expected="the options of the url in tallybook.toml")


def _without(secrets: Mapping[str, str], error: DeclarationError) -> DeclarationError:
    """The same error with its secrets hidden."""

    def told(problem: Problem) -> Problem:
        return Problem(**{name: masked(text, secrets) for name, text in vars(problem).items()})

    problems = [told(problem) for problem in error.problems]
    return DeclarationError(masked(error.message, secrets), hint=masked(error.hint, secrets), problems=problems)


@dataclass
class _ProjectReading:
    """One reading of a project, and what was found out on the way."""

    folder: Path
    problems: Problems = field(default_factory=Problems)
    secrets: dict[str, str] = field(default_factory=dict)
    raw: dict[str, object] = field(default_factory=dict)
    urls: dict[str, dict[str, str]] = field(default_factory=dict)
    """By source and key, `url` or `replica`."""
    ledger: str = ""
    addresses: dict[str, list[str]] = field(default_factory=dict)
    """Of [alerts], by key."""
    rules: dict[str, UrlRules] = field(default_factory=dict)
    """How URLs are read, by scheme: from the cache, else from the adapters."""
    put_in: dict[str, dict[str, str]] = field(default_factory=dict)
    """By path: the variables in a source's URL, with their values."""
    unread: set[str] = field(default_factory=set)
    """Paths of URLs with a variable that has no value."""
    places: dict[str, str] = field(default_factory=dict)
    """Where a metric stands that does not stand in the toml."""
    watched: dict[str, bytes] = field(default_factory=dict)
    instead: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    def project(self, env: Mapping[str, str]) -> Project:
        """From the cache when nothing changed, else checked anew and kept."""
        variables = self.variables = {**parse_dotenv(read_optional(self.folder / ".env"), self.problems), **env}
        written, self.raw = read_toml(self.folder)
        self.read_urls(variables)
        self.read_ledger(variables)
        self.read_addresses(variables)
        store = self.store(variables)
        files = metric_files(self.folder)
        place = self.kept(store) if store and not self.instead else None
        schemes = {name: scheme_of(urls.get("url", "")) for name, urls in self.urls.items()}
        key = cache.digest(cache.ours(), str(self.folder), written, files, schemes)
        kept = cache.read(place, key, variables) if place and not self.problems.found else None
        self.rules = dict(kept.rules) if kept else {}
        self.check_urls()
        catalog = kept.catalog if kept and not self.problems.found else self.checked(variables, files, key, place)
        return Project(folder=self.folder, catalog=self.complete(catalog), secrets=self.secrets, variables=variables)

    def table(self, *names: str) -> dict[str, object]:
        """A table of the toml, or an empty one; the catalog tells of one that is none."""
        found: object = self.raw
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else {}

    def leave_out(self, section: str, key: str) -> None:
        """Take a key out of every table of a section."""
        for name in self.table(section):
            self.table(section, name).pop(key, None)

    def read_urls(self, variables: Mapping[str, str]) -> None:
        """Expands the sources' urls, which are not kept in the cache."""
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
        """Takes out of a source's table what its other database cannot have."""
        from tallybook.config.catalog.keys import SOURCE_KEYS

        kind = kind_of(url)
        own = {option.name for option in kind.options} if kind else set()
        for key in list(table):
            gone = key in ("fresh", "replica") or (key == "policies" and not (kind and kind.policies))
            if gone or key not in {*SOURCE_KEYS, *own}:
                del table[key]

    def read_url(self, name: str, key: str, written: str, variables: Mapping[str, str]) -> None:
        path, before = f"sources.{name}.{key}", len(self.problems.found)
        expansion = Expansion(variables, self.problems)
        self.urls.setdefault(name, {})[key] = expansion.text(written, path).strip()
        self.put_in[path] = {name: value for name, value in expansion.used.items() if value}
        if len(self.problems.found) > before:
            self.unread.add(path)

    def check_urls(self) -> None:
        """Checks the sources' urls, and hides what is secret in them."""
        for name, urls in self.urls.items():
            for key, url in urls.items():
                path = f"sources.{name}.{key}"
                self.secrets |= secrets_of(url, self.put_in[path], self.find)
                if url and path not in self.unread:
                    self.check_url(name, key, url, path)

    def find(self, scheme: str) -> UrlRules | None:
        """How URLs of a scheme are read; None where that is not known, also because its adapter cannot be imported."""
        if scheme in self.rules:
            return self.rules[scheme]
        try:
            found = registered(scheme)
        except AdapterError:
            return None
        if found:
            self.rules[scheme] = found
        return found

    def check_url(self, name: str, key: str, url: str, path: str) -> None:
        rules, seen = self.find(scheme_of(url)), f'{key} = "{masked_url(url, self.find)}"'
        try:
            wrong = wrong_url(url, self.find if rules else registered)
        except AdapterError as error:
            self.problems.add(path, error.message, seen=seen, hint=error.hint)
            return
        own = self.find(scheme_of(self.urls[name].get("url", "")))
        if wrong:
            message, paste = f"the {key} {wrong.pop('message')}", wrong.pop("paste", "").replace("url = ", f"{key} = ")
            self.problems.add(path, message, seen=seen, paste=paste, **wrong)
        elif key == "replica" and rules and own and rules.dialect != own.dialect:
            message = "a replica is of the same kind as its source: the metrics are written in its SQL"
            self.problems.add(path, message, seen=seen, expected=f"{scheme_of(self.urls[name]['url'])}://…")

    def read_ledger(self, variables: Mapping[str, str]) -> None:
        """Expands and checks the URL of the ledger, which is not kept in the cache either."""
        if self.instead:
            # Of other databases' facts there is another book: the one of the project must not get them.
            for key in ("ledger", "schema", "store"):
                self.table("book").pop(key, None)
        written = self.table("book").get("ledger")
        if not isinstance(written, str):
            return
        before = len(self.problems.found)
        expansion = Expansion(variables, self.problems)
        self.ledger = expansion.text(written, "book.ledger").strip()
        self.secrets |= secrets_of(self.ledger, {name: value for name, value in expansion.used.items() if value})
        wrong = wrong_ledger(self.ledger) if self.ledger and len(self.problems.found) == before else None
        if wrong:
            message = "the ledger " + wrong.pop("message")
            self.problems.add("book.ledger", message, seen=f'ledger = "{masked_url(self.ledger)}"', **wrong)

    def read_addresses(self, variables: Mapping[str, str]) -> None:
        """Expands and checks the addresses of [alerts], which are not kept in the cache either."""
        if self.instead:
            # Nobody is to hear of what is tried on other databases.
            self.raw.pop("alerts", None)
        for key in ADDRESSES:
            written = self.table("alerts").get(key)
            listed = written if isinstance(written, list) else [written]
            texts = [one for one in listed if isinstance(one, str) and one.strip()]
            if written is not None and len(texts) == len(listed):
                self.addresses[key] = [self.read_address(key, one, variables) for one in texts]

    def read_address(self, key: str, written: str, variables: Mapping[str, str]) -> str:
        path, before = f"alerts.{key}", len(self.problems.found)
        expansion = Expansion(variables, self.problems)
        address = expansion.text(written, path).strip()
        if not address or len(self.problems.found) > before:
            return address
        self.secrets |= secrets_of_address(address, {n: v for n, v in expansion.used.items() if v})
        if wrong := ADDRESSES[key](address):
            message = f"what stands in {key} {wrong.pop('message')}"
            self.problems.add(path, message, seen=f"{key} = …", **wrong)
        return address

    def told(self) -> dict[str, Any]:
        """The addresses of [alerts], expanded; a variable may be set to nothing where nobody shall be told."""
        to = dict.fromkeys(filter(None, self.addresses.get("to", [])))
        return {"to": tuple(to), "heartbeat": self.addresses.get("heartbeat", [""])[0]}

    def store(self, variables: Mapping[str, str]) -> str:
        """Where the points are kept; empty where that cannot be."""
        written = self.table("book").get("store", BookSettings().store)
        if not isinstance(written, str) or "\0" in written:
            return ""
        expansion = Expansion(variables, Problems())
        store = expansion.text(written, "book.store").strip()
        if "://" in store or re.search(r":.*@", store):  # it may hold a password, and is told of as a problem
            self.secrets |= secrets_of(store, {n: v for n, v in expansion.used.items() if v})
            return ""
        return store

    def kept(self, store: str) -> Path | None:
        """Where the checked catalog is kept: beside the book, or where this host keeps what may be lost, if it does."""
        if store != IN_LEDGER:
            return self.folder / store / "cache" / "catalog.msgpack"
        from tallybook.storage import private_folder

        try:
            catalogs = private_folder() / "catalogs"
            catalogs.mkdir(exist_ok=True)
        except OSError:
            return None
        return catalogs / cache.digest(str(self.folder)).hex() / "catalog.msgpack"

    def complete(self, catalog: Catalog) -> Catalog:
        """With the urls that are not kept."""
        sources = {
            name: msgspec.structs.replace(
                source,
                folder=str(self.folder),
                **{key: resolved(url, self.folder, self.find) for key, url in self.urls[name].items()},
            )
            for name, source in catalog.sources.items()
        }
        seen = {
            name: f"{APPLY} {session_options(source.url, self.variables, self.find)}".strip()
            for name, source in sources.items()
            if source.policies == APPLY
        }
        metrics = {
            name: msgspec.structs.replace(m, policies=seen[m.source]) if m.source in seen else m
            for name, m in catalog.metrics.items()
        }
        book = msgspec.structs.replace(catalog.book, ledger=self.ledger)
        alerts = msgspec.structs.replace(catalog.alerts, **self.told())
        return msgspec.structs.replace(catalog, sources=sources, book=book, alerts=alerts, metrics=metrics)

    # when something changed

    def checked(
        self, variables: Mapping[str, str], files: Mapping[str, bytes], key: bytes, place: Path | None
    ) -> Catalog:
        """Everything read and checked anew."""
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
        if place and not self.hide_options(catalog, kinds):
            names = tuple(sorted(expansion.used))
            values = cache.values_of(names, variables)
            kept = cache.CachedCatalog(
                key=key, names=names, values=values, watched=self.watched, rules=self.rules, catalog=catalog
            )
            cache.write(place, kept, self.secrets)
        return catalog

    def source_kinds(self) -> dict[str, SourceKind]:
        """The descriptor of each source that has one. What they say is kept, so their files are watched."""
        found = {}
        for name, urls in self.urls.items():
            with contextlib.suppress(AdapterError):
                scheme = scheme_of(urls.get("url", ""))
                if kind := kind_of(scheme):
                    found[name] = kind
                    file = sys.modules[REGISTRY.adapter(scheme).__module__].__file__
                    self.watched |= {file: cache.file_digest(file)} if file else {}
        return found

    def hide_options(self, catalog: Catalog, kinds: Mapping[str, SourceKind]) -> bool:
        """Hides the values of secret options. Whether there are any: such a catalog is not kept."""
        values = [
            catalog.sources[name].options[option.name]
            for name, kind in kinds.items()
            for option in kind.options
            if option.secret and name in catalog.sources and option.name in catalog.sources[name].options
        ]
        self.secrets |= {value: HIDDEN for value in values if isinstance(value, str) and value}
        return bool(values)

    def add_files(self, files: Mapping[str, bytes], modules: Modules) -> None:
        """The metrics of metrics/*.sql and metrics/*.py, beside those of the toml."""
        for name, written in files.items():
            stem = Path(name).stem
            if name.endswith(".sql"):
                if (keys := sql_metric(name, written, self.problems)) is not None:
                    self.add_metric(stem, keys, name)
            elif not stem.startswith("_"):
                self.add_module(name, modules)

    def add_module(self, name: str, modules: Modules) -> None:
        try:
            found = modules.metrics(name)
        except DeclarationError as error:
            self.problems.add(name, error.message, hint=error.hint, expected="a Python file that can be run")
            return
        for metric, keys in found:
            self.add_metric(metric, keys, name)

    def add_metric(self, name: str, keys: dict[str, object], place: str) -> None:
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
        """The toml with its variables replaced, where this version reads it."""
        raw = dict(self.raw)
        known = dict(self.table("sources"))
        for name in self.urls:
            known[name] = {k: v for k, v in self.table("sources", name).items() if k not in self.urls[name]}
        if "ledger" in self.table("book"):
            raw["book"] = {key: value for key, value in self.table("book").items() if key != "ledger"}
        if "alerts" in self.raw:
            rest = {k: v for k, v in self.table("alerts").items() if k not in self.addresses}
            raw["alerts"] = rest if isinstance(self.raw["alerts"], dict) else self.raw["alerts"]
        for section in ("book", "schedule", "alerts", "metrics", "goals", "deliveries"):
            if section in raw:
                raw[section] = expansion.value(raw[section], section)
        if "ledger" in self.table("book") and isinstance(raw["book"], dict):
            written = self.table("book")["ledger"]
            raw["book"]["ledger"] = self.ledger if isinstance(written, str) else written
        if isinstance(alerts := raw.get("alerts"), dict):
            raw["alerts"] = alerts | {key: value for key, value in self.told().items() if key in self.addresses}
        if "sources" in raw and isinstance(raw["sources"], dict):
            expanded = expansion.value(known, "sources")
            assert isinstance(expanded, dict)
            raw["sources"] = expanded
            for name, urls in self.urls.items():
                expanded[name] = {**expanded[name], **urls}
        return raw

    def function_hashes(self, raw: Mapping[str, object], modules: Modules) -> dict[str, str]:
        """The hash of each function's text; one that cannot be found is a problem."""
        from tallybook.core import function_hash

        metrics = raw.get("metrics")
        found = {}
        for name, keys in metrics.items() if isinstance(metrics, dict) else ():
            spec = keys.get("function") if isinstance(keys, dict) else None
            if not isinstance(spec, str) or ":" not in spec.strip(":"):
                continue
            try:
                found[name] = function_hash(modules.function(spec.strip()))
                self.watch(spec.strip().rpartition(":")[0], modules)
            except (DeclarationError, OSError, ValueError) as error:
                message = error.message if isinstance(error, DeclarationError) else str(error)
                hint = error.hint if isinstance(error, DeclarationError) else ""
                at, seen = f"metrics.{name}.function", f'function = "{spec}"'
                self.problems.add(at, message, seen=seen, expected="a function (day, db)", hint=hint)
        return found

    def watch(self, module: str, modules: Modules) -> None:
        file = modules.file_of(module)
        if file:
            self.watched[str(file)] = cache.file_digest(file)


def _with_options(catalog: Catalog, kinds: Mapping[str, SourceKind]) -> Catalog:
    """With the options of a source that its numbers depend on in the definition of each of its metrics."""
    meant: dict[str | None, dict[str, Any]] = {}
    for name, kind in kinds.items():
        given = catalog.sources[name].options if name in catalog.sources else {}
        meant[name] = {o.name: given[o.name] for o in kind.options if o.in_definition and o.name in given}
    metrics = {
        name: msgspec.structs.replace(m, source_options=meant[m.source]) if meant.get(m.source) else m
        for name, m in catalog.metrics.items()
    }
    return msgspec.structs.replace(catalog, metrics=metrics)


def _without_urls(catalog: Catalog, hashes: Mapping[str, str]) -> Catalog:
    """As it is kept: no urls (nor the ledger's), but the hashes of the functions."""
    sources = {name: msgspec.structs.replace(s, url="", replica="") for name, s in catalog.sources.items()}
    metrics = {name: msgspec.structs.replace(m, function_hash=hashes.get(name)) for name, m in catalog.metrics.items()}
    book = msgspec.structs.replace(catalog.book, ledger="")
    alerts = msgspec.structs.replace(catalog.alerts, to=(), heartbeat="")
    return msgspec.structs.replace(catalog, book=book, alerts=alerts, sources=sources, metrics=metrics)
