"""Backend metrics done right: declare a metric once, collect it daily, read it right at every scope.

    book = tallybook.open("folder with tallybook.toml")
    book.run()
    book.query("revenue", scope="month", by=["plan"]).to_pandas()

Everything heavy is imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tallybook.book import Book, open_book as open
    from tallybook.client import Client
    from tallybook.core import (
        DeclarationError,
        EventsLost,
        Period,
        QueryError,
        Refused,
        Result,
        SourceError,
        TallybookError,
        metric,
        sign,
    )

_PLACES = {
    "open": ("tallybook.book", "open_book"),
    "Book": ("tallybook.book", "Book"),
    "Client": ("tallybook.client.application", "Client"),
    "EventsLost": ("tallybook.core.errors", "EventsLost"),
    "metric": ("tallybook.core.functions", "metric"),
    "sign": ("tallybook.core.signed_identity", "sign"),
    "Period": ("tallybook.core.calendar", "Period"),
    "Result": ("tallybook.core.result.result", "Result"),
    "TallybookError": ("tallybook.core.errors", "TallybookError"),
    "DeclarationError": ("tallybook.core.errors", "DeclarationError"),
    "QueryError": ("tallybook.core.errors", "QueryError"),
    "Refused": ("tallybook.core.errors", "Refused"),
    "SourceError": ("tallybook.core.errors", "SourceError"),
}

__all__ = [
    "Book",
    "Client",
    "DeclarationError",
    "EventsLost",
    "Period",
    "QueryError",
    "Refused",
    "Result",
    "SourceError",
    "TallybookError",
    "__version__",
    "metric",
    "open",
    "sign",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'tallybook' has no attribute {name!r}")
    module, attribute = _PLACES[name]
    return getattr(importlib.import_module(module), attribute)
