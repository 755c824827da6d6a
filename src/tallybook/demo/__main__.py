"""`python -m tallybook.demo FOLDER`: a made-up company's metrics, from its database to a workbook.

Writes the demo project into FOLDER, then types real commands in it and shows their output."""

import argparse
import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib import resources
from io import TextIOWrapper
from pathlib import Path
from string import Template
from time import perf_counter
from typing import Any
from uuid import uuid4

from tallybook.demo import clock, saas
from tallybook.demo.sending import EventServer, SendingError, served

PROJECT = "tallybook.toml"
DATABASE = "app.db"
WORKBOOK = "metrics.xlsx"
EVENT, KEY = "page_view", "demo"
PAGES = ("home", "pricing", "home", "docs", "home", "docs", "signup")
DONE, UNEXPECTED, USAGE, REFUSED = 0, 1, 2, 3


class DemoError(Exception):
    """The demo cannot continue. The message says why, and `code` is the exit code."""

    def __init__(self, message: str, code: int = UNEXPECTED) -> None:
        super().__init__(message)
        self.code = code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo. Returns 0, or 1 if a command did something other than what the demo says."""
    options = parse(arguments)
    # A terminal or pipe that cannot show a character shows a question mark instead.
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        begin(options, datetime.now(UTC).replace(tzinfo=None, microsecond=0))
    except DemoError as error:
        sys.stdout.flush()
        sys.stderr.write(f"demo: {error}\n")
        return error.code
    return DONE


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tallybook.demo", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the demo project is made (or created again)")
    parser.add_argument("--keep", action="store_true", help=f"keep the {PROJECT} and the book that are there")
    parser.add_argument("--data-only", action="store_true", help="write the project, run no commands")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--years", type=int, default=2)
    parser.add_argument("--scale", type=float, default=1.0, help="10 means ten times as many customers")
    return parser.parse_args(arguments)


def begin(options: argparse.Namespace, now: datetime) -> None:
    """Run the whole demo. `now` is naive UTC. The story ends with the last closed day before it."""
    folder: Path = options.folder
    yesterday = clock.local(now).date() - clock.DAY
    say(f"Nordlicht sells software. Its database and its {PROJECT} go to {folder}/")
    prepare(folder, keep=options.keep)
    first = saas.first_day(yesterday, options.years)
    if options.keep and (folder / DATABASE).exists():
        # A kept book continues in the world in which it began.
        first = saas.first_day_in(folder / DATABASE)
    write_project(folder, first, keep=options.keep)
    write_database(options, first, yesterday, now)
    if not options.data_only:
        walk(Shell(folder), yesterday)


# --- the project


def prepare(folder: Path, *, keep: bool) -> None:
    """Create `folder`, or clear what an earlier demo left there. Refuses a folder that is not a demo's."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()) and not is_demo(folder):
        raise DemoError(f"{folder} holds something else than the demo; give an empty or new folder", USAGE)
    if not keep:
        (folder / WORKBOOK).unlink(missing_ok=True)
        shutil.rmtree(folder / "book", ignore_errors=True)


def is_demo(folder: Path) -> bool:
    """Whether the project file there begins as ours does."""
    file = folder / PROJECT
    return file.is_file() and file.read_text("utf-8").startswith(template().splitlines()[0])


def template() -> str:
    return resources.files("tallybook.demo").joinpath(PROJECT).read_text("utf-8")


def write_project(folder: Path, first: date, *, keep: bool) -> None:
    file = folder / PROJECT
    if not (keep and file.exists()):
        file.write_text(Template(template()).substitute(start=first), "utf-8")


def write_database(options: argparse.Namespace, first: date, end: date, now: datetime) -> None:
    began = perf_counter()
    path = options.folder / DATABASE
    rows = saas.write(path, seed=options.seed, end=end, first=first, scale=options.scale, now=now)
    say(f"{DATABASE}: {first} to {end} and today so far, written in {perf_counter() - began:.1f} s")
    for table, count in rows.items():
        say(f"  {table:<14} {count:>9,} rows")


# --- the walk


class Shell:
    """Types commands in the demo's folder and shows them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        say(f"\n$ cd {shlex.quote(str(folder))}")

    def run(self, command: str, *, expect: int = DONE) -> None:
        """Run `tallybook command` on this terminal, progress bars and all."""
        say(f"\n$ tallybook {command}")
        self.check(command, self.call(command, capture=False), expect)

    def ask(self, command: str) -> list[dict[str, Any]]:
        """The rows of a `tallybook query` as JSON, not shown. Used for the demo's own sums."""
        answer = self.call(f"{command} --format json", capture=True)
        self.check(command, answer, DONE)
        rows: list[dict[str, Any]] = json.loads(answer.stdout)["rows"]
        return rows

    def call(self, command: str, *, capture: bool, quiet: bool = False) -> subprocess.CompletedProcess[bytes]:
        typed = [sys.executable, "-m", "tallybook", *shlex.split(command)]
        stdout, stderr = subprocess.PIPE if capture else None, subprocess.DEVNULL if quiet else None
        return subprocess.run(typed, cwd=self.folder, stdout=stdout, stderr=stderr, check=False)

    def check(self, command: str, ended: subprocess.CompletedProcess[bytes], expect: int) -> None:
        if ended.returncode != expect:
            raise DemoError(f"`tallybook {command}` ended with {ended.returncode}, not {expect}")


def walk(shell: Shell, yesterday: date) -> None:
    collect(shell)
    ask_at_every_scope(shell)
    monday = last_whole_week(yesterday)
    sum_a_level(shell, monday)
    sum_distinct_users(shell, monday)
    send_events(shell)
    hand_over(shell, yesterday)


def collect(shell: Shell) -> None:
    title("Does the project fit its database?")
    say("What each metric is taken to mean, and how the database stores its time. Read it as a reviewer would.")
    shell.run("check --source")
    title("Collect every closed day, oldest first")
    say("One pass over the database for all metrics of a table, so these show the same seconds.")
    shell.run("run")


def ask_at_every_scope(shell: Shell) -> None:
    title("The same metrics by day, week and month")
    for scope, last in (("day", "7 days"), ("week", "6 weeks"), ("month", "6 months")):
        shell.run(f'query signups revenue active_users --scope {scope} --last "{last}"')
    title("A level, split by plan; totals are computed from parts, never added up from rows")
    shell.run('query mrr --scope month --by plan --last "3 months" --totals')


def sum_a_level(shell: Shell, monday: date) -> None:
    """Show the sevenfold error: a level has a value every day, and the sum of seven days is not the week's value."""
    days = week(monday)
    title("The 7x trap: a spreadsheet that adds up a level")
    shell.run(f"query mrr --scope day {days}")
    wrong = total(shell.ask(f"query mrr --scope day {days}"), "mrr")
    right = total(shell.ask(f"query mrr --scope week {days}"), "mrr")
    say(f"\nthese seven days added up    {wrong:>14,.2f} EUR, {times(wrong, right)} what is true")
    say(f"MRR at the end of the week   {right:>14,.2f} EUR")
    say("\nTallybook does not add up a level over time (exit code 3), and says what to ask instead:")
    shell.run(f"query mrr --scope week --show total {days}", expect=REFUSED)
    shell.run(f"query mrr --scope week --show average {days}")


def sum_distinct_users(shell: Shell, monday: date) -> None:
    """Show that a user who is active on five days is one user of the week, not five."""
    days = week(monday)
    title("The quieter trap: adding up distinct users")
    shell.run(f"query active_users --scope week {days}")
    wrong = total(shell.ask(f"query active_users --scope day {days}"), "active_users")
    right = total(shell.ask(f"query active_users --scope week {days}"), "active_users")
    by_hand = users_of_week(shell.folder / DATABASE, monday)
    say(f"\nthe users of its seven days added up     {wrong:>7,}, {times(wrong, right)} what is true")
    say(f"different users of the week, by the book {right:>7,}")
    say(f"the same by plain SQL over {DATABASE}        {by_hand:>7,}")
    if right != by_hand:
        raise DemoError("the book and the database do not agree on the users of the week")


def send_events(shell: Shell) -> None:
    """Send events over HTTP: they are acknowledged, the server is killed, and each event is still stored exactly
    once."""
    title("Usage events: an answer of 200 means that they are on disk")
    if not EventServer.is_installed():
        say("pip install 'tallybook[server]' takes usage events over HTTP; it is not installed here.")
        return
    try:
        with served(shell.folder) as server:
            server.key = demo_key(shell)
            say("\n$ tallybook serve --listen 127.0.0.1:0 &")
            server.start()
            before = server.stored(EVENT)
            kill_after_sending(server)
            server.wait(lambda: server.stored(EVENT) >= before + len(PAGES), "an acknowledged event is lost")
            shell.run(f"query --event {EVENT} --count --distinct user --by page --last '1 day' --to today")
            if (stored := server.stored(EVENT) - before) != len(PAGES):
                raise DemoError(f"{stored} events are stored, not {len(PAGES)}")
            say(f"{len(PAGES)} events were sent twice, the server was killed in between: {stored} are stored.")
    except SendingError as error:
        raise DemoError(str(error)) from None


def demo_key(shell: Shell) -> str:
    """A key for this demo: a new key, or a new text for the existing key."""
    made = shell.call(f"keys create {KEY} --scope write --scope read --format json", capture=True, quiet=True)
    command = f"keys create {KEY} --scope write --scope read"
    if made.returncode != DONE:
        command = f"keys rotate {KEY}"
        made = shell.call(f"{command} --format json", capture=True)
        shell.check(command, made, DONE)
    key = str(json.loads(made.stdout)["key"])
    say(f"\n$ tallybook {command}\n{key}")
    return key


def kill_after_sending(server: EventServer) -> None:
    """Send events, kill the server right after its answer, start it and send the same events again."""
    run = uuid4().hex[:8]
    events = [
        {"event": EVENT, "id": f"{run}-{i}", "user": f"u-{i % 3}", "properties": {"page": page, "ms": 20 + i}}
        for i, page in enumerate(PAGES)
    ]
    say(f"\n$ curl -H 'Authorization: Bearer KEY' http://127.0.0.1:{server.port}/v1/events --data '[…]'")
    say(json.dumps(server.send(events)))
    say(f"\n$ kill -9 {' '.join(map(str, server.pids))}")
    server.kill()
    say("$ tallybook serve --listen … &      and the same events again, as a client does that got no answer")
    server.start()
    say(json.dumps(server.send(events)))


def hand_over(shell: Shell, yesterday: date) -> None:
    title("A workbook for everybody else")
    shell.run(f"export signups revenue active_users mrr latency --scope month --to {WORKBOOK}")
    folder = short(shell.folder)
    say(f"""
The project stays in {folder}/, with {WORKBOOK} to open. What to try next:
  {enter(shell.folder)}
  tallybook query latency error_rate --scope week --by plan --last "4 weeks"
  tallybook query revenue_per_user arpa --scope quarter
  tallybook query seats --scope month --last "3 months" --explain
  tallybook query api_calls --live --from {yesterday} --to today     the day so far, from the source
  tallybook events schema       what is known of the events; `events tail` shows them
  tallybook plan                what `run` would ask the database; touches nothing
  tallybook run --from DAY      collect again from DAY on; what changed is kept as a revision
  edit {PROJECT}, then `tallybook check`
Come back tomorrow, from here: `{short(Path(sys.executable))} -m tallybook.demo {folder} --keep` lets the company
live on, and `tallybook run` collects the new days, the late rows, and what changed in the last ones.

The same numbers as pages, with a query builder and a board: `tallybook serve`, then open
http://127.0.0.1:8321/""")


def enter(folder: Path) -> str:
    """The command that takes a shell to the demo's folder with `tallybook` on its path."""
    here = f"cd {short(folder)}"
    activate = Path(sys.executable).with_name("activate")
    if shutil.which("tallybook") or not activate.exists():
        return here
    return f"source {short(activate)} && {here}"


def short(path: Path) -> str:
    """A path as one would type it here: relative or absolute, whichever is shorter."""
    return shlex.quote(min(str(path), os.path.relpath(path), key=len))


# --- numbers


def last_whole_week(yesterday: date) -> date:
    """The Monday of the last complete week."""
    return yesterday - timedelta(days=(yesterday.weekday() + 1) % 7 + 6)


def week(monday: date) -> str:
    return f"--from {monday} --to {monday + timedelta(days=6)}"


def total(rows: list[dict[str, Any]], metric: str) -> Decimal:
    """The sum of a metric's values, exact to the digits shown."""
    values = [row[metric] for row in rows]
    if not values or None in values:
        raise DemoError(f"{metric} is not known on every day of the week")
    return sum((Decimal(str(value)) for value in values), Decimal())


def times(wrong: Decimal, right: Decimal) -> str:
    return f"{wrong / right:.1f} times" if right else "endless times"


def users_of_week(database: Path, monday: date) -> int:
    """The week's users by plain SQL, to check the book."""
    start, end = clock.midnight(monday), clock.midnight(monday + timedelta(days=7))
    sql = "select count(distinct user_id) from api_calls where called_at >= ? and called_at < ?"
    with closing(sqlite3.connect(database)) as db:
        (users,) = db.execute(sql, (start.isoformat(sep=" "), end.isoformat(sep=" "))).fetchone()
        return int(users)


# --- words


def title(text: str) -> None:
    say(f"\n--- {text} ---")


def say(text: str) -> None:
    # Flushed, because a pipe would otherwise show this text after the commands' output.
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
