"""What a source says about itself, and which sources there are.

A source is one file and one line of `REGISTRY`; the entry points of `tallybook.sources` of other packages are lines like these: the
scheme of a URL, and "module:Class". The class has a descriptor, `kind`, which the rest of the program reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from tallybook.core.adapters.registry import Option, Registry

_SCHEME = re.compile(r"([A-Za-z][\w.-]*)(\+[\w.-]+)?:")
Location = Literal["server", "file", "folder"]
USER_TABLE = r"[A-Za-z_]\w*"
UNTESTED = "no database of this kind was available to its tests; they execute its SQL on another engine"
"""Why the sources of warehouses are experimental."""


class UrlRules(msgspec.Struct, frozen=True, kw_only=True):
    """How URLs of a scheme are read. Kept with the checked catalog, so that a query imports no adapter."""

    dialect: str
    location: Location = "server"
    parameters: tuple[str, ...] | None = None
    drivers: tuple[str, ...] = ()
    parameter_hints: dict[str, str] = {}
    session_parameter: str = ""
    session_variable: str = ""

    @property
    def names_path(self) -> bool:
        """The URL names a file or folder of this machine: a relative one is below the folder of tallybook.toml."""
        return self.location != "server"


@dataclass(frozen=True, kw_only=True)
class SourceKind:
    """The descriptor of a source.

    What the URL is like: `location` "file" or "folder" (`scheme:///path`) or "server" (`scheme://user@host/database`);
    `parameters`: those after `?`, or None where only the driver knows them; `parameter_hints`: what to write instead of
    others; `drivers`: `scheme+driver` of which `parameters` are the parameters."""

    name: str
    schemes: tuple[str, ...]
    """Each is a name in the registry; the first is the one to show."""
    dialect: str
    """sqlglot's name for its SQL."""
    title: str = ""
    """As people write it: PostgreSQL."""
    location: Location = "server"
    example: str = ""
    """A URL, to be pasted."""
    parameters: tuple[str, ...] | None = None
    drivers: tuple[str, ...] = ()
    parameter_hints: Mapping[str, str] = field(default_factory=dict)
    newer_parameter: Callable[[str], bool] = lambda name: False
    """Whether the installed driver has a parameter that `parameters` lacks."""
    session_parameter: str = ""
    """The parameter that decides which rows a policy shows, and the environment variable behind it."""
    session_variable: str = ""
    options: tuple[Option, ...] = ()
    """Its own keys of `[sources.NAME]`; `self.options` of the source contains their values."""
    extra: str = ""
    """The extra of Tallybook that installs its driver: `pip install tallybook[extra]`."""
    package: str = ""
    """Of an adapter from elsewhere: the package to install."""
    experimental: str = ""
    """Why it is not known to work; `check` shows it."""
    scratch: str = ""
    """"module:Class" of a `trials.scratch.Scratch`, where `tallybook test` can make tables. Empty: it cannot."""

    policies: bool = False
    """It has policies on rows that can be switched off or looked at: the key `policies` is allowed."""
    typeless_columns: bool = False
    """A column contains values of any type, whatever was declared."""
    money_as_integers: bool = False
    """Exact numbers are read as integers of the smallest unit of their declared scale."""
    booleans_are_numbers: bool = False
    """sum(flag) counts the true ones."""
    impossible_dates: bool = False
    """A date column may contain days that no month has: 2026-02-30, 0000-00-00."""
    plain_name: str = USER_TABLE
    """A pattern of the names that need no quotes."""

    @property
    def experimental_in_words(self) -> str:
        return f"{self.title or self.name} is experimental: {self.experimental}"

    @property
    def names_path(self) -> bool:
        """Its URLs name a file or folder of this machine."""
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
        return next((option for option in self.options if option.name == name), None)


def plain(value: Any) -> Any:
    """A TOML value as an option's reader gets it: text, int, float, bool, list and dict; a date or time is text."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
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
        "bigquery": "tallybook.collect.sources.bigquery:BigquerySource",
        "mssql": "tallybook.collect.sources.mssql:MssqlSource",
        "oracle": "tallybook.collect.sources.oracle:OracleSource",
        "redshift": "tallybook.collect.sources.redshift:RedshiftSource",
        "snowflake": "tallybook.collect.sources.snowflake:SnowflakeSource",
        "trino": "tallybook.collect.sources.trino:TrinoSource",
    },
)
"""By the scheme of a URL."""


def scheme_of(url: str) -> str:
    """`postgresql` of postgresql+psycopg://…; empty when there is none."""
    found = _SCHEME.match(url)
    return found[1].lower() if found else ""


def kind_of(url: str) -> SourceKind | None:
    """The descriptor of the source that reads a URL, or of a scheme; None where there is no such source.

    Raises AdapterError when the adapter is registered and cannot be imported."""
    scheme = scheme_of(url) or url
    return REGISTRY.kind(scheme) if scheme in REGISTRY.builtin or scheme in REGISTRY.installed else None
