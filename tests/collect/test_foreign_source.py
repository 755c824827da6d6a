"""A source of another package: the example of docs/extending.md, installed as a real package."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import installed as packages, warm
from tests.house.test_docs import DOCS, ROOT, blocks

Tallybook = Callable[..., subprocess.CompletedProcess[str]]
ORDERS = """\
created_at;plan;amount
2024-03-01 10:00:00;pro;12.50
2024-03-01 23:59:59;free;0.05
2024-03-02 00:00:00;pro;7.25
2024-03-04 08:00:00;pro;1000.00
"""


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    """The files of docs/extending.md by their names."""
    return {name: block.text for block in blocks(DOCS / "extending.md") if (name := block.said("file"))}


@pytest.fixture(scope="module")
def installed() -> Path:
    """The folder into which the example is installed."""
    return packages.installed("tally_csv")


@pytest.fixture
def shop(files: dict[str, str], tmp_path: Path) -> Path:
    """The project of the page, with a folder of orders."""
    (tmp_path / "tallybook.toml").write_text(files["tallybook.toml"])
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "orders.csv").write_text(ORDERS)
    return tmp_path


@pytest.fixture
def tallybook(installed: Path, shop: Path) -> Tallybook:
    """`tallybook("check")`, by a process that finds the package."""

    def run(*arguments: str, path: Path | None = installed) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHONPATH": str(path) if path else "", "NO_COLOR": "1", "COLUMNS": "120"}
        return warm.run(["-m", "tallybook", *arguments], cwd=shop, env=env)

    return run


def test_it_is_checked_run_asked_planned_and_scheduled_like_our_own(tallybook: Tallybook) -> None:
    checked = tallybook("check", "--source")
    assert checked.returncode == 0, checked.stderr
    assert "revenue" in checked.stdout
    assert "revenue" in tallybook("plan").stdout
    ran = tallybook("run", "--quiet")
    assert ran.returncode == 0, ran.stderr
    asked = tallybook(
        "query", "revenue", "--by", "plan", "--from", "2024-03-01", "--to", "2024-03-04", "--format", "json"
    )
    rows = {(row["period"], row["plan"]): row["revenue"] for row in json.loads(asked.stdout)["rows"]}
    assert {key: float(value) for key, value in rows.items() if value} == {
        ("2024-03-01", "pro"): 12.5,
        ("2024-03-01", "free"): 0.05,
        ("2024-03-02", "pro"): 7.25,
        ("2024-03-04", "pro"): 1000,
    }
    assert "tally-csv" in tallybook("schedule", "github").stdout


def test_a_key_of_its_own_is_checked_with_what_was_perhaps_meant(tallybook: Tallybook, shop: Path) -> None:
    toml = shop / "tallybook.toml"
    written = toml.read_text()
    toml.write_text(written.replace("delimiter = ", "delimeter = "))
    misspelled = tallybook("check")
    assert (misspelled.returncode, "did you mean 'delimiter'?" in misspelled.stderr) == (2, True)
    toml.write_text(written.replace('delimiter = ";"', 'delimiter = ";;"'))
    wrong = tallybook("check")
    assert wrong.returncode == 2
    assert "one character in quotes" in wrong.stderr
    assert 'delimiter = ";"' in wrong.stderr
    toml.write_text(written.replace('delimiter = ";"', 'files = ["exports/"]'))
    other = tallybook("check")
    assert (other.returncode, "only a DuckDB source has the key 'files'" in other.stderr) == (2, True)


def test_its_urls_have_the_parameters_it_says(tallybook: Tallybook, shop: Path) -> None:
    toml = shop / "tallybook.toml"
    toml.write_text(toml.read_text().replace("csvfolder:///data", "csvfolder:///data?encoding=latin1"))
    assert "has a parameter 'encoding', which csvfolder URLs do not support" in tallybook("check").stderr
    toml.write_text(toml.read_text().replace("csvfolder:///data?encoding=latin1", "csvfolder://data"))
    assert "needs three slashes before the folder" in tallybook("check").stderr


def test_without_the_package_its_scheme_is_not_known(tallybook: Tallybook) -> None:
    refused = tallybook("check", path=None)
    assert refused.returncode == 2
    assert "has the unknown scheme 'csvfolder'" in refused.stderr


def test_a_package_that_cannot_be_imported_is_a_problem_of_the_url_and_no_crash(
    tallybook: Tallybook, installed: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    (broken / "tally_csv-1.0.dist-info").mkdir(parents=True)
    (broken / "tally_csv-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: tally-csv\nVersion: 1.0\n"
    )
    entry = (next(installed.glob("*.dist-info")) / "entry_points.txt").read_text()
    (broken / "tally_csv-1.0.dist-info" / "entry_points.txt").write_text(entry)
    (broken / "tally_csv.py").write_text("import no_such_driver\n")
    refused = tallybook("check", path=broken)
    assert refused.returncode == 2, refused.stderr
    assert "pip install no_such_driver" in refused.stderr
    for text, words in (("def", "invalid syntax"), ("1 / 0", "division by zero"), ("x = 1", "CsvFolderSource")):
        (broken / "tally_csv.py").write_text(f"{text}\n")
        refused = tallybook("check", path=broken)
        assert (refused.returncode, words in refused.stderr) == (2, True), refused.stderr


def test_a_query_on_a_checked_project_imports_no_adapter(tallybook: Tallybook, installed: Path, shop: Path) -> None:
    assert tallybook("run", "--quiet").returncode == 0
    assert tallybook("query", "revenue", "--last", "3d").returncode == 0
    code = (
        "import sys; from tallybook.cli import invoke\n"
        "assert invoke(['query', 'revenue', '--from', '2024-03-01', '--to', '2024-03-02']) == 0\n"
        "print([m for m in sys.modules if m == 'tally_csv' or m.startswith('tallybook.collect.sources.registry.')])"
    )
    env = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run([sys.executable, "-c", code], cwd=shop, env=env, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_an_experimental_source_is_named_as_such(tallybook: Tallybook, shop: Path) -> None:
    toml = shop / "tallybook.toml"
    written = toml.read_text().replace('delimiter = ";"', "")
    toml.write_text(written.replace("csvfolder:///data", "snowflake://me:word@account/db/schema"))
    checked = tallybook("check")
    assert checked.returncode == 0, checked.stderr
    assert "source shop: Snowflake is experimental" in checked.stdout


def test_nothing_outside_of_an_adapter_asks_for_the_name_of_a_dialect() -> None:
    asked = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in (ROOT / "src").rglob("*.py")
        if "sources" not in path.parts
        for line in path.read_text().splitlines()
        if re.search(r"""dialect\)? (==|!=|in|not in) ["'(]""", line)
    ]
    assert asked == []


def test_the_generated_reference_lists_its_keys(installed: Path) -> None:
    code = "from docs.generate import pages; print(pages()['reference-toml.md'])"
    env = {**os.environ, "PYTHONPATH": str(installed)}
    done = warm.run(["-c", code], cwd=ROOT, env=env)
    assert '| CSV folder | `delimiter` | separates the values of a line | `","` | `delimiter = ";"` |' in done.stdout, (
        done.stderr
    )
