"""Handles unreadable points files: the days they contain, and how to collect these again without the old file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

import msgspec

from tallybook.core import ADDITIVE, StoredDefinition, days, json_decoder
from tallybook.storage.ledger import Covered, PointsFile, VersionSnapshot

if TYPE_CHECKING:
    from tallybook.storage.files import BadFile

Days = dict[tuple[str, str], list[date]]
"""{(metric, definition): covered days}."""


def days_in(known: VersionSnapshot, file: PointsFile) -> Days:
    """The covered days whose points are in a file of the current version. `known` must contain every metric."""
    found: Days = {}
    for (metric, definition), stretches in known.coverage.items():
        if file.metric in ("", metric) and _needs(known, metric, definition, file.kind):
            own = [
                day
                for s in stretches
                if s.first <= file.last and s.last >= file.first
                for day in days(max(s.first, file.first), min(s.last, file.last))
            ]
            if own:
                found[(metric, definition)] = sorted(own)
    return found


def _needs(known: VersionSnapshot, metric: str, definition: str, kind: str) -> bool:
    """Whether a definition has points of a kind."""
    body = next((d.body for d in known.definitions.get(metric, ()) if d.id == definition), "")
    if kind == ADDITIVE or not body:
        return True
    try:
        return any(slot.shape == kind for slot in json_decoder(StoredDefinition).decode(body).measure.slots)
    except msgspec.MsgspecError:
        return True


def span(known: VersionSnapshot, file: PointsFile, last_closed: date | None) -> tuple[date, date]:
    """The first and last day to collect again to replace a file. Only covered days that are over count."""
    covered = [day for own in days_in(known, file).values() for day in own] or [file.first, file.last]
    last = max(covered)
    return min(covered), last if last_closed is None else min(last, last_closed)


def recovery_hint(known: VersionSnapshot, file: PointsFile, last_closed: date | None) -> str:
    """The remedy for a file that cannot be read, with lines to paste."""
    if file.id not in {one.id for one in known.files}:
        return (
            "today's answers do not need it, --as-of before it was replaced does: restore it from a backup, or "
            "delete it: without it only these old answers are lost"
        )
    first, last = span(known, file, last_closed)
    if last < first:
        return f"restore it from a backup; or, when {first} is over: tallybook run --from {first} --to {first}"
    return (
        "restore it from a backup; or collect its days again, without the old file: tallybook run --from "
        f"{first} --to {last}"
        " (days that cannot be collected again become gaps, and how values changed is unknown)"
    )


def uncovered(known: VersionSnapshot, lost: Iterable[PointsFile], collected: Sequence[Covered]) -> list[Covered]:
    """The days that lose their coverage with these files, because they are not collected now."""
    fresh: dict[tuple[str, str], set[date]] = {}
    for one in collected:
        known_now = fresh.setdefault((one.metric, one.definition), set())
        known_now.update(day for first, last in one.stretches for day in days(first, last))
    gone: dict[tuple[str, str], set[date]] = {}
    for file in lost:
        for own, covered in days_in(known, file).items():
            gone.setdefault(own, set()).update(set(covered) - fresh.get(own, set()))
    return [Covered(metric=m, definition=d, days=sorted(left)) for (m, d), left in sorted(gone.items()) if left]


class Losses:
    """The unreadable files in a run. Files whose days are collected again are given up (`files`). The others are errors
    of the metrics that need them."""

    def __init__(
        self, current: Sequence[PointsFile], problems: Callable[[Sequence[PointsFile]], Mapping[str, BadFile]]
    ) -> None:
        self.files: list[PointsFile] = []
        self._current, self._problems = current, problems
        self._seen: dict[str, BadFile | None] = {}
        self._days: dict[str, Days] = {}

    def give_up(self, known: VersionSnapshot, first: date, last: date, keys: Sequence[str], last_closed: date) -> None:
        """Give up the unreadable files whose covered days lie in a range; with `keys`, only files of these metrics.

        `known` must contain every metric."""
        there = [f for f in self._current if f.last >= first and f.first <= last and (not keys or f.metric in keys)]
        for file in there:
            begin, end = span(known, file, last_closed)
            if begin >= first and end <= last and self._bad(there, file) is not None:
                self.files.append(file)
                self._days[file.path] = days_in(known, file)

    def check(self, key: str, wanted: Iterable[date]) -> None:
        """Raise BadFile if days of a metric are in an unreadable file that is not given up."""
        chosen = set(wanted)
        months = {(day.year, day.month) for day in chosen}
        given_up = {file.path for file in self.files}
        there = [
            file
            for file in self._current
            if file.metric in ("", key)
            and file.path not in given_up
            and any(_contains(file, *month) for month in months)
        ]
        for file in there:
            if (bad := self._bad(there, file)) is not None:
                raise bad

    def _bad(self, several: Sequence[PointsFile], file: PointsFile) -> BadFile | None:
        """The error of one unreadable file; None if it is readable. Unchecked files in `several` are checked
        together."""
        if file.path not in self._seen:
            fresh = [one for one in several if one.path not in self._seen]
            found = self._problems(fresh)
            self._seen |= {one.path: found.get(one.path) for one in fresh}
        return self._seen[file.path]

    def touches(self, key: str, day: date) -> bool:
        """Whether the earlier values of a day are lost, so that its revisions are unknown."""
        return any(file.metric in ("", key) and file.first <= day <= file.last for file in self.files)

    def before(self) -> Days:
        """The covered days in the files that were given up."""
        found: dict[tuple[str, str], set[date]] = {}
        for covered in self._days.values():
            for own, days_ in covered.items():
                found.setdefault(own, set()).update(days_)
        return {own: sorted(days_) for own, days_ in found.items()}


def _contains(file: PointsFile, year: int, month: int) -> bool:
    """Whether a file, which contains whole months, contains this month."""
    return (file.first.year, file.first.month) <= (year, month) <= (file.last.year, file.last.month)
