"""A scheduler of another package that makes something else than files is named."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path, PurePosixPath

import pytest

from tallybook.core import SCHEDULERS, AdapterError, SchedulerKind
from tallybook.monitor import ScheduleFile, files_for
from tallybook.monitor.schedule.job import Job

JOB = Job(
    book="Shop",
    folder=Path("/app"),
    store="book",
    command=("tallybook",),
    at=time(3, 30),
    zone="UTC",
    today=date(2026, 1, 1),
    inside=PurePosixPath(),
)


@pytest.mark.parametrize(
    ("made", "seen"),
    [("text", "str"), ([("a", "b")], "list"), (ScheduleFile("a", "b"), "ScheduleFile"), (None, "NoneType")],
)
def test_what_is_not_a_tuple_of_files_is_refused(made: object, seen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Launchd:
        kind = SchedulerKind(name="launchd", title="launchd")

        def files(self, job: Job) -> object:
            return made

    monkeypatch.setitem(SCHEDULERS._classes, "launchd", Launchd)
    with pytest.raises(
        AdapterError, match=f"the adapter 'launchd' of tallybook.schedulers makes {seen} instead"
    ) as refused:
        files_for("launchd", JOB)
    assert "(ScheduleFile(name, text),)" in refused.value.hint
