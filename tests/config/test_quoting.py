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
        ("[metrics.new users]", "[metrics.new_users]"),
        ('by = ["plan" "country"]', 'by = ["plan", "country"]'),
        ('where = f"plan = 1"', 'where = "plan = 1"'),
        (r'url = "sqlite:///C:\Users\me\a.db"', 'url = "sqlite:///C:/Users/me/a.db"'),
        (r'url = "postgresql://u:a\Zb@h/d"', ""),
        ('measure="sum(amount)"', ""),
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
    "reason",
    [
        'column "x" does not exist',
        'Binder Error: Referenced column "x" not found in FROM clause!',
        "Unknown column 'x' in 'SELECT'",
    ],
)
def test_a_text_in_double_quotes_is_answered_with_single_quotes(reason):
    assert unknown_name("app", reason).hint.endswith("if x is a text, write it in single quotes: 'x'")


def test_a_table_that_does_not_exist_is_no_text():
    assert "single quotes" not in unknown_name("app", 'relation "x" does not exist').hint


@pytest.mark.parametrize("twice", ['table = "u"\n', '[metrics.a]\ntable = "u"\n'])
def test_what_is_there_twice_is_named_and_not_pasted_again(tmp_path, twice):
    (tmp_path / "tallybook.toml").write_text(f'[metrics.a]\ntable = "t"\n{twice}')
    with pytest.raises(DeclarationError) as wrong:
        tallybook.open(tmp_path)
    assert "the file has it twice: keep one of the two" in str(wrong.value)
    assert "paste:" not in str(wrong.value)


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        (
            "jdbc:postgresql://db.example.org:5432/app?user=u&password=Zebra",
            'paste:    url = "postgresql://USER:***@HOST/DATABASE"',
        ),
        ("jdbc:mysql://127.0.0.1/app?password=Zebra", 'paste:    url = "mysql://USER:***@HOST/DATABASE"'),
        ('"postgresql://u:Zebra@127.0.0.1/app"', "remove the quotes inside the value"),
    ],
)
def test_a_url_of_another_tool_gets_help_without_its_password(tmp_path, url, advice):
    (tmp_path / "tallybook.toml").write_text(f"[sources.app]\nurl = '{url}'\n")
    with pytest.raises(DeclarationError) as wrong:
        tallybook.open(tmp_path)
    assert advice in str(wrong.value)
    assert "Zebra" not in str(wrong.value)
