"""When users and accounts were last seen: the time of their latest event, of any name.

Events under a linked id count for its user. Events in the future do not count, because a clock was wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tallybook.core import ACCOUNTS
from tallybook.ingest.reading import on_present_files, sql_path
from tallybook.ingest.seen_summaries import SeenSummaries, settled_files
from tallybook.query import seen_among
from tallybook.storage import REJECTED, EventFile, EventLedger, IdentityLinks, connect, stamp_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LINKS = "tallybook_seen_links"


@dataclass(frozen=True, kw_only=True)
class LastSeen:
    """Finds when users or accounts were last seen, up to `now`."""

    events: EventLedger
    kind: str
    now: datetime
    summaries: SeenSummaries | None = None
    """The last times in the files of earlier days, kept in the cache. None: all files are read."""

    def relation(self, engine: DuckDBPyConnection) -> str:
        """SQL with one row per seen id and its last time. The linked ids become a table of the engine.

        Raises OSError or BadFile if files were replaced meanwhile; see `on_present_files`."""
        files = [one for one in self.events.snapshot().files if one.event != REJECTED]
        if not files:
            return "SELECT CAST(NULL AS VARCHAR) AS id, CAST(NULL AS TIMESTAMPTZ) AS seen WHERE false"
        rows = " UNION ALL ".join(self._parts(engine, files))
        end = f"TIMESTAMPTZ '{stamp_of(self.now)[:26]}+00:00'"
        latest = f"SELECT id, max(seen) AS seen FROM ({rows}) WHERE id IS NOT NULL AND seen <= {end} GROUP BY id"
        links = [] if self.kind == ACCOUNTS else IdentityLinks(self.events.ledger).every()
        if not links:
            return latest
        engine.execute(f"CREATE OR REPLACE TEMP TABLE {LINKS} (alias VARCHAR, canonical VARCHAR)")
        listed = [[one.alias for one in links], [one.canonical for one in links]]
        engine.execute(f"INSERT INTO {LINKS} SELECT unnest(?), unnest(?)", listed)
        owner = "coalesce(l.canonical, r.id)"
        joined = f"({latest}) r LEFT JOIN {LINKS} l ON l.alias = r.id"
        return f"SELECT {owner} AS id, max(r.seen) AS seen FROM {joined} GROUP BY {owner}"

    def _parts(self, engine: DuckDBPyConnection, files: Sequence[EventFile]) -> list[str]:
        """SQL of the ids and times: the summary of earlier days, if there is one, and the rows of the other files."""
        settled, rest = settled_files(files, self.now)
        if self.summaries is None:
            return [self._rows(files)]
        summary = self.summaries.summary(engine, self.kind, settled, lambda: self._rows(settled))
        if summary is None:
            return [self._rows(files)]
        return [f"SELECT id, seen FROM read_parquet({summary})", *([self._rows(rest)] if rest else [])]

    def _rows(self, files: Sequence[EventFile]) -> str:
        """SQL of the ids and times in some files."""
        column = "account" if self.kind == ACCOUNTS else "user"
        paths = ", ".join(sql_path(self.events, one) for one in files)
        return f'SELECT "{column}" AS id, "time" AS seen FROM read_parquet([{paths}], union_by_name = true)'

    def of(self, ids: Sequence[str]) -> dict[str, str]:
        """When the given ids were last seen, as UTC stamps. Ids that no event names are left out."""
        return on_present_files(lambda: self._of(ids)) if ids else {}

    def _of(self, ids: Sequence[str]) -> dict[str, str]:
        with connect() as engine:
            return seen_among(engine, self.relation(engine), ids)
