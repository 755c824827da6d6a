"""What every ledger promises, whatever stands behind it; and what points files promise on top of one, wherever they are.

A new ledger, or a new place for files, is one line in `ledgers.py`.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings, strategies as st

from tallybook.core.errors import BookError, Busy
from tallybook.core.points import SCHEMAS, ddl
from tallybook.storage.engines.duckdb import connect
from tallybook.storage.folder import Store
from tallybook.storage.ledger import (
    Cleaned,
    Commit,
    Conflict,
    Covered,
    Definition,
    Lease,
    Ledger,
    PointsFile,
    Revision,
    Stretch,
    kept_under,
)
from tallybook.storage.retention import kept_versions
from tallybook.storage.sqlite_ledger import SqliteLedger
from tests.ledgers import LEDGERS, STORES

Open = Callable[[], Ledger]
NOW = datetime(2024, 3, 1, 6, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
DAY = timedelta(days=1)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=LEDGERS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def open_ledger(kind: str, tmp_path: Path) -> Iterator[Open]:
    """Call it for the ledger of one book; called again, it is as another process would open it."""
    opened: list[Ledger] = []

    def open_() -> Ledger:
        opened.append(LEDGERS[kind](tmp_path / "book"))
        return opened[-1]

    yield open_
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(open_ledger: Open) -> Ledger:
    return open_ledger()


def file(path: str = "points/additive/2024-02-a.parquet", **more: Any) -> PointsFile:
    own = {
        "kind": "additive",
        "metric": "",
        "first": date(2024, 2, 1),
        "last": date(2024, 2, 29),
        "rows": 10,
        "bytes": 999,
    }
    return PointsFile(path=path, **{**own, **more})


def days(first: str, last: str) -> list[date]:
    start = date.fromisoformat(first)
    return [start + i * DAY for i in range((date.fromisoformat(last) - start).days + 1)]


def covered(metric: str, first: str, last: str, *, definition: str = "d1", instant: str | None = None) -> Covered:
    return Covered(metric=metric, definition=definition, days=days(first, last), instant=instant)


def stretch(first: str, last: str, instant: str | None = None) -> Stretch:
    return Stretch(date.fromisoformat(first), date.fromisoformat(last), instant)


def commit(ledger: Ledger, change: Commit | None = None, *, at: datetime = NOW, lease: Lease | None = None) -> int:
    return ledger.commit(ledger.version(), change or Commit(what="test"), lease=lease, run=None, now=at)


# ------------------------------------------------------------------------------------------------ versions


def test_a_new_book_is_at_version_0_and_empty(ledger: Ledger) -> None:
    found = ledger.snapshot()
    assert (found.version, found.files, found.coverage, found.definitions) == (0, (), {}, {})
    assert [version for version, _ in ledger.versions()] == [0]
    assert ledger.problems() == []


def test_a_commit_is_there_for_whoever_opens_the_book(open_ledger: Open) -> None:
    change = Commit(what="collect", add=[file()], covered=[covered("signups", "2024-02-01", "2024-02-03")])
    assert commit(open_ledger(), change) == 1
    found = open_ledger().snapshot()
    assert found.version == 1
    assert [replace(f, id=0) for f in found.files] == [file()]
    assert found.coverage == {("signups", "d1"): (stretch("2024-02-01", "2024-02-03"),)}


def test_an_old_version_holds_what_it_held(ledger: Ledger) -> None:
    commit(ledger, Commit(what="collect", add=[file("a")], covered=[covered("m", "2024-02-01", "2024-02-01")]))
    (a,) = ledger.snapshot().files
    commit(
        ledger,
        Commit(what="collect", add=[file("b")], remove=[a.id], covered=[covered("m", "2024-02-01", "2024-02-02")]),
    )
    commit(ledger, Commit(what="collect", remove=[ledger.snapshot().files[0].id]))
    seen = {v: [f.path for f in ledger.snapshot(version=v).files] for v in range(4)}
    assert seen == {0: [], 1: ["a"], 2: ["b"], 3: []}
    assert ledger.snapshot(version=0).coverage == {}
    assert ledger.snapshot(version=1).coverage == {("m", "d1"): (stretch("2024-02-01", "2024-02-01"),)}
    assert ledger.snapshot(version=2).coverage == {("m", "d1"): (stretch("2024-02-01", "2024-02-02"),)}


def test_who_comes_second_is_told_and_changes_nothing(open_ledger: Open) -> None:
    one, other = open_ledger(), open_ledger()
    base = other.version()
    commit(one, Commit(what="collect", add=[file("a")]))
    late = Commit(
        what="collect", add=[file("b")], covered=[covered("m", "2024-02-01", "2024-02-09")],
        revisions=[Revision(metric="m", definition="d1", day=date(2024, 2, 1), series="{}", old="1", new="2")],
        definitions=[Definition(metric="m", id="d1", declared="x", body="{}")],
    )  # fmt: skip
    with pytest.raises(Conflict):
        other.commit(base, late, lease=None, run=None, now=NOW)
    found = one.snapshot()
    assert ([f.path for f in found.files], found.coverage, found.definitions) == (["a"], {}, {})
    assert one.revisions() == []


def test_a_commit_is_whole_or_not_at_all(ledger: Ledger) -> None:
    commit(ledger, Commit(what="collect", add=[file("a")]))
    twice = Commit(what="collect", add=[file("b"), file("a")], covered=[covered("m", "2024-02-01", "2024-02-09")])
    with pytest.raises(BookError):
        commit(ledger, twice)
    assert ledger.version() == 1
    assert [f.path for f in ledger.snapshot().files] == ["a"]
    assert ledger.snapshot().coverage == {}
    assert commit(ledger) == 2


def test_a_file_that_left_can_not_be_taken_out_again(ledger: Ledger) -> None:
    commit(ledger, Commit(what="collect", add=[file("a")]))
    gone = ledger.snapshot().files[0].id
    commit(ledger, Commit(what="collect", remove=[gone]))
    with pytest.raises(Conflict):
        commit(ledger, Commit(what="collect", add=[file("b")], remove=[gone]))
    assert ledger.version() == 2
    assert ledger.snapshot().files == ()


def test_the_version_at_an_instant_is_the_one_that_was_current_just_before(ledger: Ledger) -> None:
    for hours in (0, 1, 2):
        commit(ledger, at=NOW + hours * HOUR)
    seen = [ledger.version_at(NOW + offset) for offset in (-SECOND, 0 * SECOND, SECOND, HOUR, HOUR + SECOND, 9 * HOUR)]
    assert seen == [0, 0, 1, 1, 2, 3]
    assert ledger.versions()[1:] == [(1, NOW), (2, NOW + HOUR), (3, NOW + 2 * HOUR)]


def test_many_who_commit_at_once_lose_nothing(open_ledger: Open) -> None:
    """Eight threads add a file and a day each, fifteen times: each look again when somebody was first."""

    def add(number: int) -> None:
        ledger = open_ledger()
        for turn in range(15):
            change = Commit(what="collect", add=[file(f"{number}-{turn}")])
            change.covered = [Covered(metric=f"m{number}", definition="d", days=[date(2024, 1, 1) + turn * DAY])]
            while True:
                base = ledger.snapshot(metrics=[])
                with suppress(Conflict):
                    ledger.commit(base.version, change, lease=None, run=None, now=NOW)
                    break
        ledger.close()

    together(8, add)
    found = open_ledger().snapshot()
    assert found.version == 120
    assert len({f.path for f in found.files}) == 120
    assert found.coverage == {(f"m{n}", "d"): (stretch("2024-01-01", "2024-01-15"),) for n in range(8)}


def test_a_reader_never_sees_half_a_commit(open_ledger: Open) -> None:
    """Each version has as many files as its number, and as many covered days."""
    stop, wrong, seen = threading.Event(), [], set()

    def read(_: int) -> None:
        ledger = open_ledger()
        while not (stop.is_set() and seen):
            found = ledger.snapshot()
            numbers = {
                found.version,
                len(found.files),
                sum((s.last - s.first).days + 1 for s in found.coverage.get(("m", "d"), ())),
            }
            seen.add(found.version)
            if len(numbers) > 1:
                wrong.append(found)
        ledger.close()

    def write(_: int) -> None:
        ledger = open_ledger()
        for turn in range(60):
            change = Commit(what="collect", add=[file(f"{turn}")])
            change.covered = [Covered(metric="m", definition="d", days=[date(2024, 1, 1) + turn * DAY])]
            commit(ledger, change)
        stop.set()
        ledger.close()

    together(3, lambda number: write(number) if number == 0 else read(number))
    assert wrong == []
    assert seen


def together(number: int, act: Callable[[int], None]) -> None:
    """Run `act(0)`, `act(1)`, … in threads that begin at the same moment."""
    barrier, failed = threading.Barrier(number), []

    def run(place: int) -> None:
        barrier.wait()
        try:
            act(place)
        except BaseException as error:  # noqa: BLE001  raised again in the thread of the test
            failed.append(error)

    threads = [threading.Thread(target=run, args=(place,)) for place in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


# ------------------------------------------------------------------------------------------------ coverage


def test_neighbouring_days_are_one_stretch_and_gaps_stay(ledger: Ledger) -> None:
    for first, last in (
        ("2023-12-30", "2024-01-01"),
        ("2024-02-27", "2024-03-02"),
        ("2024-01-02", "2024-01-02"),
        ("2024-03-04", "2024-03-04"),
    ):
        commit(ledger, Commit(what="collect", covered=[covered("m", first, last)]))
    assert ledger.snapshot().coverage == {
        ("m", "d1"): (
            stretch("2023-12-30", "2024-01-02"),
            stretch("2024-02-27", "2024-03-02"),
            stretch("2024-03-04", "2024-03-04"),
        )
    }


def test_coverage_is_kept_for_each_definition_and_asked_for_some_metrics(ledger: Ledger) -> None:
    change = Commit(what="collect")
    change.covered = [
        covered("a", "2024-02-01", "2024-02-02"),
        covered("a", "2024-02-03", "2024-02-03", definition="d2"),
        covered("b", "2024-02-01", "2024-02-01"),
    ]
    commit(ledger, change)
    assert set(ledger.snapshot(["a"]).coverage) == {("a", "d1"), ("a", "d2")}
    assert set(ledger.snapshot().coverage) == {("a", "d1"), ("a", "d2"), ("b", "d1")}
    assert ledger.snapshot([]).coverage == {}


def test_a_day_collected_again_stays_covered_since_the_first_time(ledger: Ledger) -> None:
    for _ in range(3):
        commit(ledger, Commit(what="collect", covered=[covered("m", "2024-02-01", "2024-02-02")]))
    for version in (1, 2, 3):
        assert ledger.snapshot(version=version).coverage == {("m", "d1"): (stretch("2024-02-01", "2024-02-02"),)}


def test_a_snapshot_seen_anew_does_not_change_when_the_past_saw_it(ledger: Ledger) -> None:
    for instant in ("2024-02-01T06:00:00Z", "2024-02-01T09:00:00Z"):
        commit(ledger, Commit(what="collect", covered=[covered("m", "2024-02-01", "2024-02-01", instant=instant)]))
    early, late = (ledger.snapshot(version=v).coverage[("m", "d1")] for v in (1, 2))
    assert early == (stretch("2024-02-01", "2024-02-01", "2024-02-01T06:00:00Z"),)
    assert late == (stretch("2024-02-01", "2024-02-01", "2024-02-01T09:00:00Z"),)


def test_days_seen_at_different_instants_are_told_apart(ledger: Ledger) -> None:
    change = Commit(what="collect")
    change.covered = [
        covered("m", "2024-02-01", "2024-02-01", instant="2024-02-02T01:00:00Z"),
        covered("m", "2024-02-02", "2024-02-02", instant="2024-02-03T01:00:00Z"),
    ]
    commit(ledger, change)
    assert [s.instant for s in ledger.snapshot().coverage[("m", "d1")]] == [
        "2024-02-02T01:00:00Z",
        "2024-02-03T01:00:00Z",
    ]


# --------------------------------------------------------------------------------- a ledger against a plain model


@dataclass
class Model:
    """What a ledger should hold, kept as plainly as can be: a whole copy for every version."""

    files: list[set[str]] = field(default_factory=lambda: [set()])
    days: list[dict[tuple[str, date], str | None]] = field(default_factory=lambda: [{}])


STEPS = st.lists(
    st.tuples(
        st.sets(st.integers(0, 5), max_size=3),
        st.lists(
            st.tuples(
                st.sampled_from("ab"),
                st.sets(st.integers(0, 9), min_size=1, max_size=6),
                st.sampled_from((None, "x", "y")),
            ),
            max_size=3,
        ),
    ),
    max_size=8,
)


@pytest.mark.parametrize("name", LEDGERS)
@given(steps=STEPS)
@settings(deadline=None)
def test_every_version_holds_what_a_plain_model_holds(
    name: str, steps: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("model")
    ledger, model = LEDGERS[name](folder), Model()
    try:
        for number, (places, several) in enumerate(steps, 1):
            files = ledger.snapshot().files
            removed = [files[place] for place in places if place < len(files)]
            change = Commit(what="collect", add=[file(f"{number}")], remove=[f.id for f in removed])
            day_by_day = dict(model.days[-1])
            for metric, offsets, instant in several:
                listed = [date(2024, 2, 25) + offset * DAY for offset in sorted(offsets)]
                change.covered.append(Covered(metric=metric, definition="d", days=listed, instant=instant))
                if len({m for m, _, _ in several}) == len(several):
                    day_by_day |= {(metric, day): instant for day in listed}
            if len({m for m, _, _ in several}) != len(several):
                continue  # one change says one thing of a metric
            commit(ledger, change)
            model.files.append((model.files[-1] - {f.path for f in removed}) | {f"{number}"})
            model.days.append(day_by_day)
        for version, (paths, covered_days) in enumerate(zip(model.files, model.days, strict=True)):
            found = ledger.snapshot(version=version)
            assert {f.path for f in found.files} == paths
            seen = {
                (metric, s.first + i * DAY): s.instant
                for (metric, _), several in found.coverage.items()
                for s in several
                for i in range((s.last - s.first).days + 1)
            }
            assert seen == covered_days
    finally:
        ledger.close()
        shutil.rmtree(folder)


# --------------------------------------------------------------------------------------------- definitions


def test_definitions_come_newest_used_first_and_keep_what_they_were_made_of(ledger: Ledger) -> None:
    def use(name: str, body: str, at: datetime) -> None:
        commit(
            ledger,
            Commit(what="collect", definitions=[Definition(metric="m", id=name, declared="x", body=body)]),
            at=at,
        )

    use("old", "1", NOW)
    use("new", "2", NOW + HOUR)
    assert [d.id for d in ledger.snapshot().definitions["m"]] == ["new", "old"]
    use("old", "3", NOW + 2 * HOUR)
    first = ledger.snapshot().definitions["m"][0]
    assert (first.id, first.body, first.created[:19]) == ("old", "1", "2024-03-01T06:00:00")
    assert ledger.snapshot(["other"]).definitions == {}


# -------------------------------------------------------------------------------------------------- leases


def test_a_job_has_one_holder(open_ledger: Open) -> None:
    one, other = open_ledger(), open_ledger()
    lease = one.acquire("collect", now=NOW, seconds=60)
    with pytest.raises(Busy, match=f"process {os.getpid()} on ") as told:
        other.acquire("collect", now=NOW + 30 * SECOND, seconds=60)
    assert "run again" in told.value.hint
    assert other.acquire("another job", now=NOW, seconds=60).job == "another job"
    assert sorted(other.leased(now=NOW)) == ["another job", "collect"]
    one.release(lease)
    assert other.leased(now=NOW) == ["another job"]
    assert other.acquire("collect", now=NOW, seconds=60).fence > lease.fence


def test_a_lease_can_be_prolonged_by_its_holder_only(open_ledger: Open) -> None:
    one, other = open_ledger(), open_ledger()
    lease = one.acquire("collect", now=NOW, seconds=60)
    assert one.renew(lease, now=NOW + 50 * SECOND, seconds=60)
    with pytest.raises(Busy):
        other.acquire("collect", now=NOW + 100 * SECOND, seconds=60)
    taken = other.acquire("collect", now=NOW + 111 * SECOND, seconds=60)
    assert not one.renew(lease, now=NOW + 112 * SECOND, seconds=60)
    one.release(lease)
    assert other.leased(now=NOW + 113 * SECOND) == ["collect"]
    assert other.renew(taken, now=NOW + 113 * SECOND, seconds=60)


def test_who_was_taken_over_can_not_commit(open_ledger: Open) -> None:
    one, other = open_ledger(), open_ledger()
    asleep = one.acquire("collect", now=NOW, seconds=60)
    awake = other.acquire("collect", now=NOW + 61 * SECOND, seconds=60)
    with pytest.raises(Busy, match="taken over"):
        commit(one, Commit(what="collect", add=[file()]), lease=asleep)
    assert one.version() == 0
    assert commit(other, Commit(what="collect", add=[file()]), lease=awake) == 1
    with pytest.raises(Busy, match="taken over"):
        commit(one, lease=asleep)


def test_alerts_are_kept_by_who_holds_the_lease_and_go_with_their_metric(open_ledger: Open) -> None:
    ledger = open_ledger()
    first = ledger.acquire("alerts", now=NOW, seconds=60)
    ledger.keep_alerts({"late a": (None, "1"), "value a": ("a", "2")}, (), lease=first)
    ledger.keep_alerts({"late a": (None, "3")}, (), lease=first)
    assert open_ledger().alerts() == {"late a": "3", "value a": "2"}
    later = NOW + timedelta(minutes=2)
    second = open_ledger().acquire("alerts", now=later, seconds=60)
    with pytest.raises(Busy):
        ledger.keep_alerts({"late a": (None, "4")}, (), lease=first)
    ledger.keep_alerts({}, ["late a"], lease=second)
    assert ledger.alerts() == {"value a": "2"}
    commit(ledger, Commit(what="forget", forgotten=["a"]))
    assert ledger.alerts() == {}


def test_by_how_much_each_run_revised_a_metric(ledger: Ledger) -> None:
    day, runs = date(2024, 2, 1), [ledger.start_run("collect", now=NOW) for _ in range(3)]
    for run, changes in zip(runs, [[("1", "9")], [("10", "12.5"), ("7", None), (None, "1e3")], []], strict=True):
        revised = [
            Revision(metric="m", definition="d1", day=day + timedelta(n), series="{}", old=old, new=new)
            for n, (old, new) in enumerate(changes)
        ]
        ledger.commit(ledger.version(), Commit(what="x", revisions=revised), lease=None, run=run, now=NOW)
    assert ledger.revised(runs[1]) == {("m", runs[1]): (1009.5, day + timedelta(2))}


def test_who_gave_its_lease_back_can_not_commit(ledger: Ledger) -> None:
    lease = ledger.acquire("collect", now=NOW, seconds=60)
    ledger.release(lease)
    with pytest.raises(Busy):
        commit(ledger, lease=lease)


def test_an_expired_lease_that_nobody_took_still_holds(ledger: Ledger) -> None:
    """A run that was slow to say so is not undone for it."""
    lease = ledger.acquire("collect", now=NOW, seconds=60)
    assert commit(ledger, lease=lease, at=NOW + HOUR) == 1


def test_of_many_who_want_a_job_one_gets_it(open_ledger: Open) -> None:
    for turn in range(5):
        got: list[Lease] = []

        def take(_: int, at: datetime = NOW + turn * HOUR, got: list[Lease] = got) -> None:
            ledger = open_ledger()
            with suppress(Busy):
                got.append(ledger.acquire("collect", now=at, seconds=60))
            ledger.close()

        together(6, take)
        assert len(got) == 1


HOLDER = """
import sys, time
from datetime import datetime
from pathlib import Path
from tests.ledgers import LEDGERS
LEDGERS[sys.argv[1]](Path(sys.argv[2])).acquire("collect", now=datetime.fromisoformat(sys.argv[3]), seconds=60)
print("held", flush=True)
time.sleep(600)
"""


def test_the_lease_of_a_process_that_died_is_taken_at_once(open_ledger: Open, kind: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, kind, str(tmp_path / "book"), NOW.isoformat()]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        ledger = open_ledger()
        with pytest.raises(Busy, match=f"process {holder.pid} on "):
            ledger.acquire("collect", now=NOW + SECOND, seconds=60)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert ledger.leased(now=NOW + SECOND) == []
    assert ledger.acquire("collect", now=NOW + SECOND, seconds=60).fence == 2


def test_the_lease_of_another_host_holds_until_it_expires(open_ledger: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a process of another host is alive cannot be seen from here."""
    ledger = open_ledger()
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    monkeypatch.setattr("os.getpid", lambda: 2**22 + 1)
    ledger.acquire("collect", now=NOW, seconds=60)
    monkeypatch.undo()
    with pytest.raises(Busy, match="on elsewhere"):
        open_ledger().acquire("collect", now=NOW + 59 * SECOND, seconds=60)
    assert open_ledger().acquire("collect", now=NOW + 61 * SECOND, seconds=60).fence == 2


def test_a_process_with_the_number_of_one_that_died_does_not_wait_for_itself(
    open_ledger: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container every start may have the same number and host name."""
    monkeypatch.setattr("tallybook.storage.processes.PROCESS", "an earlier life")
    open_ledger().acquire("collect", now=NOW, seconds=60)
    monkeypatch.undo()
    assert open_ledger().acquire("collect", now=NOW + SECOND, seconds=60).fence == 2


# ------------------------------------------------------------------------------------- runs, revisions, names


def test_runs_are_told_newest_first_with_how_they_ended(ledger: Ledger) -> None:
    one = ledger.start_run("collect", now=NOW)
    ledger.finish_run(one, "done", {"metrics": [{"metric": "ümlaut", "days": 3}]}, now=NOW + HOUR)
    other = ledger.start_run("collect", now=NOW + 2 * HOUR)
    found = ledger.runs()
    assert [(run["run"], run["status"], run["what"]) for run in found] == [
        (other, "running", "collect"),
        (one, "done", "collect"),
    ]
    assert found[1]["report"] == {"metrics": [{"metric": "ümlaut", "days": 3}]}
    assert (found[1]["started"][:19], found[1]["finished"][:19]) == ("2024-03-01T06:00:00", "2024-03-01T07:00:00")
    assert found[0]["finished"] is None
    assert [run["run"] for run in ledger.runs(limit=1)] == [other]


def test_a_run_that_died_is_told_as_lost(open_ledger: Open, kind: str, tmp_path: Path) -> None:
    code = HOLDER.replace(
        '.acquire("collect", now=datetime.fromisoformat(sys.argv[3]), seconds=60)',
        '.start_run("collect", now=datetime.fromisoformat(sys.argv[3]))',
    )
    command = [sys.executable, "-c", code, kind, str(tmp_path / "book"), NOW.isoformat()]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        holder.stdout.readline()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    ledger = open_ledger()
    ledger.start_run("collect", now=NOW + HOUR)
    assert [run["status"] for run in ledger.runs()] == ["running", "lost"]


def test_revisions_are_told_newest_first(ledger: Ledger) -> None:
    def revise(metric: str, old: str | None, new: str | None) -> None:
        one = Revision(
            metric=metric, definition="d", day=date(2024, 2, 1), series='{"plan": "Zürich 🧮"}', old=old, new=new
        )
        commit(ledger, Commit(what="collect", revisions=[one]))

    revise("a", None, "1.50")
    revise("b", "7", "8")
    revise("a", "1.50", None)
    assert [(r.metric, r.old, r.new) for r in ledger.revisions()] == [
        ("a", "1.50", None),
        ("b", "7", "8"),
        ("a", None, "1.50"),
    ]
    newest = ledger.revisions("a")[0]
    assert (newest.series, newest.day, newest.at[:10]) == ('{"plan": "Zürich 🧮"}', date(2024, 2, 1), "2024-03-01")
    assert [r.metric for r in ledger.revisions(limit=2)] == ["a", "b"]


def test_points_stay_under_the_first_name_a_metric_had(ledger: Ledger) -> None:
    assert kept_under(ledger.metric_keys(), "signups", None) == "signups"
    assert kept_under(ledger.metric_keys(), "registrations", "signups") == "signups"
    ledger.bind_key("registrations", "signups")
    assert kept_under(ledger.metric_keys(), "registrations", None) == "signups"
    assert kept_under(ledger.metric_keys(), "accounts", "registrations") == "signups"
    ledger.bind_key("registrations", "something else")
    assert ledger.metric_keys() == {"registrations": "signups"}


# ------------------------------------------------------------------------------------------------- cleaning


def test_only_files_of_no_kept_version_may_be_dropped(ledger: Ledger) -> None:
    """Version n holds the file n; they leave one after the other."""
    for number in range(1, 6):
        gone = [f.id for f in ledger.snapshot().files]
        commit(ledger, Commit(what="collect", add=[file(f"{number}")], remove=gone), at=NOW + number * HOUR)

    def droppable(kept: list[int], before: datetime = NOW + 9 * HOUR) -> list[str]:
        return [f.path for f in ledger.droppable(kept, gone_before=before)]

    assert droppable([5]) == ["1", "2", "3", "4"]
    assert droppable([]) == ["1", "2", "3", "4"]
    assert droppable([2, 5]) == ["1", "3", "4"]
    assert droppable([5], before=NOW + 3 * HOUR) == ["1"]
    assert droppable([0, 1, 2, 3, 4, 5]) == []


def test_a_cleaned_version_can_not_be_asked_and_its_neighbours_can(ledger: Ledger) -> None:
    for number in range(1, 5):
        gone = [f.id for f in ledger.snapshot().files]
        commit(ledger, Commit(what="collect", add=[file(f"{number}")], remove=gone))
    two = ledger.snapshot(version=2).files[0]
    ledger.forget_files([two.id])
    with pytest.raises(Cleaned):
        ledger.snapshot(version=2)
    assert [ledger.snapshot(version=v).files[0].path for v in (1, 3, 4)] == ["1", "3", "4"]
    assert [f.path for f in ledger.known_files()] == ["1", "3", "4"]
    assert ledger.problems() == []


def test_two_who_clean_at_the_same_time_do_not_mind_each_other(ledger: Ledger) -> None:
    commit(ledger, Commit(what="collect", add=[file("a")]))
    gone = ledger.snapshot().files[0].id
    commit(ledger, Commit(what="collect", remove=[gone]))
    ledger.forget_files([gone])
    ledger.forget_files([gone])
    assert ledger.known_files() == []


def test_a_current_file_is_never_forgotten(ledger: Ledger) -> None:
    commit(ledger, Commit(what="collect", add=[file("a")]))
    ledger.forget_files([ledger.snapshot().files[0].id])
    assert [f.path for f in ledger.snapshot().files] == ["a"]


@given(
    hours=st.lists(st.integers(0, 24 * 500), max_size=60),
    keep=st.integers(0, 200),
    zone=st.sampled_from(("UTC", "America/New_York", "Asia/Kolkata")),
)
def test_what_is_kept_answers_every_day_of_keep_versions_and_the_end_of_every_month(
    hours: list[int], keep: int, zone: str
) -> None:
    from tallybook.core.calendar import end_of

    begin = datetime(2023, 1, 1, tzinfo=UTC)
    now = begin + timedelta(hours=24 * 500)
    versions = [(0, datetime(1, 1, 1, tzinfo=UTC))]
    versions += [(number, begin + timedelta(hours=hour)) for number, hour in enumerate(sorted(hours), 1)]
    kept = kept_versions(versions, now=now, keep_days=keep, zone=zone)
    assert versions[-1][0] in kept

    def at(day: date) -> int:
        return max(version for version, moment in versions if moment < end_of(day, zone))

    for number in range(-3, 499):
        day = begin.date() + number * DAY
        if end_of(day, zone) >= now - timedelta(days=keep) and end_of(day, zone) <= now:
            assert at(day) in kept
        if (day + DAY).day == 1 and at(day):
            assert at(day) in kept


# ------------------------------------------------------------------------------------------- opening, and errors


def test_many_may_open_a_new_book_at_once(open_ledger: Open) -> None:
    seen = []

    def open_(_: int) -> None:
        ledger = open_ledger()
        seen.append(ledger.version())
        ledger.close()

    together(8, open_)
    assert seen == [0] * 8


def test_a_book_of_a_newer_tallybook_is_left_alone(tmp_path: Path) -> None:
    SqliteLedger(tmp_path / "ledger.sqlite").close()
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(BookError, match="newer Tallybook") as told:
        SqliteLedger(tmp_path / "ledger.sqlite")
    assert "pip install --upgrade tallybook" in told.value.hint


def test_a_file_that_is_no_ledger_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"This is not a ledger. " * 100)
    with pytest.raises(BookError, match="is damaged: file is not a database") as told:
        SqliteLedger(tmp_path / "ledger.sqlite")
    assert "backup" in told.value.hint


def test_a_ledger_that_others_hold_too_long_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallybook.storage.sqlite_ledger.WAIT_SECONDS", 0.1)
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(Busy, match=r"held by another process for 0\.1 s"):
            commit(ledger)
        assert ledger.version() == 0
    assert commit(ledger) == 1
    ledger.close()


def test_a_book_where_none_may_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "book").write_text("a file stands here")
    with pytest.raises(BookError, match="no book can be kept at"):
        SqliteLedger(tmp_path / "book" / "more" / "ledger.sqlite")


# ------------------------------------------------------------------------------------------- a folder of files


class Interrupted:
    """A ledger on which somebody else commits just before each of our first commits."""

    def __init__(self, real: Ledger, *others: Callable[[], object]) -> None:
        self.real, self.others = real, list(others)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def commit(self, *args: Any, **more: Any) -> int:
        if self.others:
            self.others.pop(0)()
        return self.real.commit(*args, **more)


@pytest.fixture
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with closing(connect()) as engine:
        for kind in SCHEMAS:
            engine.execute(ddl(kind, f"new_{kind}"))
        yield engine


Points = dict[tuple[str, str], int]
"""{(metric, day): n}"""


def put(
    store: Store,
    engine: duckdb.DuckDBPyConnection,
    points: Points,
    *,
    empty: Sequence[tuple[str, str]] = (),
    lease: Lease | None = None,
) -> int:
    """Publish additive points, and an id for each; `empty`: days that are covered without any."""
    for kind in SCHEMAS:
        engine.execute(f"DELETE FROM new_{kind}")
    for (metric, day), n in points.items():
        head = f"'{metric}' AS metric, 'd' AS definition, 0 AS slot, DATE '{day}' AS day"
        engine.execute(f"INSERT INTO new_additive BY NAME SELECT {head}, {n} AS rows, {n} AS n")
        engine.execute(f"INSERT INTO new_ids BY NAME SELECT {head}, {n} AS id")
    change = Commit(what="collect")
    for metric in sorted({m for m, _ in [*points, *empty]}):
        own = sorted(date.fromisoformat(day) for m, day in [*points, *empty] if m == metric)
        change.covered.append(Covered(metric=metric, definition="d", days=own))
        change.definitions.append(Definition(metric=metric, id="d", declared="x", body="{}"))
    return store.publish(engine, change, lease=lease, run=None, now=NOW)


def held(store: Store, engine: duckdb.DuckDBPyConnection, version: int | None = None) -> Points:
    """What a version holds; the additive points and the ids must say the same."""
    found: dict[str, Points] = {}
    for kind, column in (("additive", "n"), ("ids", "id")):
        files = [f for f in store.snapshot(version=version).files if f.kind == kind]
        rows = (
            engine.execute(f"SELECT metric, day::VARCHAR, {column} FROM {store.scan(files)}").fetchall()
            if files
            else []
        )
        found[kind] = {(metric, day): n for metric, day, n in rows}
        assert len(found[kind]) == len(rows), "a day stands twice"
    assert found["additive"] == found["ids"]
    return found["additive"]


Again = Callable[[], Store]


@pytest.fixture(params=STORES)
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Again]:
    """Call it for the store of one book; called again, it is as another process would open it."""
    opened: list[Store] = []
    kind, made = STORES[request.param]

    def open_() -> Store:
        opened.append(made(tmp_path / "book", LEDGERS[kind](tmp_path / "book")))
        return opened[-1]

    yield open_
    for store in opened:
        store.ledger.close()


@pytest.fixture
def store(open_store: Again) -> Store:
    return open_store()


@pytest.fixture
def folder_store(open_ledger: Open, tmp_path: Path) -> Store:
    """A store whose files are in its folder."""
    return Store(tmp_path / "book", open_ledger())


def test_published_days_replace_those_before_and_no_others(store: Store, engine: duckdb.DuckDBPyConnection) -> None:
    put(store, engine, {("a", "2024-01-30"): 1, ("a", "2024-01-31"): 2, ("b", "2024-01-31"): 3, ("a", "2024-02-01"): 4})
    put(store, engine, {("a", "2024-01-31"): 20})
    assert held(store, engine) == {
        ("a", "2024-01-30"): 1,
        ("a", "2024-01-31"): 20,
        ("b", "2024-01-31"): 3,
        ("a", "2024-02-01"): 4,
    }
    assert held(store, engine, 1)[("a", "2024-01-31")] == 2


def test_days_covered_without_points_have_none(store: Store, engine: duckdb.DuckDBPyConnection) -> None:
    put(store, engine, {("a", "2024-01-30"): 1, ("a", "2024-01-31"): 2})
    put(store, engine, {}, empty=[("a", "2024-01-31")])
    assert held(store, engine) == {("a", "2024-01-30"): 1}
    put(store, engine, {}, empty=[("a", "2024-01-30"), ("a", "2024-01-31")])
    assert held(store, engine) == {}
    assert store.snapshot().files == ()
    assert store.strays() == []


def test_what_did_not_change_is_not_written_again(store: Store, engine: duckdb.DuckDBPyConnection) -> None:
    points = {("a", "2024-01-30"): 1, ("a", "2024-02-01"): 2}
    put(store, engine, points)
    before = store.snapshot().files
    put(store, engine, points)
    assert store.snapshot().files == before
    put(store, engine, {**points, ("a", "2024-02-01"): 3})
    assert sum(f in before for f in store.snapshot().files) == 2  # January's two


def test_points_outside_the_covered_days_do_not_get_in(store: Store, engine: duckdb.DuckDBPyConnection) -> None:
    put(store, engine, {("a", "2024-01-30"): 1})
    engine.execute("UPDATE new_additive SET day = DATE '2024-01-29'")
    engine.execute("DELETE FROM new_ids")
    change = Commit(what="collect", covered=[Covered(metric="a", definition="d", days=[date(2024, 1, 30)])])
    store.publish(engine, change, lease=None, run=None, now=NOW)
    assert held(store, engine) == {}


@pytest.mark.cases(1)
def test_when_somebody_else_was_first_both_are_in_the_book(
    store: Store, open_store: Again, engine: duckdb.DuckDBPyConnection
) -> None:
    put(store, engine, {("a", "2023-11-05"): 1, ("a", "2023-12-05"): 2, ("b", "2023-12-05"): 3})
    other = open_store()
    with closing(connect()) as others:
        for kind in SCHEMAS:
            others.execute(ddl(kind, f"new_{kind}"))
        store.ledger = Interrupted(
            store.ledger,
            lambda: put(other, others, {("b", "2023-12-05"): 30, ("b", "2024-01-05"): 4}),
            lambda: other.compact(others, today=date(2024, 3, 1), run=None, now=NOW),
            lambda: put(other, others, {("b", "2023-11-06"): 5}),
        )
        assert put(store, engine, {("a", "2023-12-05"): 20, ("a", "2024-01-05"): 6}) == 5
    expected = {
        ("a", "2023-11-05"): 1,
        ("a", "2023-12-05"): 20,
        ("b", "2023-12-05"): 30,
        ("b", "2024-01-05"): 4,
        ("b", "2023-11-06"): 5,
        ("a", "2024-01-05"): 6,
    }
    assert held(store, engine) == expected
    assert store.strays() == [], "what was built in vain is gone"


@pytest.mark.cases(1)
def test_compacting_while_others_publish_loses_nothing(
    store: Store, open_store: Again, engine: duckdb.DuckDBPyConnection
) -> None:
    put(store, engine, {("a", "2023-11-05"): 1, ("a", "2023-12-05"): 2})
    other = open_store()
    with closing(connect()) as others:
        for kind in SCHEMAS:
            others.execute(ddl(kind, f"new_{kind}"))
        store.ledger = Interrupted(
            store.ledger,
            lambda: put(other, others, {("a", "2023-12-05"): 20}),
            lambda: other.compact(others, today=date(2024, 3, 1), run=None, now=NOW),
        )
        assert store.compact(engine, today=date(2024, 3, 1), run=None, now=NOW) == 0
    assert held(store, engine) == {("a", "2023-11-05"): 1, ("a", "2023-12-05"): 20}
    assert store.strays() == []


@pytest.mark.cases(2)
def test_a_closed_year_is_one_file_of_each_kind_and_can_still_be_written_to(
    store: Store, engine: duckdb.DuckDBPyConnection
) -> None:
    put(
        store,
        engine,
        {
            ("a", f"{day}"): i
            for i, day in enumerate(("2022-12-31", "2023-01-01", "2023-06-15", "2023-12-31", "2024-01-01"))
        },
    )
    before = held(store, engine)
    assert store.compact(engine, today=date(2024, 3, 1), run=None, now=NOW) == 4
    assert held(store, engine) == before
    kinds = [(f.kind, f.first.year, f.last.month) for f in store.snapshot().files]
    assert kinds.count(("additive", 2023, 12)) == kinds.count(("ids", 2023, 12)) == 1
    assert store.compact(engine, today=date(2024, 3, 1), run=None, now=NOW) == 0
    put(store, engine, {("a", "2023-04-01"): 77, ("a", "2023-06-15"): 88})
    assert held(store, engine) == {**before, ("a", "2023-04-01"): 77, ("a", "2023-06-15"): 88}
    assert len(store.snapshot().files) == len(kinds)


def test_a_run_that_lost_its_lease_leaves_no_file(folder_store: Store, engine: duckdb.DuckDBPyConnection) -> None:
    lost = folder_store.ledger.acquire("collect", now=NOW, seconds=60)
    folder_store.ledger.acquire("collect", now=NOW + HOUR, seconds=60)
    with pytest.raises(Busy, match="taken over"):
        put(folder_store, engine, {("a", "2024-01-30"): 1}, lease=lost)
    assert list(folder_store.folder.rglob("*.parquet")) == []


def test_a_commit_of_which_nobody_knows_leaves_its_files(
    folder_store: Store, engine: duckdb.DuckDBPyConnection
) -> None:
    """If the disk fails in the middle of a commit, it may have happened: its files must not be deleted."""

    def fail() -> None:
        raise BookError("disk I/O error")

    folder_store.ledger = Interrupted(folder_store.ledger, fail)
    with pytest.raises(BookError):
        put(folder_store, engine, {("a", "2024-01-30"): 1})
    assert len(list(folder_store.folder.rglob("*.parquet"))) == 2
    put(folder_store, engine, {("a", "2024-01-30"): 1})
    assert len(folder_store.strays()) == 2


def test_files_of_a_format_that_is_not_ours_are_refused(store: Store, engine: duckdb.DuckDBPyConnection) -> None:
    commit(store.ledger, Commit(what="collect", add=[file(format=3)]))
    with pytest.raises(BookError, match="has format 3; this Tallybook reads 1 and 2"):
        store.snapshot()


@pytest.mark.cases(1)
def test_any_order_of_publishing_and_compacting_gives_the_book_of_a_plain_dictionary(
    store: Store, engine: duckdb.DuckDBPyConnection, seed: int, soak: bool
) -> None:
    dice, expected = random.Random(seed), {}
    versions: dict[int, Points] = {}
    for _ in range(300 if soak else 10):
        if dice.random() < 0.25:
            store.compact(engine, today=date(2024, 3, 1), run=None, now=NOW)
        else:
            first = date(2022, 11, 1) + timedelta(days=dice.randrange(480))
            chosen = [
                (m, str(first + i * DAY))
                for m in dice.sample("abc", dice.randrange(1, 3))
                for i in range(dice.randrange(1, 50))
            ]
            points = {key: dice.randrange(1000) for key in chosen if dice.random() < 0.7}
            put(store, engine, points, empty=[key for key in chosen if key not in points])
            expected = {key: n for key, n in expected.items() if key not in chosen} | points
        versions[store.ledger.version()] = expected
        assert held(store, engine) == expected
    for version, then in versions.items():
        assert held(store, engine, version) == then
    assert store.ledger.problems() == []
    assert store.strays() == []


def test_the_answer_is_the_same_after_a_file_was_cleaned_away_under_a_reader(
    store: Store, engine: duckdb.DuckDBPyConnection
) -> None:
    """A version whose files are gone is refused by the ledger before anybody looks for them."""
    put(store, engine, {("a", "2024-01-30"): 1})
    put(store, engine, {("a", "2024-01-30"): 2})
    assert store.clean(now=NOW + 400 * DAY, keep_days=90, zone="UTC") == 2
    with pytest.raises(Cleaned):
        store.snapshot(version=1)
    assert held(store, engine) == {("a", "2024-01-30"): 2}
