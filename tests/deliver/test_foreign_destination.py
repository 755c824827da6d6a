"""A destination and a scheduler of another package: the examples of docs/extending.md, installed as a real package."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path

import msgspec
import pytest

from tallybook.core import Delivery
from tallybook.deliver.deliveries import _as_fingerprinted
from tests import installed as packages, warm
from tests.house.test_docs import DOCS, ROOT, blocks

Tallybook = Callable[..., subprocess.CompletedProcess[str]]
DECLARED = """\
[book]
name = "Acme"
timezone = "UTC"
start = "2024-03-01"
[sources.app]
url = "sqlite:///app.sqlite"
[metrics.signups]
table = "users"
time = "at"
measure = "count(*)"
"""
DAYS = ("--from", "2024-03-01", "--to", "2024-03-03")


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    """The files of the example package by their names."""
    named = {block.said("file"): block.text for block in blocks(DOCS / "extending.md")}
    return {name.removeprefix("extras/"): text for name, text in named.items() if name and name.startswith("extras/")}


@pytest.fixture(scope="module")
def installed() -> Path:
    """The folder into which the example is installed."""
    return packages.installed("tally_extras")


@pytest.fixture
def acme(files: dict[str, str], tmp_path: Path) -> Path:
    """A project with a delivery to the destination of the package."""
    (tmp_path / "tallybook.toml").write_text(DECLARED + files["delivery.toml"])
    with closing(sqlite3.connect(tmp_path / "app.sqlite")) as database, database:
        database.execute("create table users (at text)")
        database.executemany("insert into users values (?)", [("2024-03-01 10:00:00",), ("2024-03-03 11:00:00",)])
    return tmp_path


@pytest.fixture
def tallybook(installed: Path, acme: Path) -> Tallybook:
    """`tallybook("check")`, by a process that finds the package."""

    def run(*arguments: str, path: Path | None = installed) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHONPATH": str(path) if path else "", "NO_COLOR": "1", "COLUMNS": "120"}
        return warm.run(["-m", "tallybook", *arguments], cwd=acme, env=env)

    return run


def signups(lines: str) -> dict[str, int]:
    rows = [json.loads(line) for line in lines.splitlines()]
    return {row["period"]: row["signups"] for row in rows if row["period"] <= "2024-03-03"}


COUNTED = {"2024-03-01": 1, "2024-03-02": 0, "2024-03-03": 1}


def test_it_is_checked_delivered_asked_exported_and_scheduled_like_our_own(tallybook: Tallybook, acme: Path) -> None:
    checked = tallybook("check")
    assert (checked.returncode, "feed.jsonl" in checked.stdout) == (0, True), checked.stderr
    ran = tallybook("run", "--quiet")
    assert ran.returncode == 0, ran.stderr
    assert signups((acme / "feed.jsonl").read_text()) == COUNTED
    assert "feed feed.jsonl up to date" in tallybook("deliver").stdout
    assert "up to date" in tallybook("deliver", "--force").stdout, "the same bytes are not written again"
    (acme / "feed.jsonl").unlink()
    assert "feed feed.jsonl delivered" in tallybook("deliver", "feed").stdout
    assert "would be delivered" in tallybook("deliver", "--dry-run", "--force").stdout
    asked = tallybook("query", "signups", *DAYS, "-o", "x.jsonl")
    assert asked.returncode == 0, asked.stderr
    assert signups((acme / "x.jsonl").read_text()) == COUNTED
    assert signups(tallybook("query", "signups", *DAYS, "--format", "jsonl").stdout) == COUNTED
    exported = tallybook("export", "signups", "--from", "2024-03-01", "--until", "2024-03-03", "--to", "y.jsonl")
    assert exported.returncode == 0, exported.stderr
    assert (acme / "y.jsonl").read_text() == (acme / "x.jsonl").read_text()


def test_a_scheduler_of_the_package_is_asked_by_its_name(tallybook: Tallybook, acme: Path) -> None:
    made = tallybook("schedule", "anacron")
    assert made.returncode == 0, made.stderr
    assert f"1 10 tallybook-acme {sys.executable.rpartition('/')[0]}/tallybook run --quiet" in made.stdout
    assert tallybook("schedule", "anacron", "--out", "units").returncode == 0
    assert (acme / "units" / "tallybook-acme.anacrontab").read_text() == made.stdout
    refused = tallybook("schedule", "anacrn")
    assert (refused.returncode, "Did you mean 'anacron'?" in refused.stderr) == (2, True)
    assert "--utc applies to cron" in tallybook("schedule", "anacron", "--utc").stderr
    assert "tallybook tally-extras" in tallybook("schedule", "github").stdout, "the package is installed there too"


@pytest.mark.cases(3)
@pytest.mark.parametrize(
    ("line", "instead", "told"),
    [
        ("gaps = true", "gabs = true", "did you mean 'gaps'?"),
        ("gaps = true", 'gaps = "often"', "true or false"),
        ("gaps = true", 'separator = ";"', "a JSON Lines file has no separator: only a CSV file has separator"),
        ("gaps = true", 'tab = "Daily"', "a JSON Lines file has no tabs"),
        ("gaps = true", 'layout = "across"', 'a JSON Lines file has no layout "across"'),
        ("feed.jsonl", "feed.json", "different extension"),
        ('to = "jsonl"', 'to = "jsonll"', 'did you mean "jsonl"?'),
        ('to = "jsonl"', 'to = "ndjson"', "is not one of the allowed values"),
    ],
)
def test_its_keys_are_checked_as_ours(tallybook: Tallybook, acme: Path, line: str, instead: str, told: str) -> None:
    toml = acme / "tallybook.toml"
    toml.write_text(toml.read_text().replace(line, instead))
    refused = tallybook("check")
    assert (refused.returncode, told in " ".join(refused.stderr.split())) == (2, True), refused.stderr


def test_a_key_of_its_own_is_unknown_elsewhere(tallybook: Tallybook, acme: Path) -> None:
    toml = acme / "tallybook.toml"
    toml.write_text(toml.read_text().replace('to = "jsonl"', 'to = "csv"').replace("feed.jsonl", "feed.csv"))
    assert "a CSV file has no gaps: only a JSON Lines file has gaps" in " ".join(tallybook("check").stderr.split())


def test_without_the_package_its_name_is_not_known(tallybook: Tallybook) -> None:
    refused = tallybook("check", path=None)
    assert (refused.returncode, "is not one of the allowed values" in refused.stderr) == (2, True)
    assert "cannot tell the format of a query" in tallybook("query", "signups", "-o", "x.jsonl", path=None).stderr
    assert "is not one of" in tallybook("query", "signups", "--format", "jsonl", path=None).stderr


def test_a_package_that_goes_after_a_run_fails_its_delivery_and_nothing_else(tallybook: Tallybook) -> None:
    assert tallybook("run", "--quiet").returncode == 0
    assert tallybook("query", "signups", *DAYS).returncode == 0, "the checked catalog is kept beside the book"
    assert tallybook("query", "signups", *DAYS, path=None).returncode == 0
    gone = tallybook("deliver", path=None)
    assert (gone.returncode, "no destination 'jsonl'" in gone.stderr) == (1, True)
    assert "install the package that it comes with" in gone.stderr
    assert tallybook("run", "--quiet", path=None).returncode == 1
    assert "days late" in tallybook("status", path=None).stdout
    assert tallybook("schedule", "cron", path=None).returncode == 0


def test_a_package_that_cannot_be_imported_is_a_problem_and_no_crash(
    tallybook: Tallybook, installed: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken" / "tally_extras-1.0.dist-info"
    broken.mkdir(parents=True)
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: tally-extras\nVersion: 1.0\n")
    entry = next(installed.glob("*.dist-info")) / "entry_points.txt"
    (broken / "entry_points.txt").write_text(entry.read_text())
    (broken.parent / "tally_jsonl.py").write_text("import no_such_package\n")
    refused = tallybook("check", path=broken.parent)
    assert (refused.returncode, "pip install no_such_package" in refused.stderr) == (2, True), refused.stderr
    wanted = tallybook("query", "signups", "--format", "jsonl", path=broken.parent)
    assert (wanted.returncode, "pip install no_such_package" in wanted.stderr) == (2, True), wanted.stderr


def test_it_keeps_what_every_destination_promises(installed: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(installed)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n0",
        "tests/conformance/test_destination_promises.py",
        "--adapter",
        "jsonl",
    ]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout
    assert "18 passed" in done.stdout, done.stdout


def test_the_generated_reference_lists_it(installed: Path) -> None:
    code = "import json; from docs.generate import pages; print(json.dumps(pages()))"
    env = {**os.environ, "PYTHONPATH": str(installed)}
    done = warm.run(["-c", code], cwd=ROOT, env=env)
    pages = json.loads(done.stdout)
    assert (
        "| `gaps` | in JSON Lines: also periods without data | `false` | `gaps = true` |" in pages["reference-toml.md"]
    )
    assert ", jsonl |" in pages["reference-toml.md"]
    assert "markdown|jsonl]" in pages["reference-cli.md"]
    assert "windows|anacron}" in pages["reference-cli.md"]


@pytest.mark.parametrize(
    ("delivery", "hashed"),
    [
        (
            Delivery(
                name="list", to="csv", path="list.csv", metrics=("signups",), last="7 days",
                options={"separator": ";", "decimal": ",", "bom": True, "guard": False},
            ),
            "d4ed70fe844cf109",
        ),
        (
            Delivery(name="board", to="xlsx", path="b.xlsx", metrics=("signups",), tab="Daily", from_=date(2024, 1, 1)),
            "1dec248f5867e8bb",
        ),
        (
            Delivery(
                name="sheet", to="google_sheets", metrics=("signups",),
                options={
                    "api": "http://127.0.0.1:1", "spreadsheet": "1UgxVGDt8X0YgB9JYRVQ", "mode": "mirror",
                    "by_hand": "keep", "notes": True,
                },
            ),
            "cff6bdc56e738e89",
        ),
    ],
)  # fmt: skip
def test_a_delivery_is_hashed_as_before_options_so_that_an_update_writes_none_again(
    delivery: Delivery, hashed: str
) -> None:
    packed = msgspec.msgpack.encode(_as_fingerprinted(delivery))
    assert hashlib.blake2b(packed, digest_size=8).hexdigest() == hashed
