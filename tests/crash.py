"""A process that does things to books and dies of it: the driver behind `test_safe.py`.

    with Driver() as driver:
        driver.do(folder, "run", now="2024-02-20T06:00")                    # {"exit": 0, "steps": 412, …}
        driver.do(folder, "run", now="2024-02-20T06:00", at=17)             # kill -9 at its 17th step
        driver.do(folder, "run", now="2024-02-20T06:00", after=0.21)        # kill -9 after so many seconds
        driver.together([job(folder, "run", …), job(folder, "compact", …)]) # at the same time

A *step* is whatever changes the disk: a statement of a ledger transaction, its COMMIT, a points file being
written, an fsync, a file made, renamed or deleted. It is counted before it happens. Every deed is done by a
process of its own, forked from one that has imported everything and opened nothing (this module, itself forked from
the warm process).
"""

from __future__ import annotations

import json
import os
import random
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from tests import warm

ROOT = Path(__file__).resolve().parent.parent
Job = dict[str, Any]
Said = dict[str, Any]


def job(folder: Path, do: str, *, now: str, **more: Any) -> Job:
    """What a process is to do: a function of DEEDS, in a project, by a clock that stands at `now` (UTC).

    `at`: send `signal` (KILL unless said) to itself at this step, or with `fails` let it fail with this errno; `after`: be killed after so many seconds;
    `delay`: wait so many seconds first; `largest`: no file may grow beyond so many bytes; `ticking`: the clock
    goes on from `now`, and is the same clock for all jobs that are begun together; `trace`: tell the names of the steps."""
    return {"folder": str(folder), "do": do, "now": now, **more}


class Driver:
    """Talks to the process that forks. What it answers: exit (None when killed), signal, steps, seconds, said."""

    def __enter__(self) -> Driver:
        hears, writes = os.pipe()
        reads, says = os.pipe()
        self.process = warm.Program(["-m", "tests.crash"], {0: hears, 1: says, 2: 2}, cwd=ROOT)
        os.close(hears)
        os.close(says)
        self.asks, self.answers = os.fdopen(writes, "w"), os.fdopen(reads)
        return self

    def __exit__(self, *_: object) -> None:
        self.asks.close()
        self.process.wait(30)
        self.answers.close()

    def ask(self, order: dict[str, Any]) -> Any:
        self.asks.write(json.dumps(order) + "\n")
        self.asks.flush()
        answer = self.answers.readline()
        assert answer, "the driver died"
        return json.loads(answer)

    def do(self, folder: Path, do: str, *, now: str, **more: Any) -> Said:
        return self.together([job(folder, do, now=now, **more)])[0]

    def together(self, jobs: Sequence[Job]) -> list[Said]:
        return self.ask({"jobs": list(jobs)})

    def resume(self, pid: int) -> Said:
        """Let a process go on that stopped itself (signal STOP)."""
        return self.ask({"resume": pid})


# ------------------------------------------------------------------------------------- the forking process


def main() -> None:
    """Fork a process for every job; answer when all of them have ended or stopped."""
    import_everything()
    answers: dict[int, Any] = {}
    for line in sys.stdin:
        order = json.loads(line)
        if "resume" in order:
            pid = order["resume"]
            os.kill(pid, signal.SIGCONT)
            print(json.dumps(ended(pid, *answers.pop(pid))), flush=True)
            continue
        # Clocks that begin when their processes do differ by that much, as if the clock of one host were ahead.
        together = time.monotonic()
        started = [fork({"together": together, **one}, answers) for one in order["jobs"]]
        kill_in_time(answers)
        said = [ended(pid, *answers[pid]) for pid in started]
        for pid, one in zip(started, said, strict=True):
            if "stopped" not in one:
                del answers[pid]
        print(json.dumps(said), flush=True)


def import_everything() -> None:
    import duckdb  # noqa: F401
    import psycopg  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import sqlglot  # noqa: F401

    import tallybook.collect
    import tallybook.collect.daily_run
    import tallybook.collect.sources.sqlite
    import tallybook.query.answers
    import tallybook.storage.doctor
    import tallybook.storage.folder
    import tallybook.storage.ledger_files
    import tallybook.storage.postgresql_ledger  # noqa: F401


def fork(one: Job, answers: dict[int, Any]) -> int:
    said = tempfile.TemporaryFile()  # noqa: SIM115  not a pipe: nobody reads while the process lives
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            perform(one, said.fileno())
        os._exit(71)
    answers[pid] = (said, one, time.monotonic())
    return pid


def kill_in_time(answers: dict[int, Any]) -> None:
    """Kill each process that is to be killed after some seconds (one that has ended is not waited for yet)."""
    for moment, pid in sorted(
        (began + one["after"], pid) for pid, (_, one, began) in answers.items() if "after" in one
    ):
        time.sleep(max(0.0, moment - time.monotonic()))
        os.kill(pid, signal.SIGKILL)


def ended(pid: int, file: IO[bytes], one: Job, began: float) -> Said:
    """Wait until a process has ended or stopped itself."""
    _, status = os.waitpid(pid, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        return {"stopped": pid}
    file.seek(0)
    said = file.read()
    file.close()
    killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    return {
        "exit": None if killed else os.WEXITSTATUS(status), "signal": killed,
        "seconds": round(time.monotonic() - began, 3), **(json.loads(said) if said else {}),
    }  # fmt: skip


# ------------------------------------------------------------------------------------------ the forked one


def perform(one: Job, writing: int) -> None:
    """Do the deed, tell what came of it, and end without any clearing up."""
    import tallybook
    from tallybook.core.errors import TallybookError

    time.sleep(one.get("delay", 0))
    steps = Steps(one.get("at"), signal.Signals[f"SIG{one.get('signal', 'KILL')}"], one.get("fails", 0))
    count_steps(steps)
    if "largest" in one:
        resource.setrlimit(resource.RLIMIT_FSIZE, (one["largest"], one["largest"]))
    answer: Said = {"said": None}
    code = 0
    try:
        with tallybook.open(one["folder"], now=clock(one)) as book:
            answer["said"] = DEEDS[one["do"]](book, one)
            code = answer["said"].pop("exit", 0) if isinstance(answer["said"], dict) else 0
    except TallybookError as error:
        code = error.exit_code
        answer |= {"error": error.message, "hint": error.hint, "kind": type(error).__name__}
    except BaseException:  # noqa: BLE001  whatever it is, it is told
        code = 70
        answer |= {"error": traceback.format_exc(), "kind": "bug"}
    answer["steps"] = steps.names if one.get("trace") else len(steps.names)
    written = json.dumps(answer).encode()
    while written:
        written = written[os.write(writing, written) :]
    os._exit(code)


def clock(one: Job) -> Callable[[], datetime]:
    start = datetime.fromisoformat(one["now"]).replace(tzinfo=UTC)
    if not one.get("ticking"):
        return lambda: start
    began: float = one["together"]
    return lambda: start + timedelta(seconds=time.monotonic() - began)


class Steps:
    """Counts what changes the disk, and ends the process at the step that was asked for, or lets it fail."""

    def __init__(self, last: int | None, signal_: signal.Signals, fails: int = 0) -> None:
        self.names: list[str] = []
        self.last, self.signal, self.fails = last, signal_, fails

    def take(self, name: str) -> None:
        self.names.append(name)
        if len(self.names) == self.last:
            if self.fails:
                raise self._fault(name)
            os.kill(os.getpid(), self.signal)

    def _fault(self, name: str) -> Exception:
        """What the disk says at this step."""
        import errno
        import sqlite3

        if not name.startswith("ledger "):
            return OSError(self.fails, os.strerror(self.fails))
        full = self.fails == errno.ENOSPC
        error = sqlite3.OperationalError("database or disk is full" if full else "disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL if full else sqlite3.SQLITE_IOERR
        return error

    def before(self, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **options: Any) -> Any:
            self.take(name)
            return act(*args, **options)

        return counted


def count_steps(steps: Steps) -> None:
    """Put the counter around everything through which a book is written."""
    import sqlite3

    from tallybook.storage import folder as store_folder

    for name in ("fsync", "mkdir", "unlink", "replace", "rename"):
        setattr(os, name, steps.before(name, getattr(os, name)))

    class Ledger(sqlite3.Connection):
        writing = False

        def _counted(self, act: Callable[..., Any], sql: str, *more: Any) -> Any:
            self.writing = self.writing or sql == "BEGIN IMMEDIATE"
            if not self.writing or sql.startswith("SELECT"):
                return act(sql, *more)
            self.writing = sql not in ("COMMIT", "ROLLBACK")
            return steps.before(f"ledger {sql.split(maxsplit=1)[0]}", act)(sql, *more)

        def execute(self, sql: str, *more: Any) -> Any:
            return self._counted(super().execute, sql, *more)

        def executemany(self, sql: str, *more: Any) -> Any:
            return self._counted(super().executemany, sql, *more)

    connect_really = sqlite3.connect

    def connect(path: Any, *args: Any, **options: Any) -> sqlite3.Connection:
        if str(path).endswith("ledger.sqlite"):
            options["factory"] = Ledger
        return connect_really(path, *args, **options)

    write_really = store_folder.write_parquet

    def write(*args: Any) -> int:
        steps.take("points begun")
        rows = write_really(*args)
        steps.take("points written")
        return rows

    sqlite3.connect, store_folder.write_parquet = connect, write  # type: ignore[assignment]
    count_statements(steps)


def count_statements(steps: Steps) -> None:
    """The same around a ledger on PostgreSQL, where a transaction that writes begins with READ WRITE."""
    import psycopg

    execute_really, several_really = psycopg.Connection.execute, psycopg.Cursor.executemany
    writing: set[int] = set()

    def count(connection: Any, sql: bytes) -> None:
        if sql.startswith(b"BEGIN") and b"READ WRITE" in sql:
            writing.add(id(connection))
        if id(connection) in writing and not sql.startswith(b"SELECT"):
            steps.take(f"ledger {sql.split(maxsplit=1)[0].decode().strip(';')}")
        if sql in (b"COMMIT", b"ROLLBACK"):
            writing.discard(id(connection))

    def execute(self: Any, sql: Any, *more: Any, **named: Any) -> Any:
        if isinstance(sql, bytes):
            count(self, sql)
        return execute_really(self, sql, *more, **named)

    def executemany(self: Any, sql: Any, *more: Any, **named: Any) -> Any:
        if isinstance(sql, bytes):
            count(self.connection, sql)
        return several_really(self, sql, *more, **named)

    psycopg.Connection.execute, psycopg.Cursor.executemany = execute, executemany


# -------------------------------------------------------------------------------------------------- deeds


def do_run(book: Any, one: Job) -> Said:
    report = book.run(
        *one.get("metrics", ()), from_=one.get("from"), to=one.get("to"), publish_seconds=one.get("publish_seconds", 0)
    )
    errors = {m.metric: [m.error, m.hint] for m in report.metrics if m.error}
    return {"exit": report.exit_code, "errors": errors, "revisions": sum(m.revisions for m in report.metrics)}


def do_import(book: Any, one: Job) -> Said:
    return {"new": book.import_history(one["metric"], one["file"]).new}


def do_deliver(book: Any, one: Job) -> Said:
    reports = book.deliver(*one.get("names", ()))
    return {"statuses": {report.delivery: report.status for report in reports}}


def do_deliver_rest(book: Any, one: Job) -> Said:
    return {"statuses": {report.delivery: report.status for report in book.deliver_rest()}}


def do_alert(book: Any, one: Job) -> Said:
    report = book.alert()
    return {"told": report.told, "failed": report.failed}


def do_compact(book: Any, one: Job) -> Said:
    return book.compact()


def do_forget(book: Any, one: Job) -> Said:
    return book.forget(one["metric"]).to_dict()


def do_backup(book: Any, one: Job) -> Said:
    return {"files": book.backup(one["to"]).files}


def do_restore(book: Any, one: Job) -> Said:
    return {"files": book.restore(one["from"]).files}


def do_set_aside(book: Any, one: Job) -> Said:
    return {"renamed": str(book.set_aside())}


def do_evaluate(book: Any, one: Job) -> Said:
    """Evaluate the rules for everybody, or as a server does for those who changed."""
    from tallybook.act import RuleWatch

    RuleWatch(book.rules).step() if one.get("touched") else book.rules.evaluate()
    return {}


def do_release(book: Any, one: Job) -> Said:
    book.rules.release(one["rule"])
    return {}


def do_dump(book: Any, one: Job) -> Said:
    """Everything the book answers: each question, each as-of, coverage, revisions, and what doctor says."""
    answers = {}
    for question in one["questions"]:
        with told_refusals(answers, question) as put:
            put(without_version(ask(book, question).to_dict(exact=True)))
    ledger = book.store.ledger
    known = ledger.snapshot()
    return {
        "answers": answers,
        "coverage": {f"{m} {d}": [(str(s.first), str(s.last), s.instant) for s in found]
                     for (m, d), found in known.coverage.items()},
        "definitions": {m: [(d.id, d.body) for d in found] for m, found in known.definitions.items()},
        "revisions": sorted(
            [r.metric, r.definition, str(r.day), r.series, r.old, r.new] for r in ledger.revisions(limit=100_000)
        ),
        "doctor": book.doctor(),
    }  # fmt: skip


def without_version(answer: dict[str, Any]) -> dict[str, Any]:
    """A crash may cost a version; its number is not part of what the book says."""
    return rounded({**answer, "explain": re.sub(r" \(version \d+\)", "", answer["explain"])})


def rounded(value: Any) -> Any:
    """The last digits of a sum of floats depend on which thread added first."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


def do_tidy(book: Any, one: Job) -> Said:
    """Let every stray look old, compact, and tell which files are there that no version names."""
    before = time.time() - 48 * 3600
    for path in book.store.strays():
        os.utime(path, (before, before))
    deleted = book.compact()["deleted"]
    known = {file.path for file in book.store.ledger.known_files()} | {
        "ledger.sqlite",
        "ledger.sqlite-wal",
        "ledger.sqlite-shm",
    }
    here = {p.relative_to(book.store.folder).as_posix() for p in book.store.folder.rglob("*") if p.is_file()}
    kept = {name for name in here if name.startswith("cache")}
    return {
        "deleted": deleted,
        "left": sorted(here - known - kept),
        "missing": sorted(known - here - {"ledger.sqlite-wal", "ledger.sqlite-shm"}),
    }


def do_collect_forever(book: Any, one: Job) -> Said:
    """Run again and again until the time is over; `days`: these days anew, some at a time."""
    from tallybook.core.errors import Busy

    dice, counts = random.Random(one["seed"]), {"runs": 0, "busy": 0, "failed": 0}
    for _ in until(one["seconds"]):
        days = sorted(dice.sample(one["days"], 2)) if one.get("days") else [None, None]
        try:
            report = book.run(from_=days[0], to=days[1], publish_seconds=0)
            counts["runs"] += 1
            counts["failed"] += bool(report.failed)
        except Busy:
            counts["busy"] += 1
            time.sleep(0.05 + dice.random() * 0.1)
    return counts


def do_compact_forever(book: Any, one: Job) -> Said:
    counts = {"compacted": 0, "folded": 0}
    for _ in until(one["seconds"]):
        counts["folded"] += book.compact()["folded"]
        counts["compacted"] += 1
        time.sleep(0.05)
    return counts


def do_change_forever(book: Any, one: Job) -> Said:
    """The application: gives every (day, plan) one more event, or takes one from each, in one transaction."""
    import sqlite3

    app = sqlite3.connect(Path(one["folder"]) / "app.sqlite", timeout=30, isolation_level=None)
    dice, changes, here = random.Random(one["seed"]), 0, 1
    for _ in until(one["seconds"]):
        app.execute("BEGIN IMMEDIATE")
        if here > 1 and dice.random() < 0.4:
            app.execute("DELETE FROM events WHERE generation = (SELECT max(generation) FROM events)")
            here -= 1
        else:
            app.execute(
                "INSERT INTO events (at, plan, user_id, generation) SELECT at, plan, user_id + 1000000 * m.g, m.g + 1 "
                "FROM events, (SELECT max(generation) AS g FROM events) m WHERE generation = 1"
            )
            here += 1
        app.execute("COMMIT")
        changes += 1
        time.sleep(0.2)
    return {"changes": changes}


def do_read_forever(book: Any, one: Job) -> Said:
    """Ask again and again; keep every answer with the version it was read at, and what was wrong about it."""
    dice, reads, wrong, versions = random.Random(one["seed"]), [], [], []
    for _ in until(one["seconds"]):
        question = dice.choice(one["asked"])
        book.answers.forget_answers()
        try:
            result = ask(book, question)
        except Exception:  # noqa: BLE001  whatever it is, it is told
            wrong.append(f"{question}: {traceback.format_exc()}")
            continue
        if not question.get("as_of"):
            if versions and result.version < versions[-1]:
                wrong.append(f"version {result.version} after {versions[-1]}")
            versions.append(result.version)
        wrong += disagreements(question, result.rows())
        reads.append([result.version, question, digest(result)])
    return {"reads": reads, "wrong": wrong[:20]}


def disagreements(question: dict[str, Any], rows: Sequence[dict[str, Any]]) -> list[str]:
    """Metrics that count the same events must agree; each day has as many events of every plan."""
    found = []
    for row in rows:
        same = {row[name] for name in ("events", "events_summed", "events_of_ids") if name in row}
        if len(same) > 1:
            found.append(f"{question}: {row}")
        if row.get("ratio") not in (None, 1):
            found.append(f"{question}: {row}")
    if question.get("by") == ["plan"] and question["scope"] == "day":
        days: dict[Any, set[Any]] = {}
        for row in rows:
            if not row.get("total") and row["events"] is not None:
                days.setdefault(row["period"], set()).add(row["events"])
        found += [f"{question}: {day} has {several}" for day, several in days.items() if len(several) > 1]
    return found


def do_reread(book: Any, one: Job) -> Said:
    """Whether each answer is what its version holds, now that all is quiet."""
    differ, known = [], {}
    for version, question, seen in one["reads"]:
        key = (version, json.dumps(question, sort_keys=True))
        if key not in known:
            known[key] = digest(answer_at(book, version, question))
        if known[key] != seen:
            differ.append([version, question])
    return {"asked": len(known), "differ": differ[:10]}


def do_ask_while_cleaned(book: Any, one: Job) -> Said:
    """Ask the book as it was, until the time is over: the answer of then, or a refusal."""
    from tallybook.core.errors import Refused

    dice, counts, wrong = random.Random(one["seed"]), {"answered": 0, "refused": 0}, []
    for _ in until(one["seconds"]):
        day, expected = dice.choice(one["believed"])
        book.answers.forget_answers()
        try:
            rows = ask(book, one["question"], as_of=day).rows()
        except Refused:
            counts["refused"] += 1
            continue
        counts["answered"] += 1
        if rows[-1]["events"] != expected:
            wrong.append([day, expected, rows[-1]["events"]])
    return {**counts, "wrong": wrong[:10]}


def ask(book: Any, question: dict[str, Any], **more: Any) -> Any:
    named = {key: value for key, value in question.items() if key != "metrics"}
    return book.query(*question["metrics"], **named, **more)


def do_open(book: Any, one: Job) -> Said:
    return {"version": book.store.ledger.version()}


def answer_at(book: Any, version: int, question: dict[str, Any]) -> Any:
    """Any version's answer, not only those at the end of a day."""
    book.reader.version_at, then = lambda day: version, book.reader.version_at
    try:
        return ask(book, question)
    finally:
        book.reader.version_at = then


def digest(result: Any) -> str:
    import hashlib

    return hashlib.sha256(json.dumps(rounded(result.to_dict(exact=True)), sort_keys=True).encode()).hexdigest()[:16]


def until(seconds: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield


@contextmanager
def told_refusals(answers: dict[str, Any], question: dict[str, Any]) -> Iterator[Callable[[Any], None]]:
    from tallybook.core.errors import TallybookError

    key = json.dumps(question, sort_keys=True)
    try:
        yield lambda answer: answers.__setitem__(key, answer)
    except TallybookError as error:
        answers[key] = {"refused": error.message}


DEEDS: dict[str, Callable[[Any, Job], Said]] = {
    name.removeprefix("do_"): act for name, act in list(globals().items()) if name.startswith("do_")
}

if __name__ == "__main__":
    main()
