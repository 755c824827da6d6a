"""What every scheduler promises.

    pytest tests/conformance --adapter cron

`--adapter` also takes the name of a scheduler of an installed package. Without it the suite runs on all that are installed, and on
the example of docs/extending.md."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path, PurePosixPath

import pytest

from tallybook.cli import invoke
from tallybook.core import SCHEDULERS
from tallybook.monitor import ScheduleFile, files_for
from tallybook.monitor.schedule.job import Job, Variable
from tests.installed import installed

EXAMPLE, PACKAGE = "anacron", "tally_extras"
PLAIN = Job(
    book="Acme",
    folder=Path("/srv/acme"),
    store="book",
    command=("/opt/tallybook/bin/tallybook",),
    at=time(3, 30),
    zone="Europe/Berlin",
    today=date(2026, 3, 10),
    inside=PurePosixPath(),
    user="ann",
)
JOBS = {
    "plain": PLAIN,
    "of no user": replace(PLAIN, user=""),
    "at midnight": replace(PLAIN, at=time(0, 0), zone="Asia/Kathmandu"),
    "before midnight": replace(PLAIN, at=time(23, 59), zone="America/St_Johns"),
    "within quiet hours": replace(PLAIN, alerts_at=time(8, 0)),
    "with variables": replace(PLAIN, variables=(Variable("DATABASE_URL", False), Variable("TOKEN", True))),
    "with keys": replace(PLAIN, keys=(Variable("GOOGLE_TOKEN", True),), extras=("google", "postgresql")),
    "without a disk": replace(PLAIN, store="ledger", variables=(Variable("LEDGER_URL", False),)),
    "inside a repository": replace(PLAIN, inside=PurePosixPath("data/it's 100% $HOME"), metric_files=True),
    "of odd names": replace(
        PLAIN, folder=Path("/srv/it's 100% $HOME \\ metrics"), user="änn o'n", book="]]> & <Söhne>"
    ),
    "with packages": replace(PLAIN, packages=("tally-csv", "tally-extras"), metric_files=True),
    "on Linux in Windows": replace(PLAIN, wsl="Ubuntu 24"),
}
TOML = """
[book]
name = "Acme"
timezone = "Europe/Berlin"
start = "2026-03-01"
[sources.app]
url = "${DATABASE_URL}"
[metrics.signups]
table = "users"
time = "created_at"
measure = "count(*)"
"""
SECRET = "correct-horse-battery"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "scheduler" in metafunc.fixturenames:
        adapter = metafunc.config.getoption("--adapter", None)
        names = sorted({*SCHEDULERS.names(), EXAMPLE}) if adapter is None else [adapter]
        known = [name for name in names if name in SCHEDULERS or adapter is None]
        metafunc.parametrize("scheduler", known, indirect=True)


@pytest.fixture
def scheduler(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a scheduler. The example is found by the entry point of its package."""
    name: str = request.param
    if name in SCHEDULERS:
        yield name
        return
    monkeypatch.syspath_prepend(installed(PACKAGE))
    forget_installed(name)
    yield name
    monkeypatch.undo()
    forget_installed(name)


def forget_installed(name: str) -> None:
    """Let the registry look again for the adapters of other packages."""
    SCHEDULERS.__dict__.pop("installed", None)
    SCHEDULERS._classes.pop(name, None)


def without_marks(text: str) -> str:
    """The words of a text, without the signs of comments and line ends."""
    return " ".join(re.sub(r"(?m)^\s*(#|//|--|rem\b|<!--)", "", text).split())


def test_its_descriptor_has_its_name_and_a_title(scheduler: str) -> None:
    kind = SCHEDULERS.kind(scheduler)
    assert kind.name == scheduler
    assert kind.title.strip() == kind.title != ""


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_a_job_becomes_files_that_are_whole_and_have_names_of_their_own(scheduler: str, job: Job) -> None:
    files = files_for(scheduler, job)
    names = [file.name for file in files]
    assert files
    assert len(set(names)) == len(names)
    for file in files:
        assert file.name == Path(file.name).name, "a file name has no folder"
        assert file.name.startswith(job.slug), "two books of one machine do not share a file"
        assert file.text.endswith("\n")
        assert "None" not in file.text.split(), "what a job does not have is left out"
        assert "\r" not in file.text


def test_its_first_file_begins_with_what_it_does_and_how_to_install_it(scheduler: str) -> None:
    text = without_marks(files_for(scheduler, PLAIN)[0].text)
    assert "Tallybook collects the metrics of Acme every day at 03:30 in Europe/Berlin." in text


def test_the_run_is_started_with_its_command(scheduler: str) -> None:
    texts = "\n".join(file.text for file in files_for(scheduler, PLAIN))
    assert re.search(r"tallybook\b.*\brun\b.*--quiet", texts, re.DOTALL)


def test_the_same_job_gives_the_same_files(scheduler: str) -> None:
    assert files_for(scheduler, JOBS["with variables"]) == files_for(scheduler, JOBS["with variables"])


def test_names_of_several_lines_add_no_line_to_a_file(scheduler: str) -> None:
    job = replace(PLAIN, book="Acme\n*/5 * * * * touch /tmp/mine\r\n- run: touch /tmp/mine")
    for file in files_for(scheduler, job):
        assert not [line for line in file.text.splitlines() if line.lstrip().startswith(("*/5", "- run: touch"))]


def test_a_machine_that_shows_utc_gets_another_time_where_that_can_be_asked_for(scheduler: str) -> None:
    if SCHEDULERS.kind(scheduler).takes_utc:
        assert files_for(scheduler, replace(PLAIN, utc=True)) != files_for(scheduler, PLAIN)


@pytest.fixture
def acme(tmp_path: Path) -> Path:
    """A project that was never checked, with the URL of its database in `.env`."""
    folder = tmp_path / "it's 100% metrics"
    folder.mkdir()
    (folder / "tallybook.toml").write_text(TOML)
    (folder / ".env").write_text(f"DATABASE_URL=postgresql://reader:{SECRET}@db/app\n")
    return folder


def say(folder: Path, *argv: str) -> tuple[int, str]:
    said = io.StringIO()
    now = datetime(2026, 3, 10, 9, tzinfo=UTC)
    code = invoke(["schedule", *argv, "--project", str(folder)], now=lambda: now, stdout=said, stderr=said, env={})
    return code, said.getvalue()


def test_the_command_prints_the_files_that_it_writes_and_no_secret(scheduler: str, acme: Path, tmp_path: Path) -> None:
    code, printed = say(acme, scheduler)
    assert code == 0, printed
    out = tmp_path / "units"
    for _ in range(2):
        code, said = say(acme, scheduler, "--out", str(out))
        assert code == 0, said
        assert list(out.iterdir())
        for path in out.iterdir():
            assert path.read_text() in printed
            assert str(path) in said
    assert SECRET not in printed


def test_utc_is_refused_by_a_scheduler_that_does_not_support_it(scheduler: str, acme: Path) -> None:
    code, said = say(acme, scheduler, "--utc")
    if SCHEDULERS.kind(scheduler).takes_utc:
        assert (code, "UTC" in said) == (0, True)
        return
    assert code == 2
    assert "--utc applies to cron" in said
    assert "remove --utc" in said
    package = SCHEDULERS.distribution(scheduler)
    assert (f"of {scheduler} is correct without it" in said) == (package is None)
    assert package is None or f"{scheduler} of {package} does not support it" in said


def test_what_is_returned_is_a_tuple_of_files(scheduler: str) -> None:
    files = SCHEDULERS.adapter(scheduler)().files(PLAIN)
    assert isinstance(files, tuple)
    assert all(isinstance(file, ScheduleFile) for file in files)
