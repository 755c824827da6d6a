"""Row-level policies of a server. They hide rows from the user of a source, which the numbers would not show."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tallybook.core import APPLY, SourceError

if TYPE_CHECKING:
    from tallybook.collect.sources.base import Source


def check_policies(source: Source, text: str) -> None:
    """Raise SourceError if SQL reads a table whose rows are filtered, directly or through a view, unless `policies`
    allows it.

    For servers that cannot be set to report this as an error themselves."""
    if source.settings.policies == APPLY:
        return
    if ("policies",) not in source.remembered:
        source.remembered[("policies",)] = [table for table, filtered in source.policies() or [] if filtered]
    tables: list[str] = source.remembered[("policies",)]
    words = _words(source, text) if tables else set()
    for table in tables:
        if table.rpartition(".")[2].casefold() in words:
            raise rows_filtered(source.settings.name, f"a policy filters the rows of {table}")


def _words(source: Source, text: str) -> set[str]:
    """The words in the SQL and in the views that it names."""
    if ("views",) not in source.remembered:
        source.remembered[("views",)] = {name.casefold(): sql for name, sql in source.view_texts()}
    views: dict[str, str] = source.remembered[("views",)]
    found: set[str] = set()
    texts = [text]
    while texts:
        new = {word.casefold() for word in re.findall(r"\w+", texts.pop())} - found
        found |= new
        texts += [views[word] for word in new if word in views]
    return found


def rows_filtered(source: str, reason: str) -> SourceError:
    """The error about rows hidden by a policy, with both ways to fix it."""
    return SourceError(
        f"source {source!r}: {reason}",
        hint="let the user of the url see all rows (PostgreSQL: ALTER ROLE … BYPASSRLS), "
        "or, where the rows that it sees are "
        f'those to be counted:\n[sources.{source}]\npolicies = "apply"',
    )
