"""What the shell is offered where somebody presses the tab key."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOML = """
[sources.app]
url = "sqlite:///app.db"

[metrics.revenue]
table = "payments"
time = "paid_at"
measure = "sum(amount)"
by = ["plan", "country"]

[metrics.refunds]
table = "payments"
time = "paid_at"
measure = "count(*)"
by = ["plan"]

[metrics.refunds_per_revenue]
measure = "refunds / revenue"

[goals.revenue_per_month]
metric = "revenue"
target = 1000

[goals.few_refunds]
metric = "refunds"
target = 10
at_most = true
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tallybook.toml").write_text(TOML)
    return tmp_path


def offered(project: Path, line: str) -> list[str]:
    """What bash gets for the last word of a line; a line that ends with a blank has begun no word."""
    words = line.split(" ")
    env = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_TALLYBOOK_COMPLETE": "bash_complete"}
    ended = subprocess.run(
        [sys.executable, "-m", "tallybook"],
        cwd=project, env={**os.environ, **env}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not ended.stderr
    return [line.partition(",")[2] for line in ended.stdout.splitlines() if line]


@pytest.mark.cases(4)
@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("tallybook wh", ["why"]),
        ("tallybook query re", ["revenue", "refunds", "refunds_per_revenue"]),
        ("tallybook query revenue,ref", ["revenue,refunds", "revenue,refunds_per_revenue"]),
        ("tallybook why rev", ["revenue"]),
        ("tallybook coverage rev", ["revenue"]),
        ("tallybook query revenue --by ", ["plan", "country"]),
        ("tallybook query revenue refunds --by ", ["plan"]),
        ("tallybook query revenue --by plan,", ["plan,country"]),
        ("tallybook query refunds_per_revenue --where ", ["plan="]),
        ("tallybook query revenue --scope q", ["quarter"]),
        ("tallybook query revenue --show l", ["last"]),
        ("tallybook query revenue --format m", ["markdown"]),
        ("tallybook goals ", ["revenue_per_month", "few_refunds"]),
        ("tallybook goals few_refunds,r", ["few_refunds,revenue_per_month"]),
    ],
)
def test_what_fits_is_offered(project: Path, line: str, offers: list[str]) -> None:
    assert offered(project, line) == offers


def test_a_file_with_mistakes_still_offers_its_metrics(project: Path) -> None:
    (project / "tallybook.toml").write_text(TOML.replace("sum(amount)", "sum(((amount"))
    assert offered(project, "tallybook query rev") == ["revenue"]


def test_without_a_project_there_is_nothing_to_offer_and_nothing_is_said(tmp_path: Path) -> None:
    assert offered(tmp_path, "tallybook query re") == []


def test_the_script_for_bash_is_one_that_bash_takes(project: Path) -> None:
    if shutil.which("bash") is None:
        pytest.skip("there is no bash here")
    script = subprocess.run(
        [sys.executable, "-m", "tallybook", "completion", "bash"], capture_output=True, text=True, check=True
    ).stdout
    said = subprocess.run(
        ["bash", "-c", f"{script}\ncomplete -p tallybook"], capture_output=True, text=True, check=True
    )
    assert "_tallybook_completion" in said.stdout


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_there_is_a_script_for_the_other_shells(project: Path, shell: str) -> None:
    script = subprocess.run(
        [sys.executable, "-m", "tallybook", "completion", shell], capture_output=True, text=True, check=True
    ).stdout
    assert f"_TALLYBOOK_COMPLETE={shell}_complete" in script
