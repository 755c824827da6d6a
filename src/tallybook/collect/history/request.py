"""The request for an import, as one value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict


@dataclass(frozen=True, kw_only=True)
class ImportRequest:
    """A file of finished daily values for a metric, where its days and values are, and whether to store them."""

    metric: str
    file: str
    day: str | None = None
    value: str | None = None
    dims: str | None = None
    tab: str | None = None
    dates: str | None = None
    decimal: str | None = None
    dry_run: bool = False
    check: bool = False
    skip: int = 0
    headings: int = 1
    across: bool = False
    ignore: Sequence[str] = ()


class ImportOptions(TypedDict, total=False):
    """The keyword arguments of `Book.import_history`: the fields of `ImportRequest` except `metric` and `file`."""

    day: str | None
    value: str | None
    dims: str | None
    tab: str | None
    dates: str | None
    decimal: str | None
    dry_run: bool
    check: bool
    skip: int
    headings: int
    across: bool
    ignore: Sequence[str]
