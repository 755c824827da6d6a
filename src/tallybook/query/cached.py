"""Answers that were given, for being asked again at the same version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tallybook.core import Result

REMEMBERED = 64


class Answers:
    """Safe in several threads: each operation is one step of a dict.

    `epoch` changes when answers of old versions may be others than before: what was computed in an earlier epoch is not
    kept."""

    def __init__(self) -> None:
        self._known: dict[Any, Result] = {}
        self.epoch = object()

    def get(self, asked: Any) -> Result | None:
        return self._known.get((self.epoch, asked))

    def keep(self, asked: Any, answer: Result, epoch: object) -> None:
        """Keep an answer that was computed in `epoch`."""
        if len(self._known) >= REMEMBERED:
            self._known = {}
        self._known[(epoch, asked)] = answer

    def clear(self) -> None:
        self.epoch = object()
        self._known = {}
