"""Descriptors and registry of sources.

A source is one file and one line of `REGISTRY`: the scheme of its URLs, and "module:Class". Other packages add the same
by entry points in the group `tallybook.sources`. The class has a descriptor, `kind`, which the rest of the program
reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import msgspec

from tallybook.core.adapters.registry import Option, Registry

_SCHEME = re.compile(r"([A-Za-z][\w.-]*)(\+[\w.-]+)?:")
Location = Literal["server", "file", "folder"]
USER_TABLE = r"[A-Za-z_]\w*"
UNTESTED = "its tests run its SQL on another engine, not on a database of this kind"
"""Why the sources of warehouses are experimental."""


class UrlRules(msgspec.Struct, frozen=True, kw_only=True):
    """How URLs of a scheme are read. Cached with the checked catalog, so that a query imports no adapter."""

    dialect: str
    location: Location = "server"
    parameters: tuple[str, ...] | None = None
    drivers: tuple[str, ...] = ()
    parameter_hints: dict[str, str] = {}
    session_parameter: str = ""
    session_variable: str = ""

    @property
    def names_path(self) -> bool:
        """Whether the URL names a file or folder of this machine; relative paths are below the folder of
        tallybook.toml."""
        return self.location != "server"


@dataclass(frozen=True, kw_only=True)
class SourceKind:
    """The descriptor of a source.

    Form of the URL: `location` is "file" or "folder" (`scheme:///path`) or "server" (`scheme://user@host/database`).
    `parameters`: the names allowed after `?`, or None where only the driver knows them. `parameter_hints`: replacements
    for other names. `drivers`: the `scheme+driver` that these `parameters` belong to."""

    name: str
    schemes: tuple[str, ...]
    """Its names in the registry; messages show the first."""
    dialect: str
    """sqlglot's name for its SQL."""
    title: str = ""
    """Its name for people: PostgreSQL."""
    location: Location = "server"
    example: str = ""
    """A URL to paste."""
    parameters: tuple[str, ...] | None = None
    drivers: tuple[str, ...] = ()
    parameter_hints: Mapping[str, str] = field(default_factory=dict)
    newer_parameter: Callable[[str], bool] = lambda name: False
    """Whether the installed driver supports a parameter that `parameters` lacks."""
    session_parameter: str = ""
    """The URL parameter that decides which rows a policy shows. `session_variable` is its environment variable."""
    session_variable: str = ""
    options: tuple[Option, ...] = ()
    """Its own keys of `[sources.NAME]`; `self.options` of the source has their values."""
    extra: str = ""
    """The extra of Tallybook that installs its driver: `pip install tallybook[extra]`."""
    package: str = ""
    """For an adapter of another package: the package to install."""
    experimental: str = ""
    """Why it is experimental; `check` shows the text. Empty: it is not."""
    scratch: str = ""
    """"module:Class" of a `Scratch` of metric_tests, in which `tallybook test` makes tables. Empty: not supported."""

    policies: bool = False
    """It has row-level policies that can be inspected: the key `policies` is allowed."""
    typeless_columns: bool = False
    """A column can contain values of any type, whatever its declared type."""
    money_as_integers: bool = False
    """Exact numbers are read as integers of the smallest unit of their declared scale."""
    booleans_are_numbers: bool = False
    """sum(flag) counts the true values."""
    impossible_dates: bool = False
    """A date column can contain impossible dates: 2026-02-30, 0000-00-00."""
    plain_name: str = USER_TABLE
    """A pattern of names that need no quotes."""

    def __post_init__(self) -> None:
        if self.location not in (known := get_args(Location)):
            raise ValueError(f"the location of {self.name} is {self.location!r}; it is one of {', '.join(known)}")

    @property
    def experimental_notice(self) -> str:
        """The sentence that `check` shows for an experimental source."""
        return f"{self.title or self.name} is experimental: {self.experimental}"

    @property
    def names_path(self) -> bool:
        """Whether its URLs name a file or folder of this machine."""
        return self.rules.names_path

    @property
    def rules(self) -> UrlRules:
        """How its URLs are read."""
        return UrlRules(
            dialect=self.dialect,
            location=self.location,
            parameters=self.parameters,
            drivers=self.drivers,
            parameter_hints=dict(self.parameter_hints),
            session_parameter=self.session_parameter,
            session_variable=self.session_variable,
        )

    @property
    def install(self) -> str:
        """The command that installs its driver."""
        return f"pip install 'tallybook[{self.extra}]'" if self.extra else f"pip install {self.package or 'tallybook'}"

    def option(self, name: str) -> Option | None:
        """The option with this name, or None."""
        return next((option for option in self.options if option.name == name), None)


def plain_value(value: Any) -> Any:
    """A TOML value as plain Python for the reader of an option; dates and times become text."""
    if isinstance(value, Mapping):
        return {str(key): plain_value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(inner) for inner in value]
    if isinstance(value, bool | int | str | float):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else float(value)


REGISTRY: Registry[SourceKind] = Registry(
    group="tallybook.sources",
    builtin={
        "sqlite": "tallybook.collect.sources.sqlite:SqliteSource",
        "postgresql": "tallybook.collect.sources.postgresql:PostgresqlSource",
        "postgres": "tallybook.collect.sources.postgresql:PostgresqlSource",
        "mysql": "tallybook.collect.sources.mysql:MysqlSource",
        "mariadb": "tallybook.collect.sources.mysql:MysqlSource",
        "duckdb": "tallybook.collect.sources.duckdb:DuckdbSource",
        "clickhouse": "tallybook.collect.sources.clickhouse:ClickhouseSource",
        "chdb": "tallybook.collect.sources.clickhouse:ChdbSource",
        "events": "tallybook.collect.sources.events:EventsSource",
        "entities": "tallybook.collect.sources.entities:EntitiesSource",
        "bigquery": "tallybook.collect.sources.bigquery:BigquerySource",
        "mssql": "tallybook.collect.sources.mssql:MssqlSource",
        "oracle": "tallybook.collect.sources.oracle:OracleSource",
        "redshift": "tallybook.collect.sources.redshift:RedshiftSource",
        "snowflake": "tallybook.collect.sources.snowflake:SnowflakeSource",
        "trino": "tallybook.collect.sources.trino:TrinoSource",
    },
    methods=("snapshot", "probe", "known_until", "close"),
)
"""Sources by the scheme of their URLs."""


def scheme_of(url: str) -> str:
    """The scheme of a URL: `postgresql` for postgresql+psycopg://…; empty without a scheme."""
    match = _SCHEME.match(url)
    return match[1].lower() if match else ""


def kind_of(url: str) -> SourceKind | None:
    """The descriptor of the source for a URL or a scheme, or None.

    Raises AdapterError if the adapter is registered but cannot be imported."""
    scheme = scheme_of(url) or url
    return REGISTRY.kind(scheme) if scheme in REGISTRY.builtin or scheme in REGISTRY.installed else None
