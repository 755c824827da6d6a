"""The request for a page and the page: the types that the modules of pages take and return."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from tallybook.core import QueryError, did_you_mean
from tallybook.server.pages.facts import VersionFacts
from tallybook.server.readers import LOCAL, AnswerReader

if TYPE_CHECKING:
    from tallybook.book import Book
    from tallybook.core import Catalog, Metric, Result
    from tallybook.query import PeriodRows, Question

T = TypeVar("T")
MAX_FIELDS = 200
MAX_FIELD_LENGTH = 4_000


@dataclass(frozen=True, kw_only=True)
class PageRequest:
    """The request. `fields` are the fields of the query string, in order."""

    path: str
    """As it is written in addresses: `/accounts/50%25`."""
    fields: Sequence[tuple[str, str]] = ()
    theme: str = ""
    """light or dark, if the reader chose a theme."""
    origin: str = "http://127.0.0.1:8321"
    """Scheme and host, for links that people copy."""

    def one(self, name: str, otherwise: str = "") -> str:
        """The last value of a field."""
        return next((value for key, value in reversed(self.fields) if key == name), otherwise)

    def every(self, name: str) -> list[str]:
        """All values of a field that are not empty."""
        return [value for key, value in self.fields if key == name and value]

    def link(self, **changes: str | Sequence[str] | None) -> str:
        """The URL of this page with other fields. A field that is None is removed."""
        kept = [(key, value) for key, value in self.fields if key not in changes and value]
        return address(self.path, kept, **changes)


def address(path: str, kept: Sequence[tuple[str, str]] = (), /, **fields: str | Sequence[str] | None) -> str:
    """A path with fields. Fields that are None or empty are left out."""
    pairs = list(kept)
    for name, value in fields.items():
        texts = [value] if isinstance(value, str) else value or ()
        pairs += [(name.rstrip("_"), text) for text in texts if text]
    return f"{path}?{urlencode(pairs)}" if pairs else path


@dataclass(frozen=True, kw_only=True)
class Page:
    """A rendered page."""

    html: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class File:
    """A file to download."""

    content: bytes
    media: str
    name: str
    is_shown: bool = False


@dataclass(kw_only=True)
class PageWork:
    """The inputs of a page: the Book, the request, and the reader."""

    book: Book
    ask: PageRequest
    now: datetime
    reader: AnswerReader = LOCAL
    found: dict[str, Any] = field(default_factory=dict)
    """Values that several parts of the page need, computed once."""
    facts: VersionFacts | None = None
    """Facts that all pages of this version share. None if they may change without a new version."""

    def once(self, name: str, make: Callable[[], T], moment: int = 0) -> T:
        """The result of `make`, computed once per page. If the reader sees everything, it is computed once for all
        pages of a version and `moment`."""
        if name not in self.found:
            shared = self.facts if not self.reader.is_bound else None
            self.found[name] = shared.get(name, make, moment) if shared is not None else make()
        found: T = self.found[name]
        return found

    @property
    def catalog(self) -> Catalog:
        return self.book.project.catalog

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """The metrics that the reader may see, by name."""
        return {name: self.catalog.metrics[name] for name in self.reader.visible_metrics(self.catalog)}

    def metric(self, name: str) -> Metric:
        """A metric that the reader may see. Raises QueryError."""
        if name in self.metrics:
            return self.metrics[name]
        raise QueryError(f"there is no metric {name[:80]!r}", hint=did_you_mean(name, self.metrics), field="metrics")

    def answer(self, question: Question) -> Result:
        """The answer to a query, limited to what the reader may see. Raises like `Book.ask`, and Refusal."""
        return self.book.ask(self.reader.bounded(self.catalog, question))

    def period_rows(self, question: Question) -> PeriodRows:
        """The rows of the answer, without the reasons why values are missing. Raises as `answer`."""
        return self.book.answers.period_rows(self.reader.bounded(self.catalog, question))


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of several links, such as a scope. `more` is its number."""

    words: str
    link: str
    is_chosen: bool = False
    more: str = ""
