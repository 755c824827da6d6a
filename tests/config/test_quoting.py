"""Mistakes in the quotes of a file get the line to paste."""

from __future__ import annotations

import pytest

import tallybook
from tallybook.collect.sources.failed_statements import unknown_name
from tallybook.config.quoting import quoted_line
from tallybook.core import DeclarationError


@pytest.mark.parametrize(
    ("line", "pasted"),
    [
        ("measure = sum(amount)", 'measure = "sum(amount)"'),
        ('where = status = "paid"', "where = \"status = 'paid'\""),
        ('where = "status = "paid""', "where = \"status = 'paid'\""),
        ("where = 'status = 'paid''", "where = \"status = 'paid'\""),
        ("where = \u201cplan = \u2018pro\u2019\u201d", "where = \"plan = 'pro'\""),
        ('measure = "count(*)', 'measure = "count(*)"'),
        ('measure: "count(*)"', 'measure = "count(*)"'),
        ("by = plan", 'by = ["plan"]'),
        ("by = [plan, country]", 'by = ["plan", "country"]'),
        ('by = ["plan", "country"', 'by = ["plan", "country"]'),
        ("start = 2026-13-01", 'start = "2026-13-01"'),
        ("[metrics.b", "[metrics.b]"),
        ("url = postgresql://u:secret@h/d", ""),
        ("!!!", ""),
    ],
)
def test_a_line_that_is_not_toml_gets_the_line_that_was_meant(line, pasted):
    assert quoted_line(line) == pasted


def test_the_line_to_paste_is_part_of_the_problem(tmp_path):
    (tmp_path / "tallybook.toml").write_text('[metrics.a]\ntable = "t"\nwhere = status = "paid"\n')
    with pytest.raises(DeclarationError) as wrong:
        tallybook.open(tmp_path)
    assert "paste:    where = \"status = 'paid'\"" in str(wrong.value)


@pytest.mark.parametrize(
    "reason", ['column "x" does not exist', 'Binder Error: Referenced column "x" not found in FROM clause!']
)
def test_a_text_in_double_quotes_is_answered_with_single_quotes(reason):
    assert unknown_name("app", reason).hint.endswith("if x is a text, write it in single quotes: 'x'")


def test_a_table_that_does_not_exist_is_no_text():
    assert "single quotes" not in unknown_name("app", 'relation "x" does not exist').hint
