"""A cache of answers, for questions that are asked again at the same version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from tallybook.core import Result

MAX_ANSWERS = 64
"""A cache that is full begins again empty."""


class AnswerCache:
    """Answers by their question. Safe in several threads: each operation is one step of a dict.

    `epoch` changes when answers of old versions may be others than before. An answer that was computed in an earlier
    epoch is not kept. Under a clock that was set back, answers from later instants are computed again: days that they
    count may not have ended."""

    def __init__(self) -> None:
        self._known: dict[Any, tuple[datetime, Result]] = {}
        self.epoch = object()

    def get(self, key: Any, now: datetime) -> Result | None:
        asked, answer = self._known.get((self.epoch, key), (now, None))
        return answer if asked <= now else None

    def keep(self, key: Any, answer: Result, *, asked: datetime, epoch: object) -> None:
        """Keep an answer that was computed in `epoch`; the question was asked at the instant `asked`."""
        if len(self._known) >= MAX_ANSWERS:
            self._known = {}
        self._known[(epoch, key)] = asked, answer

    def clear(self) -> None:
        self.epoch = object()
        self._known = {}
