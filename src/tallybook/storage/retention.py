"""Decides which versions are kept, and which files are deleted or merged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from tallybook.core import ONE_DAY, day_of, end_of, next_period
from tallybook.storage.drafts import Unit
from tallybook.storage.ledger import PointsFile

STRAY_HOURS = 24.0
"""The age from which a points file without a version is a stray: no process can still be about to commit it."""


LOOSE_FILES = 100
"""Number of unneeded files above which a run deletes them automatically."""


FOLDABLE_FILES = 12
"""Number of monthly files of closed years from which a run merges them automatically."""


GRACE = timedelta(hours=1)
"""Time for which a file is kept after it left the current version, whatever `keep_versions` says, for active
readers."""


def kept_versions(versions: Sequence[tuple[int, datetime]], *, now: datetime, keep_days: int, zone: str) -> list[int]:
    """The versions available to `--as-of`.

    These are all versions that were current in the last `keep_days` days, before that the version at the end of each
    month in the book's zone, and always the current version."""
    oldest = now - timedelta(days=keep_days)
    kept = {version for version, at in versions if at >= oldest}
    kept.add(versions[-1][0])
    made = sorted((at, version) for version, at in versions if at < oldest)
    ends = {_end_of_month(at, zone) for at, version in made if version} | {oldest}
    for end in ends:
        kept.add(max((version for at, version in made if at < end), default=0))
    return sorted(kept)


def _end_of_month(instant: datetime, zone: str) -> datetime:
    first = day_of(instant, zone).replace(day=1)
    return end_of(next_period(first, "month") - ONE_DAY, zone)


def foldable_files(files: Sequence[PointsFile], today: date) -> list[tuple[Unit, list[PointsFile]]]:
    groups: dict[Unit, list[PointsFile]] = {}
    for file in files:
        year = file.first.year
        if year < today.year and file.last.year == year:
            groups.setdefault((file.kind, file.metric, date(year, 1, 1), date(year, 12, 31)), []).append(file)
    return [(unit, found) for unit, found in sorted(groups.items(), key=lambda g: g[0]) if len(found) > 1]
