"""Rows that a federated application keeps of other servers: people and posts that are not its own."""

from __future__ import annotations

from tallybook.collect import BOOL
from tallybook.draft.row_conditions import AsSql, RowFilter
from tallybook.draft.row_filters import is_flag
from tallybook.draft.seen import SeenColumn, SeenTable

_LOCAL, _REMOTE = frozenset(("local",)), frozenset(("remote", "federated"))
_FEDERATED = (("ap",), ("actor",), ("instance",), ("inbox",), ("outbox",), ("activitypub",), ("public", "key"))
"""Words of columns of rows that come from other servers, too."""


def local_flag(table: SeenTable) -> SeenColumn | None:
    """The flag that marks rows of this server, if the table also has rows of other servers."""
    if not any(set(c.words) >= set(named) for c in table.columns for named in _FEDERATED):
        return None
    flags = (c for c in table.columns if is_flag(c) and set(c.words) - {"is"} in (_LOCAL, *({w} for w in _REMOTE)))
    return next((c for c in flags if len(c.texts) > 1), None)


def without_remote(table: SeenTable, as_sql: AsSql, found: RowFilter) -> None:
    """Leave out the rows of other servers."""
    flag = local_flag(table)
    if flag is None:
        return
    local = set(flag.words) >= _LOCAL
    value = ("true" if local else "false") if flag.type.kind == BOOL else str(int(local))
    number = sum(bool(v) != local for v in flag.values)
    found.add(f"{as_sql(flag.name)} = {value}", f"{number} of {table.rows} sampled rows are of other servers")
