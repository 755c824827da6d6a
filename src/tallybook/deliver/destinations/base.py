"""The base classes of destinations, and what passes between a delivery and its destination.

A format that is written as a whole derives from `FileDestination` and has `kind` and `write`: deliveries, `export` and
`query` come from here. Other destinations derive from `Destination` and have `bring_up_to_date`."""

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

from tallybook.core import DELIVERED, UP_TO_DATE, Delivery, DestinationError, DestinationKind, OptionProblem, Result
from tallybook.deliver.destinations.registry import refuse_while_open, replacing

LEFTOVER_SECONDS = 600.0
"""A temporary file of this age belongs to a process that was killed."""


@dataclass(frozen=True, kw_only=True)
class OutputSettings:
    """How a result is written. `options` has a value for every option of the kind."""

    created: datetime | None = None
    """For formats with a place for it."""
    layout: str = "columns"
    options: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    """Where the file will be; for messages."""


@dataclass(frozen=True, kw_only=True)
class DeliveryMode:
    """`force`: also what is up to date. `dry_run`: report what would be written, and write nothing. `verify`: read back
    what was delivered and report where it differs."""

    force: bool = False
    dry_run: bool = False
    verify: bool = False

    @property
    def writes(self) -> bool:
        return not (self.dry_run or self.verify)


@dataclass(frozen=True, kw_only=True)
class Record:
    """Of a destination that keeps the periods that left the window: `result` is the answer from the first period that
    it may lack, `since` the first period of the window. `is_known`: it lacks nothing that is not in `result`."""

    result: Result
    since: date
    is_known: bool


@dataclass(frozen=True, kw_only=True)
class DeliveryTask:
    """One delivery to make: the answer, and all that a destination needs to put it in its place."""

    delivery: Delivery
    options: Mapping[str, Any]
    """A value for every option of the kind."""
    answer: Callable[[], Result]
    """Returns the answer to the question as it is declared."""
    record: Record | None
    """Where `keeps_periods`."""
    previous: Callable[[], Result | None]
    """Returns the answer that was delivered last, as far back as `record`; None where nobody knows it."""
    path: Path
    """Of a file."""
    book: str
    today: date
    created: datetime
    mode: DeliveryMode
    variables: Mapping[str, str]
    """The environment, with the credentials of services."""
    services: dict[str, Any]
    """Open connections by their address. All deliveries of a run share them, and the pace of one."""

    @property
    def result(self) -> Result:
        """The answer, as far back as the destination may lack it."""
        return self.answer() if self.record is None else self.record.result


@dataclass(kw_only=True)
class DeliveryOutcome:
    """What a destination did, or would do. `changes` are those of cells, where it can list them."""

    status: str = DELIVERED
    rows: int = 0
    place: str = ""
    """Where it is now, if people moved it."""
    hint: str = ""
    changes: list[dict[str, Any]] = field(default_factory=list)


class Destination:
    """Puts results in their place: files, or documents of a service. Made by calling its class without arguments."""

    kind: ClassVar[DestinationKind]

    def problems(self, delivery: Delivery, given: Iterable[str]) -> Iterable[OptionProblem]:
        """What is wrong with a delivery beside the values of single keys; `given` are the keys in the file."""
        return ()

    def keeps_periods(self, delivery: Delivery) -> bool:
        """Whether periods that left the window of `last` stay in its place, so that a pause could leave holes."""
        return False

    def is_there(self, path: Path) -> bool:
        """Whether the place of a delivery still exists, as far as this can be known without asking a service."""
        return True

    def bring_up_to_date(self, task: DeliveryTask) -> DeliveryOutcome:
        """Make the place say what the answer says; safe to call again.

        Raises DestinationError; what was written until then is whole, and the next delivery goes on."""
        raise NotImplementedError


class FileDestination(Destination):
    """A destination that writes files. A subclass has `write`; one that edits files in place also has `content`."""

    def write(self, result: Result, file: BinaryIO, settings: OutputSettings) -> None:
        """Write a result to an open file.

        The same result and settings give the same bytes: no clock in here. Every text stays text, null is not zero.
        Raises DestinationError for what does not fit."""
        raise NotImplementedError

    def content(self, task: DeliveryTask, there: bytes | None) -> bytes | None:
        """The new content of the file of a delivery, whose content is now `there`; None where it is up to date."""
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
        """Put a result at `path`, in place of what was there; readers see the old file or the new one, never a part.

        Raises DestinationError, and then nothing at `path` has changed."""
        settings = OutputSettings(created=created, options=self.kind.with_defaults(options or {}), path=path)
        with replacing(path) as file:
            self.write(result, file, settings)

    def is_there(self, path: Path) -> bool:
        return path.exists()

    def bring_up_to_date(self, task: DeliveryTask) -> DeliveryOutcome:
        """Read what is there, make what shall be there, replace it in one step."""
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
    """What tells one state of a file from another; None where there is none."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if path.is_dir():
        raise DestinationError(f"cannot write {path}: it is a folder", hint="name a file in it")
    return found.st_ino, found.st_size, found.st_mtime_ns


def _sweep(path: Path) -> None:
    """Take away what a killed delivery left beside the file."""
    target = Path(os.path.realpath(path))
    with suppress(OSError):
        for left in target.parent.glob(f".{_literal(target.name)}.*.tmp"):
            if time.time() - left.stat().st_mtime > LEFTOVER_SECONDS:
                left.unlink()


def _literal(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
