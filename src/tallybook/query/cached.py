"""A cache of answers to questions that are repeated at the same version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from tallybook.core import Result

MAX_ANSWERS = 64
"""Maximum number of answers. A full cache is cleared."""


class AnswerCache:
    """Answers by question. Thread-safe: each operation is a single step on a dict.

    `epoch` changes when answers of old versions may have changed. An answer computed in an earlier epoch is not
    kept. If the clock is set back, answers from later instants are computed again, because they may count days that
    have not ended."""

    def __init__(self) -> None:
        self._known: dict[Any, tuple[datetime, Result]] = {}
        self.epoch = object()

    def get(self, key: Any, now: datetime) -> Result | None:
        asked, answer = self._known.get((self.epoch, key), (now, None))
        return answer if asked <= now else None

    def keep(self, key: Any, answer: Result, *, asked: datetime, epoch: object) -> None:
        """Store an answer that was computed in `epoch`. The question was asked at the instant `asked`."""
        if len(self._known) >= MAX_ANSWERS:
            self._known = {}
        self._known[(epoch, key)] = asked, answer

    def clear(self) -> None:
        self.epoch = object()
        self._known = {}
