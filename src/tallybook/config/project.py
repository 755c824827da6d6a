"""Loads a project: tallybook.toml, .env, metrics/ and the environment become a `Project`.

    project = load(Path("."), os.environ)
    project.catalog.metrics["revenue"]

Every command begins here, so expensive work (parsing SQL, importing the user's Python) is done only after a change.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tallybook.config.reading import ProjectReading
from tallybook.config.urls import dialect_of, masked, masked_url, resolved, secrets_of, session_options, wrong_url
from tallybook.core import (
    APPLY,
    Catalog,
    DeclarationError,
    Metric,
    Problem,
    Problems,
    SourceSettings,
    did_you_mean,
    scheme_of,
)
from tallybook.storage import IN_LEDGER, BookLocation

if TYPE_CHECKING:
    from tallybook.config.modules import Modules
    from tallybook.core import Function


@dataclass(frozen=True, kw_only=True, repr=False)
class Project:
    """The catalog of a project and its folder. URLs of sources contain passwords: show them with `masked_url`."""

    folder: Path
    catalog: Catalog
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Texts that must not be shown, with their replacements; see `mask`."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """The environment and .env."""

    @property
    def store_folder(self) -> Path:
        """The folder of the book, if it is stored in a folder."""
        return self.folder / self.catalog.book.store

    @property
    def place(self) -> BookLocation:
        """The location of the book. It may contain the password of the ledger."""
        book = self.catalog.book
        return BookLocation(
            folder=None if book.store == IN_LEDGER else self.store_folder,
            ledger=book.ledger,
            schema=book.schema,
            access=book.access,
        )

    @functools.cached_property
    def modules(self) -> Modules:
        """The user's Python modules, imported on first use."""
        from tallybook.config.modules import Modules

        return Modules(self.folder)

    def function(self, metric: Metric) -> Function:
        """The function of a Python metric. Imports the user's module. Raises DeclarationError."""
        if metric.function is None:
            raise DeclarationError(f"metric {metric.name!r} is not a function")
        return self.modules.function(metric.function)

    def __repr__(self) -> str:
        return f"Project({str(self.folder)!r}, {len(self.catalog.metrics)} metrics)"


def load(folder: Path, env: Mapping[str, str], *, instead: Mapping[str, str] | None = None) -> Project:
    """Load the project in `folder`, with the variables of `env`; its .env file supplies variables that `env` lacks.

    `instead`: URLs of other databases by source, perhaps of another kind. Metrics are then read in that database's
    SQL; the settings `fresh` and `changed`, the location of the book and [alerts] are ignored. Raises one
    DeclarationError with every problem and without secrets."""
    reading = ProjectReading(folder=_readable(Path(folder).absolute()), instead=instead or {})
    try:
        catalog = reading.read(env)
    except RecursionError:
        raise DeclarationError("tallybook.toml is nested too deeply") from None
    except DeclarationError as error:
        raise _without_secrets(reading.secrets, error) from None
    return Project(folder=reading.folder, catalog=catalog, secrets=reading.secrets, variables=reading.variables)


def _readable(folder: Path) -> Path:
    """Check the folder's name and return the folder. Raises DeclarationError if this process cannot decode the name."""
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        shown = str(folder).encode(errors="replace").decode()
        raise DeclarationError(
            f"the name of the folder {shown} is not UTF-8, or this process uses another encoding",
            hint="export PYTHONUTF8=1; or rename the folder",
        ) from None
    return folder


def mask(text: str, project: Project) -> str:
    """The text with every secret of the project replaced. For messages and logs, not for data."""
    return masked(text, project.secrets)


def source_override(project: Project, urls: Mapping[str, str]) -> Project:
    """The project with other databases for some sources, as in `--source app=URL`.

    Relative paths start at the current folder, as usual on a command line."""
    problems = Problems()
    sources = dict(project.catalog.sources)
    secrets = dict(project.secrets)
    for name, url in urls.items():
        secrets |= secrets_of(url, {})
        if name in sources:
            _check_override(sources[name], url, project.variables, problems)
            sources[name] = msgspec.structs.replace(sources[name], url=resolved(url, Path.cwd()))
        else:
            _report_unknown_source(name, sources, problems)
    try:
        problems.raise_if_any("--source")
    except DeclarationError as error:
        raise _without_secrets(secrets, error) from None
    catalog = msgspec.structs.replace(project.catalog, sources=sources)
    return replace(project, catalog=catalog, secrets=secrets)


def _report_unknown_source(name: str, sources: Mapping[str, SourceSettings], problems: Problems) -> None:
    hint, expected = did_you_mean(name, sources), ", ".join(sources)
    problems.add(f"--source {name}", f"there is no source {name!r}", seen=name, expected=expected, hint=hint)


def _check_override(source: SourceSettings, url: str, variables: Mapping[str, str], problems: Problems) -> None:
    path = f"--source {source.name}"
    wrong = wrong_url(url)
    if wrong:
        problems.add(path, "the copy's url " + wrong["message"], seen=masked_url(url), expected=wrong["expected"])
    elif dialect_of(url) != dialect_of(source.url):
        message = "a copy must be the same kind of database, because the metrics use its SQL"
        problems.add(path, message, seen=masked_url(url), expected=f"{scheme_of(source.url)}://…")
    elif source.policies == APPLY and session_options(url, variables) != session_options(source.url, variables):
        message = "the copy's url has different session options, so its policies may show different rows"
        problems.add(path, message, seen=masked_url(url), expected="the options of the url in tallybook.toml")


def _without_secrets(secrets: Mapping[str, str], error: DeclarationError) -> DeclarationError:
    """The error with its secrets hidden."""

    def masked_problem(problem: Problem) -> Problem:
        return Problem(**{name: masked(text, secrets) for name, text in vars(problem).items()})

    problems = [masked_problem(problem) for problem in error.problems]
    return DeclarationError(masked(error.message, secrets), hint=masked(error.hint, secrets), problems=problems)
