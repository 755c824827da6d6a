"""The base classes of destinations, and the values that a delivery passes to its destination.

A format that is written as a whole derives from `FileDestination` and defines `kind` and `write`; it then works for
deliveries, `export` and `query`. Other destinations derive from `Destination` and define `bring_up_to_date`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from tallybook.core import (
    DELIVERED,
    UP_TO_DATE,
    Catalog,
    Delivery,
    DestinationError,
    DestinationKind,
    OptionProblem,
    Result,
)
from tallybook.deliver.destinations.registry import refuse_while_open, replacing

LEFTOVER_SECONDS = 600.0
"""A temporary file of this age was left by a process that was killed."""


@dataclass(frozen=True, kw_only=True)
class OutputSettings:
    """Settings for writing a result. `options` has a value for every option of the kind."""

    created: datetime | None = None
    """The creation time to write, for formats that have one."""
    layout: str = "columns"
    options: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    """The final path of the file, for messages."""


@dataclass(frozen=True, kw_only=True)
class DeliveryMode:
    """How to deliver. `force`: also write targets that are up to date. `dry_run`: report changes and write nothing.
    `verify`: read back what was delivered and report differences."""

    force: bool = False
    dry_run: bool = False
    verify: bool = False
    since: date | None = None
    """The first day to deliver. It may be earlier than the days delivered so far."""

    @property
    def writes(self) -> bool:
        return not (self.dry_run or self.verify)


@dataclass(frozen=True, kw_only=True)
class Record:
    """The record of a destination that keeps periods after they leave the window. `result`: the answer from the first
    period that the destination may lack. `since`: the first period of the window. `is_known`: the destination lacks
    nothing else."""

    result: Result
    since: date
    is_known: bool


@dataclass(frozen=True, kw_only=True)
class DeliveryTask:
    """One delivery to make: the answer, and everything that a destination needs to write it."""

    delivery: Delivery
    options: Mapping[str, Any]
    """A value for every option of the kind."""
    answer: Callable[[], Result]
    """Returns the answer to the declared query."""
    record: Record | None
    """Set if the destination keeps periods."""
    previous: Callable[[], Result | None]
    """Returns the answer that was delivered last, for the range of `record`, or None if unknown."""
    path: Path
    """The path, for a file."""
    book: str
    today: date
    created: datetime
    mode: DeliveryMode
    variables: Mapping[str, str]
    """The environment variables, including credentials of services."""
    services: dict[str, Any]
    """Open connections by address. All deliveries of a run share them and their rate limit."""
    book_version: Callable[[], int] = lambda: 0
    """Returns the current version of the book. Other processes may have written since the answer was computed."""

    @property
    def result(self) -> Result:
        """The answer for all periods that the destination may lack."""
        return self.answer() if self.record is None else self.record.result


@dataclass(kw_only=True)
class DeliveryOutcome:
    """What a destination did, or would do. `changes` lists changed cells, if it can list them."""

    status: str = DELIVERED
    rows: int = 0
    place: str = ""
    """The new location, if people moved it."""
    hint: str = ""
    changes: list[dict[str, Any]] = field(default_factory=list)


class Destination:
    """Writes results to files or to documents of a service. Created without arguments."""

    kind: ClassVar[DestinationKind]

    def problems(self, delivery: Delivery, given: Iterable[str]) -> Iterable[OptionProblem]:
        """Problems of a delivery that involve several keys. `given`: the keys in the file."""
        return ()

    def problems_in(self, delivery: Delivery, catalog: Catalog) -> Iterable[OptionProblem]:
        """Problems of a delivery together with the other declarations, such as unknown metrics or entities."""
        return ()

    def claims(self, delivery: Delivery) -> Iterable[tuple[str, str]]:
        """(key, what it writes) for each thing that no second delivery may write."""
        return ()

    def completed(self, delivery: Delivery, catalog: Catalog) -> Delivery:
        """The delivery with everything that follows from its options, such as dimensions that it needs."""
        return delivery

    def keeps_periods(self, delivery: Delivery) -> bool:
        """Whether periods stay after they leave the window of `last`, so that a pause could leave holes."""
        return False

    def is_there(self, path: Path) -> bool:
        """Whether the target of a delivery still exists, as far as this is known without calling a service."""
        return True

    def bring_up_to_date(self, task: DeliveryTask) -> DeliveryOutcome:
        """Update the target to the answer. It is safe to call again.

        Raises DestinationError. Everything written until then is complete, and the next delivery continues from
        there."""
        raise NotImplementedError


class FileDestination(Destination):
    """A destination that writes files. A subclass defines `write`. If it edits existing files, it also defines
    `content`."""

    def write(self, result: Result, file: BinaryIO, settings: OutputSettings) -> None:
        """Write a result to an open file.

        The same result and settings give the same bytes, so it uses no clock. Every text stays text, and a null is not
        written as zero. Raises DestinationError for values that do not fit."""
        raise DestinationError(
            f"the destination {self.kind.name!r} has no method write(result, file, settings)",
            hint=f"write it in the class {type(self).__name__}: docs/extending.md",
        )

    def content(self, task: DeliveryTask, there: bytes | None) -> bytes | None:
        """The new content of a delivery's file, given its current content `there`. None if the file is up to date."""
        delivery, file = task.delivery, BytesIO()
        settings = OutputSettings(created=task.created, layout=delivery.layout, options=task.options, path=task.path)
        self.write(task.answer(), file, settings)
        return file.getvalue()

    def export(
        self,
        result: Result,
        path: Path,
        *,
        created: datetime | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a result to `path`. Readers see the old file or the new one, never a partial one.

        Raises DestinationError and then leaves `path` unchanged."""
        settings = OutputSettings(created=created, options=self.kind.with_defaults(options or {}), path=path)
        with replacing(path) as file:
            self.write(result, file, settings)

    def is_there(self, path: Path) -> bool:
        return path.exists()

    def bring_up_to_date(self, task: DeliveryTask) -> DeliveryOutcome:
        """Read the file, compute its new content, and replace it atomically."""
        path = task.path
        refuse_while_open(path)
        _sweep(path)
        seen = _seen(path)
        there = path.read_bytes() if seen else None
        made = self.content(task, there)
        rows = len(task.answer().data)
        if made is None or made == there:
            return DeliveryOutcome(status=UP_TO_DATE, rows=rows)
        with replacing(path) as file:
            file.write(made)
            refuse_while_open(path)
            if _seen(path) != seen:
                raise DestinationError(
                    f"{path} was changed by somebody while it was brought up to date", hint="tallybook deliver"
                )
        return DeliveryOutcome(rows=rows)


def _seen(path: Path) -> tuple[int, int, int] | None:
    """A value that identifies the state of a file. None if there is no file."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if path.is_dir():
        raise DestinationError(f"cannot write {path}: it is a folder", hint="name a file in it")
    return found.st_ino, found.st_size, found.st_mtime_ns


def _sweep(path: Path) -> None:
    """Delete temporary files that a killed delivery left beside the file."""
    target = Path(os.path.realpath(path))
    with suppress(OSError):
        for left in target.parent.glob(f".{_literal(target.name)}.*.tmp"):
            if time.time() - left.stat().st_mtime > LEFTOVER_SECONDS:
                left.unlink()


def _literal(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
