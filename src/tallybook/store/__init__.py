"""Where a book is kept: a ledger in SQL that says what is so, and points in Parquet files.

`open_store(folder)` is the door; the rest of the house does not know which ledger stands behind it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tallybook.store.folder import Store


def open_store(folder: Path, *, create: bool = True) -> Store:
    """The book kept in `folder`. Raises BookError when it is not there and `create` is false."""
    from tallybook.store.folder import Store
    from tallybook.store.sqlite_ledger import SqliteLedger

    return Store(folder, SqliteLedger(folder / "ledger.sqlite", create=create))
