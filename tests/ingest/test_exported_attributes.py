"""What `accounts export` writes to CSV is imported again with the same ids, values and types."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from tallybook.cli import invoke
from tests.projects import Project

ACCOUNTS: dict[str, dict[str, Any]] = {
    "007": {"formula": "=1+1", "zip": "01067", "note": "", "seats": 3, "rate": 0.5, "paying": True},
    "7": {"formula": "'=1+1", "zip": "10115", "note": ' a, "b"\n', "seats": -3, "rate": -1.25, "paying": False},
    "=A1": {"formula": "+49 351", "zip": "1", "note": "''@x", "seats": 0, "rate": 1e300, "paying": True},
    "-5": {"formula": "plain's", "zip": "00", "note": "null", "-odd": "x"},
}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    found = Project(tmp_path / "acme", f"sqlite:///{tmp_path}/app.sqlite", now="2026-03-01T12:00")
    found.declare("[accounts]\n")
    for account, attributes in ACCOUNTS.items():
        found.book.push_attributes("accounts", account, attributes=attributes)
    yield found
    found.close()


def attributes(project: Project) -> dict[str, dict[str, Any]]:
    ledger = project.book.entities("accounts").ledger
    return {one.id: one.record.effective() for one in ledger.every("accounts")[1]}


def written(file: Path) -> None:
    """The file counts from the time when it was written: a day after the push."""
    os.utime(file, (0, datetime(2026, 3, 2, 11, tzinfo=UTC).timestamp()))


def command(project: Project, *typed: str) -> int:
    out = StringIO()
    code = invoke([*typed, "--project", str(project.folder)], now=lambda: project.now, stdout=out, stderr=out)
    assert code == 0, out.getvalue()
    return code


def test_an_export_is_imported_again_without_a_change(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "accounts.csv"
    command(project, "accounts", "export", str(file))
    written(file)
    before = attributes(project)
    assert before == ACCOUNTS
    project.at("2026-03-02T12:00")
    command(project, "accounts", "import", str(file))
    assert attributes(project) == before


def test_an_export_is_the_same_accounts_in_an_empty_book(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "accounts.csv"
    command(project, "accounts", "export", str(file))
    written(file)
    other = Project(tmp_path / "other", f"sqlite:///{tmp_path}/other.sqlite", now="2026-03-02T12:00")
    other.declare("[accounts]\n")
    command(other, "accounts", "import", str(file))
    assert attributes(other) == ACCOUNTS
    other.close()
