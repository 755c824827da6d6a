"""CSV files as spreadsheets of other countries and other programs want them."""

from __future__ import annotations

import csv
from decimal import Decimal

import pytest

from tests.deliver.test_deliveries import problems
from tests.projects import Project, project

__all__ = ["project"]

ROWS = [
    (1, "2024-01-01 10:00:00", "-1", "1.5"), (2, "2024-01-01 11:00:00", "a;b", "1000.25"),
    (3, "2024-01-02 11:00:00", "größer", "2"), (4, "2024-01-02 12:00:00", None, "-0.5"),
]  # fmt: skip


def delivered(project: Project, more: str, layout: str = "columns", metrics: str = 'metrics = ["rev"]') -> bytes:
    made = project(now="2024-01-03T06:00")  # type: ignore[operator]
    made.table("t (id int, at timestamp, plan varchar(9), v decimal(12,2))", ROWS)
    made.declare(
        f"""
        [metrics.rev]
        table = "t"
        time = "at"
        measure = "sum(v)"
        by = ["plan"]
        [deliveries.file]
        to = "csv"
        path = "f.csv"
        {metrics}
        by = ["plan"]
        layout = "{layout}"
        {more}
        """,
        start="2024-01-01",
    )
    made.run()
    return (made.folder / "f.csv").read_bytes()


@pytest.mark.cases(6)
@pytest.mark.parametrize("layout", ["columns", "long", "across"])
@pytest.mark.parametrize(("separator", "decimal"), [(";", ","), ("\\t", "."), ("\\t", ","), (",", ".")])
def test_every_layout_is_read_back_with_its_separator_and_decimal(project, layout, separator, decimal):
    data = delivered(project, f'separator = "{separator}"\ndecimal = "{decimal}"\nbom = true\nguard = false', layout)
    assert data.startswith(b"\xef\xbb\xbf")
    assert not data.startswith(b"\xef\xbb\xbf" * 2)
    lines = list(csv.DictReader(data.decode("utf-8-sig").splitlines(), delimiter=separator.replace("\\t", "\t")))
    field = {"columns": "rev", "long": "value"}.get(layout)
    found = {
        (line["plan"], day): line[name]
        for line in lines
        for day, name in ([(line["period"], field)] if field else [(d, d) for d in line if d.startswith("2024")])
        if line[name] not in ("", "0")
    }
    assert {key: Decimal(value.replace(decimal, ".")) for key, value in found.items()} == {
        ("-1", "2024-01-01"): Decimal("1.5"), ("a;b", "2024-01-01"): Decimal("1000.25"), ("größer", "2024-01-02"): 2,
        ("", "2024-01-02"): Decimal("-0.5"),
    }  # fmt: skip


def test_a_line_of_the_layout_long_is_complete_whatever_the_other_metrics_are(project):
    more = """
        metrics = ["rev", "later"]
        [metrics.later]
        table = "t"
        time = "at"
        measure = "count(*)"
        by = ["plan"]
        start = "2024-01-02"
        """
    data = delivered(project, more, "long", metrics="")
    lines = list(csv.DictReader(data.decode().splitlines()))
    assert {(line["period"], line["metric"]): line["complete"] for line in lines} == {
        ("2024-01-01", "rev"): "yes", ("2024-01-01", "later"): "no",
        ("2024-01-02", "rev"): "yes", ("2024-01-02", "later"): "yes",
    }  # fmt: skip


def test_text_like_a_formula_is_guarded_unless_declared_otherwise(project):
    assert b"2024-01-01,'-1,1.5," in delivered(project, "")


@pytest.mark.parametrize(
    ("delivery", "at", "expected"),
    [
        ('to = "csv"\npath = "a.csv"\nmetrics = ["signups"]\nseparator = "|"', "separator", '"," or ";" or "\\t"'),
        ('to = "csv"\npath = "a.csv"\nmetrics = ["signups"]\ndecimal = "·"', "decimal", '"." or ","'),
        ('to = "csv"\npath = "a.csv"\nmetrics = ["signups"]\ndecimal = ","', "decimal", 'separator = ";"'),
        ('to = "csv"\npath = "a.csv"\nmetrics = ["signups"]\nbom = "yes"', "bom", "bom = true"),
        ('to = "xlsx"\npath = "a.xlsx"\nmetrics = ["signups"]\nseparator = ";"', "separator", "a workbook has no separator: only a CSV file has separator"),
        ('to = "parquet"\npath = "a.parquet"\nmetrics = ["signups"]\nguard = false', "guard", "only a CSV file has guard"),
    ],
)  # fmt: skip
def test_signs_that_cannot_be_meant_are_reported_with_those_that_can(project, delivery, at, expected):
    assert expected in problems(project(now="2024-03-20T06:00"), delivery)[f"deliveries.board.{at}"]
