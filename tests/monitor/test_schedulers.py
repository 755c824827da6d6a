"""What is written for schedulers: read as they read it, and the command in it run as they run it."""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import crontab
import kubernetes_validate
import pytest
import yaml
from hypothesis import example, given, strategies as st

from tallybook.cli import invoke
from tallybook.core.adapters.schedulers import SCHEDULERS
from tallybook.monitor.schedule.job import safe_time

NOW = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
SECRET = "correct-horse-battery"
CRON = {"HOME": "/nonexistent", "LOGNAME": "nobody", "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh"}
"""All that cron gives to a command."""
TASK = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


class Repository:
    """A checkout with a project in a folder whose name is none for the careless; its database, its .env."""

    def __init__(self, home: Path) -> None:
        self.root = home / "a check out"
        self.folder = self.root / "it's 100% $HOME \\ metrics"
        self.folder.mkdir(parents=True)
        (self.root / ".git").mkdir()
        with closing(sqlite3.connect(self.folder / "app.db")) as db:
            db.execute("create table users (created_at text)")
            db.execute("insert into users values (datetime('now', '-1 day'))")
            db.commit()
        (self.folder / ".env").write_text(f"DATABASE_URL=sqlite:///app.db\nTOKEN={SECRET}\n")
        self.declare()

    def declare(self, more: str = "", zone: str = "Europe/Berlin") -> None:
        start = datetime.now(UTC).date() - timedelta(days=3)
        (self.folder / "tallybook.toml").write_text(f"""
[book]
name = "Acme & Söhne"
timezone = "{zone}"
start = "{start}"

[sources.app]
url = "${{DATABASE_URL}}"  # not ${{COMMENTED}}

[metrics.signups]
table = "users"
time = "created_at"
measure = "count(*)"
description = "${{TOKEN:-nothing}} costs $${{MONEY}}"
{more}""")

    def schedule(self, scheduler: str, *options: str) -> dict[str, str]:
        """The files by their endings, as `--out` writes them; printed they are the same."""
        out = self.root / "out"
        assert self.say("schedule", scheduler, "--out", str(out), *options)[0] == 0
        texts = {path.name.removeprefix("tallybook-acme-sohne"): path.read_text() for path in sorted(out.iterdir())}
        printed = self.say("schedule", scheduler, *options)[1]
        for text in texts.values():
            assert text in printed
            assert SECRET not in text
        shutil.rmtree(out)
        return texts

    def say(self, *argv: str, **env: str) -> tuple[int, str]:
        said = io.StringIO()
        code = invoke([*argv, "--project", str(self.folder)], now=lambda: NOW, stdout=said, stderr=said, env=env)
        return code, said.getvalue()

    def runs(self) -> list[str]:
        said = io.StringIO()
        assert invoke(["runs", "--format", "json", "--project", str(self.folder)], stdout=said, env={}) == 0
        return [run["status"] for run in json.loads(said.getvalue())]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


# ------------------------------------------------------------------- each file parses where it belongs


def test_a_crontab_is_read_by_cron(repository: Repository, tmp_path: Path) -> None:
    (text,) = repository.schedule("cron").values()
    table = crontab.CronTab(tab=text, user=False)
    daily, at_boot = table.crons
    assert (str(daily.slices), str(at_boot.slices)) == ("30 3 * * *", "@reboot")
    assert daily.env["CRON_TZ"] == "Europe/Berlin"
    assert all(line.startswith("#") for line in text.splitlines()[:-3])
    if shutil.which("crontab"):  # pragma: no cover
        (tmp_path / "crontab").write_text(text)
        subprocess.run(["crontab", "-T", str(tmp_path / "crontab")], check=True)


def test_a_cron_without_zones_gets_a_time_in_utc_that_is_never_too_early(repository: Repository) -> None:
    (text,) = repository.schedule("cron", "--utc").values()
    assert "02:30 UTC is 03:30 in Europe/Berlin or, while the clock is ahead there, 04:30." in " ".join(
        text.split("\n# ")
    )
    assert "CRON_TZ=UTC\n30 2 * * * " in text


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")
def test_systemd_finds_nothing_wrong_with_its_units(repository: Repository, tmp_path: Path) -> None:
    for ending, text in repository.schedule("systemd", "--at", "04:15").items():
        (tmp_path / f"tallybook-acme{ending}").write_text(text)
    units = [str(tmp_path / f"tallybook-acme{ending}") for ending in (".service", ".timer")]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "tallybook-acme" in line and "org.freedesktop" not in line]
    assert (done.returncode, ours) == (0, [])
    calendar = re.search(r"^OnCalendar=(.*)$", Path(units[1]).read_text(), re.MULTILINE)
    assert calendar
    said = subprocess.run(["systemd-analyze", "calendar", calendar[1]], capture_output=True, text=True, check=True)
    assert "*-*-* 04:15:00 Europe/Berlin" in said.stdout
    assert "Persistent=true\n" in Path(units[1]).read_text()


@pytest.mark.parametrize(("scheduler", "schema"), [("github", "github-workflows"), ("gitlab", "gitlab-ci")])
def test_a_workflow_keeps_to_the_published_schema(
    repository: Repository, tmp_path: Path, scheduler: str, schema: str
) -> None:
    (text,) = repository.schedule(scheduler).values()
    (tmp_path / "workflow.yml").write_text(text)
    checker = [str(Path(sys.executable).with_name("check-jsonschema")), "--builtin-schema", f"vendor.{schema}"]
    done = subprocess.run([*checker, str(tmp_path / "workflow.yml")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_github_keeps_the_book_in_the_cache_and_takes_secrets_by_name(repository: Repository) -> None:
    (text,) = repository.schedule("github").values()
    assert 0 < text.index("belongs in PostgreSQL") < text.index("The machine is deleted")
    workflow = yaml.safe_load(text)
    assert workflow[True]["schedule"] == [{"cron": "30 3 * * *", "timezone": "Europe/Berlin"}]  # `on` is a yes in YAML
    steps = workflow["jobs"]["run"]["steps"]
    assert steps[4]["env"] == {name: f"${{{{ secrets.{name} }}}}" for name in ("DATABASE_URL", "TOKEN")}
    restore, save = steps[3], steps[5]
    assert restore["with"]["path"] == save["with"]["path"] == f"{repository.folder.name}/book"
    assert save["if"] == "always()"
    assert restore["with"]["key"].startswith(restore["with"]["restore-keys"])
    assert "COMMENTED" not in text
    assert "MONEY" not in text


def test_kubernetes_knows_every_field_of_its_resources(repository: Repository) -> None:
    files = repository.schedule("kubernetes")
    claim, job = yaml.safe_load_all(files[".cronjob.yaml"])
    for resource in (claim, job):
        kubernetes_validate.validate(resource, kubernetes_validate.latest_version(), strict=True)
    spec = job["spec"]
    assert (spec["schedule"], spec["timeZone"], spec["concurrencyPolicy"]) == ("30 3 * * *", "Europe/Berlin", "Forbid")
    assert 3600 <= spec["startingDeadlineSeconds"] < 24 * 3600
    (container,) = spec["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    refs = {env["name"]: env["valueFrom"]["secretKeyRef"] for env in container["env"]}
    assert refs["DATABASE_URL"] == {"name": job["metadata"]["name"], "key": "DATABASE_URL"}
    assert refs["TOKEN"]["optional"] is True
    assert container["volumeMounts"] == [{"name": "book", "mountPath": "/project/book"}]
    assert ".env" not in re.sub(r"#.*", "", files[".Dockerfile"])


def test_a_windows_task_has_the_elements_of_the_task_schema(repository: Repository) -> None:
    (text,) = repository.schedule("windows").values()
    task = ET.fromstring(text)
    assert [part.tag for part in task] == [
        f"{TASK}{n}" for n in ("RegistrationInfo", "Triggers", "Settings", "Actions")
    ]
    assert task.findtext(f".//{TASK}StartWhenAvailable") == "true"
    assert task.findtext(f".//{TASK}MultipleInstancesPolicy") == "IgnoreNew"
    trigger = task.find(f".//{TASK}CalendarTrigger")
    assert trigger is not None
    assert [part.tag.removeprefix(TASK) for part in trigger] == ["StartBoundary", "Enabled", "ScheduleByDay"]
    assert trigger.findtext(f"{TASK}StartBoundary") == "2026-03-10T02:30:00Z"
    assert trigger.findtext(f"{TASK}ScheduleByDay/{TASK}DaysInterval") == "1"


def test_heroku_is_told_the_next_half_hour(repository: Repository) -> None:
    (text,) = repository.schedule("heroku", "--at", "03:10").values()
    assert "Every day at… 02:30 AM UTC" in text
    assert subprocess.run(["/bin/sh", "-n"], input=text, text=True, check=False).returncode == 0


# ------------------------------------------------------------------------------- the command in it runs

Found = Callable[[dict[str, str]], tuple[str, bool]]


def of_cron(files: dict[str, str]) -> tuple[str, bool]:
    (line,) = re.findall(r"^30 3 \* \* \* (.*)$", files[".crontab"], re.MULTILINE)
    return re.sub(r"\\%", "%", line), True  # as cron hands it to the shell


def of_systemd(files: dict[str, str]) -> tuple[str, bool]:
    (line,) = re.findall(r"^ExecStart=(.*)$", files[".service"], re.MULTILINE)
    words = [w.replace("%%", "%").replace("$$", "$") for w in re.findall(r'"((?:[^"\\]|\\.)*)"', line)]
    return shlex.join(re.sub(r"\\(.)", r"\1", word) for word in words), True


def of_heroku(files: dict[str, str]) -> tuple[str, bool]:
    (line,) = re.findall(r"Run Command: +(.*)$", files[".heroku.sh"], re.MULTILINE)
    return line, False


def of_github(files: dict[str, str]) -> tuple[str, bool]:
    steps = yaml.safe_load(files[".yml"])["jobs"]["run"]["steps"]
    return next(step["run"] for step in steps if "tallybook run" in step.get("run", "")), False


def of_gitlab(files: dict[str, str]) -> tuple[str, bool]:
    (job,) = yaml.safe_load(files[".gitlab-ci.yml"]).values()
    command: str = job["script"][-1]
    return command, False


def of_kubernetes(files: dict[str, str]) -> tuple[str, bool]:
    *_, job = yaml.safe_load_all(files[".cronjob.yaml"])
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    return shlex.join(container["command"]), False


def of_windows(files: dict[str, str]) -> tuple[str, bool]:
    task = ET.fromstring(files[".xml"])
    arguments = task.findtext(f".//{TASK}Arguments") or ""
    assert task.findtext(f".//{TASK}Command") == "wsl.exe"
    words = [quoted.replace('\\"', '"') or bare for quoted, bare in re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', arguments)]
    assert words[0] == "--exec"
    return shlex.join(words[1:]), True


@pytest.mark.cases(3)
@pytest.mark.parametrize("found", [of_cron, of_systemd, of_heroku, of_github, of_gitlab, of_kubernetes, of_windows])
def test_the_command_in_the_file_runs_where_nothing_is_set(repository: Repository, found: Found) -> None:
    scheduler = found.__name__.removeprefix("of_")
    command, here = found(repository.schedule(scheduler))
    env = dict(CRON)
    if not here:  # elsewhere pip has put `tallybook` on the path, and the checkout is the current folder
        env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
        command = (
            command.replace("/project", shlex.quote(str(repository.folder))) if scheduler == "kubernetes" else command
        )
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd="/" if here else repository.root, env=env, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert repository.runs() == ["done"]


# --------------------------------------------------------------------------------------- when, and what


def test_the_declared_time_is_meant_unless_another_is_said(repository: Repository) -> None:
    repository.declare('[schedule]\nat = "05:45"')
    assert "\n45 5 * * * " in repository.schedule("cron")[".crontab"]
    assert "\n15 6 * * * " in repository.schedule("cron", "--at", "06:15")[".crontab"]


def test_a_schedule_that_is_not_daily_is_no_time_for_these_files(repository: Repository) -> None:
    repository.declare('[schedule]\ncron = "0 */6 * * *"')
    code, said = repository.say("schedule", "cron")
    assert code == 2
    assert "--at 03:30" in said
    assert "\n30 3 * * * " in repository.schedule("cron", "--at", "03:30")[".crontab"]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["schedule", "crown"], "'crown' is not one of"),
        (["schedule", "cron", "--at", "25:00"], "'25:00' is not a time of day; expected a form like 03:30"),
        (["schedule", "github", "--utc"], "--utc applies to cron"),
    ],
)
def test_what_cannot_be_scheduled_is_told(repository: Repository, typed: list[str], told: str) -> None:
    code, said = repository.say(*typed)
    assert code == 2
    assert told in said


def test_hosts_elsewhere_are_given_the_keys_of_google_too(repository: Repository) -> None:
    repository.declare("""
[deliveries.board]
to = "google_sheets"
spreadsheet = "1UgxVGDt8X0YgB9JYRVQ"
metrics = ["signups"]
""")
    files = {scheduler: "".join(repository.schedule(scheduler).values()) for scheduler in SCHEDULERS.builtin}
    has = {scheduler for scheduler, text in files.items() if "TALLYBOOK_GOOGLE_REFRESH_TOKEN" in text}
    assert has == {"heroku", "github", "gitlab", "kubernetes"}
    assert "tallybook[google]" in files["github"]


def test_hosts_elsewhere_install_what_the_sources_need(repository: Repository) -> None:
    repository.declare()
    toml = repository.folder / "tallybook.toml"
    toml.write_text(toml.read_text().replace('"${DATABASE_URL}"', '"postgresql://reader@db/app"'))
    for scheduler in ("heroku", "github", "gitlab", "kubernetes"):
        assert "tallybook[postgresql]" in "".join(repository.schedule(scheduler).values())


def test_a_book_in_its_ledger_needs_no_disk_anywhere(repository: Repository) -> None:
    repository.declare()
    without = {
        name: "".join(repository.schedule(name).values()) for name in ("heroku", "github", "gitlab", "kubernetes")
    }
    toml = repository.folder / "tallybook.toml"
    kept = 'ledger = "${LEDGER_URL:-postgresql://reader@db/app}"\nstore = "ledger"'
    toml.write_text(toml.read_text().replace("start = ", f"{kept}\nstart = "))
    for name, text in without.items():
        now = "".join(repository.schedule(name).values())
        assert len(now) < len(text), "no cache, no claim, and no warning of what is lost"
        assert "LEDGER_URL" in now
        assert "tallybook[postgresql]" in now
    assert "The disk is deleted" in without["heroku"]


def test_a_windows_task_names_the_distribution_it_was_written_in(repository: Repository) -> None:
    code, said = repository.say("schedule", "windows", WSL_DISTRO_NAME="Ubuntu & friends")
    assert code == 0
    arguments = ET.fromstring(said).findtext(f".//{TASK}Arguments") or ""
    assert arguments.startswith('--distribution "Ubuntu & friends" --exec ')


def test_a_name_of_any_letters_makes_a_name_for_files(repository: Repository) -> None:
    toml = repository.folder / "tallybook.toml"
    for book, name in (("Ёлки", "book"), ("a/b: c" * 20, "a-b-ca-b-ca-b-ca-b-ca-b-ca-b-c")):
        toml.write_text(re.sub('name = ".*"', f'name = "{book}"', toml.read_text()))
        code, said = repository.say("schedule", "systemd")
        assert code == 0
        assert f"# ------ tallybook-{name}.timer\n" in said


@pytest.mark.parametrize("scheduler", SCHEDULERS.builtin)
def test_every_scheduler_has_its_place_on_the_page(scheduler: str) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "schedule.md"
    is_there = re.search(rf"tallybook schedule {scheduler}\b", page.read_text())
    assert is_there, f"docs/schedule.md lacks a section with: tallybook schedule {scheduler}"


ZONES = sorted(z for z in available_timezones() if "/" in z and not z.startswith(("posix/", "right/")))


@given(zone=st.sampled_from(ZONES), at=st.times().map(lambda t: t.replace(second=0, microsecond=0)), step=st.just(1))
@example(zone="Europe/Berlin", at=time(3, 10), step=30)
@example(zone="Africa/Casablanca", at=time(3, 30), step=1)
@example(zone="Australia/Lord_Howe", at=time(0, 0), step=30)
@example(zone="America/Los_Angeles", at=time(23, 59), step=30)
def test_a_safe_time_is_never_before_the_wanted_one_and_at_most_two_hours_after(zone: str, at: time, step: int) -> None:
    today = date(2026, 3, 10)
    utc = safe_time(at, zone, today, step=step).utc
    assert (utc.hour * 60 + utc.minute) % step == 0
    for day in range(0, 720, 3):
        instant = datetime.combine(today + timedelta(days=day), utc, UTC)
        shown: Any = instant.astimezone(ZoneInfo(zone))
        late = (shown.hour * 60 + shown.minute - at.hour * 60 - at.minute) % (24 * 60)
        assert late <= 150, f"{shown} for {at}"
