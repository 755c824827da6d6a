"""Files that are written for a commit and are not part of the book yet."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from tallybook.core import Busy
from tallybook.storage.ledger import Commit, Conflict, Lease, Ledger, PointsFile

Unit = tuple[str, str, date, date]
"""(kind, metric or '', first day, last day): the content of one file."""


class Drafts:
    """Files written for a commit, each by its unit and by the files that it replaces."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._built: dict[tuple[Unit, tuple[int, ...]], PointsFile | None] = {}
        self._named: list[PointsFile] = []

    def has(self, unit: Unit, current: Sequence[PointsFile]) -> bool:
        return (unit, tuple(f.id for f in current)) in self._built

    def get(self, unit: Unit, current: Sequence[PointsFile]) -> PointsFile | None:
        return self._built[(unit, tuple(f.id for f in current))]

    def put(self, unit: Unit, current: Sequence[PointsFile], file: PointsFile | None) -> None:
        """Record a file; None if nothing changes."""
        self._built[(unit, tuple(f.id for f in current))] = file

    def commit(self, base: int, change: Commit, *, lease: Lease | None, run: int | None, now: datetime) -> int | None:
        """Commit the change. Returns the new version, or None if another process committed first."""
        self._named = [*change.add, *(file for file in change.rewritten.values() if file is not None)]
        try:
            return self._ledger.commit(base, change, lease=lease, run=run, now=now)
        except (Conflict, Busy) as lost:
            self._named = []
            if isinstance(lost, Conflict):
                return None
            raise

    def unused(self) -> list[PointsFile]:
        """The files that are certainly not part of the book. Excludes files of a failed commit that may have
        succeeded."""
        return [file for file in self._built.values() if file is not None and file not in self._named]


def replace_files(change: Commit, file: PointsFile | None, current: Sequence[PointsFile]) -> None:
    if file is None:
        return
    change.remove += [f.id for f in current]
    if file.rows:
        change.add.append(file)
