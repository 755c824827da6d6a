"""`accounts export` and `users export`: the same rows as the list, as CSV, NDJSON and Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tallybook.cli import invoke
from tests.projects import Project, project

__all__ = ["project"]

ROWS = [
    (1, "Acme", "pro", 3, 49.5, "2024-01-05 10:00:00"),
    (2, "=1+2", "trial", 7, 0.1, "2024-03-01 10:00:00"),
    (3, 'Zoë, "Ltd"\nBerlin', None, None, None, None),
    (4, "", "trial", 12, -2.0, "2024-02-01 00:00:00"),
]
DECLARED = """
[accounts]
table = "accounts"
attributes = ["name", "plan", "seats", "mrr", "created_at"]

[metrics.calls]
table = "calls"
time = "at"
measure = "count(*)"
by = ["account_id"]

[accounts.metrics]
calls_7d = { metric = "calls", last = "7 days" }

[users]
table = "people"
account = "account_id"
attributes = ["email"]
"""
Exported = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shop(project: Any) -> Project:
    found: Project = project("sqlite")
    found.table("accounts (id int, name text, plan text, seats int, mrr double, created_at timestamp)", ROWS)
    found.table("calls (account_id int, at timestamp)", [(1, "2024-03-04 10:00:00")] * 3)
    found.table("people (id text, email text, account_id int)", [("u1", "ann@acme.com", 1), ("u2", None, None)])
    found.declare(DECLARED)
    found.run()
    return found


@pytest.fixture
def export(shop: Project, capfdbinary: pytest.CaptureFixture[bytes]) -> Exported:
    def run(kind: str, *arguments: str) -> tuple[int, str, str]:
        shop.close()
        capfdbinary.readouterr()
        code = invoke([kind, "export", *arguments, "--project", str(shop.folder)], now=lambda: shop.now)
        printed = capfdbinary.readouterr()
        return code, printed.out.decode(), printed.err.decode()

    return run


def test_csv_keeps_empty_text_and_null_different_and_guards_formulas(export: Exported, tmp_path: Path) -> None:
    file = tmp_path / "all.csv"
    code, out, err = export("accounts", str(file), "--columns", "name,plan,seats,mrr,created_at,calls_7d")
    assert (code, out) == (0, "")
    assert err.endswith("all.csv: 4 accounts.\n")
    with file.open(newline="", encoding="utf-8") as opened:
        rows = list(csv.reader(opened))
    assert rows == [
        ["id", "name", "plan", "seats", "mrr", "created_at", "calls_7d"],
        ["1", "Acme", "pro", "3", "49.5", "2024-01-05T10:00:00Z", "3"],
        ["2", "'=1+2", "trial", "7", "0.1", "2024-03-01T10:00:00Z", "0"],
        ["3", 'Zoë, "Ltd"\nBerlin', "", "", "", "", "0"],
        ["4", "", "trial", "12", "-2.0", "2024-02-01T00:00:00Z", "0"],
    ]
    assert '4,"",trial' in file.read_text()  # quotes: an empty text; nothing: null


def test_parquet_has_typed_columns_and_texts_as_they_are(export: Exported, tmp_path: Path) -> None:
    file = tmp_path / "trials.PARQUET"
    asked = ("--where", "plan = 'trial' and seats > 5", "--sort", "-seats")
    assert export("accounts", str(file), *asked, "--columns", "name,seats,mrr,created_at")[0] == 0
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        found = db.execute(f"SELECT * REPLACE (strftime(created_at, '%c') AS created_at) FROM '{file}'").fetchall()
        types = [row[1] for row in db.execute(f"DESCRIBE FROM '{file}'").fetchall()]
    assert [row[:4] for row in found] == [("4", "", 12, -2.0), ("2", "=1+2", 7, 0.1)]
    assert types == ["VARCHAR", "VARCHAR", "BIGINT", "DOUBLE", "TIMESTAMP WITH TIME ZONE"]


@pytest.mark.parametrize("file", [(), ("-",)])
def test_without_a_file_ndjson_goes_to_stdout_as_the_list_has_it(
    shop: Project, export: Exported, file: tuple[str, ...]
) -> None:
    listed = shop.book.entities("users").list("account = '1' or email is null").to_dict()["users"]
    code, out, err = export("users", *file, "--where", "account = '1' or email is null")
    assert (code, err) == (0, "")
    assert [json.loads(line) for line in out.splitlines()] == listed
    assert [row["id"] for row in listed] == ["u1", "u2"]


def test_the_state_of_a_day_is_exported(shop: Project, export: Exported, tmp_path: Path) -> None:
    before = shop.now
    shop.at("2024-03-08T06:00")
    shop.execute("UPDATE accounts SET plan = 'pro' WHERE id = 2")
    shop.run()
    day = str(before.date())
    assert export("accounts", str(tmp_path / "then.ndjson"), "--columns", "plan", "--as-of", day)[0] == 0
    assert export("accounts", str(tmp_path / "now.jsonl"), "--columns", "plan")[0] == 0
    plans = [[json.loads(line)["plan"] for line in (tmp_path / n).open()] for n in ("then.ndjson", "now.jsonl")]
    assert plans == [["pro", "trial", None, "trial"], ["pro", "pro", None, "trial"]]


@pytest.mark.parametrize("ending", ["csv", "ndjson", "parquet"])
def test_a_value_that_is_not_known_is_empty_and_the_reason_is_printed(
    shop: Project, export: Exported, tmp_path: Path, ending: str
) -> None:
    shop.at("2024-03-09T06:00")  # days without a run
    file = tmp_path / f"calls.{ending}"
    code, _, err = export("accounts", str(file), "--columns", "calls_7d")
    assert code == 0
    assert "calls_7d is not known: 2024-03-" in err
    with duckdb.connect() as db:
        read = f"read_json('{file}')" if ending == "ndjson" else f"'{file}'"
        assert db.execute(f"SELECT count(*), count(calls_7d) FROM {read}").fetchall() == [(4, 0)]
    _, _, err = export("accounts", str(file), "--where", "calls_7d < 10")
    assert f"calls.{ending}: 0 accounts; for 4 the condition is not known." in err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("a.txt",), "cannot tell the format from the ending of"),
        (("-", "--file-format", "parquet"), "needs a file: tallybook accounts export accounts.parquet"),
        (("a.csv", "--columns", "plann"), "did you mean 'plan'?"),
        (("a.csv", "--where", "plan ="), "plan ="),
        (("a.csv", "--limit", "0"), "leaves nothing"),
        (("missing/a.csv",), "missing"),
    ],
)
def test_a_wrong_export_leaves_the_file_as_it_was(
    export: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("before")
    code, _, err = export("accounts", *arguments)
    assert code == 2
    assert why in err
    assert Path("a.csv").read_text() == "before"
    assert not [*tmp_path.glob("*.tmp")]
