"""Which versions are kept, which files are deleted, and which are folded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from tallybook.core import ONE_DAY, day_of, end_of, next_period
from tallybook.storage.drafts import Unit
from tallybook.storage.ledger import PointsFile

STRAY_HOURS = 24.0
"""So old is a points file without a version when nobody can be about to commit it."""


LOOSE_FILES = 100
"""Files that no kept version needs, above which a run deletes them by itself."""


FOLDABLE_FILES = 12
"""Months of closed years, from which on a run folds them by itself."""


GRACE = timedelta(hours=1)
"""A file that left the current version is kept so long, whatever `keep_versions` says: somebody may be reading it."""


def kept_versions(versions: Sequence[tuple[int, datetime]], *, now: datetime, keep_days: int, zone: str) -> list[int]:
    """The versions that `--as-of` can ask for: each that was current in the last `keep_days` days, before that
    the one at the end of each month of the book's zone; always the current one."""
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
