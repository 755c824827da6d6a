"""`decimals = 2` makes money exact where the database holds it in floats."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import tallybook
from tests.loading import open_database
from tests.oracle import Column, Table

DECLARED = """
[book]
timezone = "UTC"
start = "2026-03-01"
[sources.app]
url = "{url}"
[metrics.revenue]
table = "sales"
time = "at"
measure = "sum(amount)"
decimals = 2
[metrics.dearest]
table = "sales"
time = "at"
measure = "max(amount)"
decimals = 2
"""


def book(folder: Path, url: str, amounts: list[float]) -> tallybook.Book:
    database = open_database(url)
    columns = (Column(name="id", type="int"), Column(name="at", type="timestamp"), Column(name="amount", type="float"))
    rows = [{"id": i, "at": datetime(2026, 3, 1, 12), "amount": a} for i, a in enumerate(amounts)]
    database.create(Table(name="sales", columns=columns, rows=rows))
    (folder / "tallybook.toml").write_text(DECLARED.format(url=url))
    return tallybook.open(folder, now=lambda: datetime(2026, 3, 2, 12, tzinfo=UTC))


def test_floats_declared_as_money_add_up_exactly(tmp_path: Path, database_url: str) -> None:
    with book(tmp_path, database_url, [0.1, 0.2, 19.99]) as found:
        assert found.run().exit_code == 0
        (row,) = found.query("revenue", "dearest", from_="2026-03-01", to="2026-03-01").rows()
    assert (row["period"], row["revenue"], row["dearest"]) == (date(2026, 3, 1), Decimal("20.29"), Decimal("19.99"))


def test_more_digits_than_declared_are_refused_not_rounded(tmp_path: Path, database_url: str) -> None:
    with book(tmp_path, database_url, [0.1, 0.125]) as found:
        report = {m.metric: m for m in found.run("revenue").metrics}
    assert "1 row has more digits than decimals = 2" in (report["revenue"].error or "")
    assert "decimals = 4" in report["revenue"].hint
