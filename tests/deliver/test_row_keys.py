"""Rows are found by their keys in whatever form people write these, and two keys never share a row."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, strategies as st

from tallybook.deliver.destinations.row_keys import Formula, Key, KeyReader, key_text, match
from tallybook.deliver.destinations.typed_days import days_of

JANUARY_3 = date(2026, 1, 3)


def serial(text: str) -> float:
    return float((date.fromisoformat(text) - date(1899, 12, 30)).days)


FORMS = [
    "2026-01-03", "'2026-01-03", " 2026-01-03 ", "2026/1/3", "2026.01.03", "20260103", "2026-01-03 14:00", "2026-01-03T14:00:00Z",
    "2026-01-03T00:00:00+01:00", "03.01.2026", "3.1.26", "03.01.2026 08:15", "3 Jan 2026", "Jan 3, 2026", "January 3rd, 2026", "Sat 3 Jan 2026",
    "3. Januar 2026", "3 janv. 2026", "3 de enero de 2026", "2026年1月3日", "2026년 1월 3일", "\u00a02026-01-03", "\uff12\uff10\uff12\uff16-01-03", "1/3/2026 2:05 PM",
]  # fmt: skip


@pytest.mark.parametrize("text", FORMS)
def test_a_text_that_means_a_day_is_that_day(text: str) -> None:
    assert days_of(text, month_first=True)[0] == JANUARY_3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Total",
        "launch on 3 Jan 2026",
        "3",
        "2026",
        "12:30",
        "2026-13-45",
        "1.5",
        "99/99/9999",
        "v2026.01.03",
        "3-4",
    ],
)
def test_other_texts_are_no_day(text: str) -> None:
    assert days_of(text, month_first=True) == []


def test_the_locale_says_which_number_is_the_month_and_the_other_order_comes_second() -> None:
    both = [date(2026, 1, 3), date(2026, 3, 1)]
    assert days_of("1/3/2026", month_first=True) == both
    assert days_of("1/3/2026", month_first=False) == both[::-1]
    assert days_of("1/13/2026", month_first=False) == [date(2026, 1, 13)]


@pytest.mark.parametrize(
    ("scope", "text", "start"),
    [
        ("month", "2026-01", "2026-01-01"), ("month", "January 2026", "2026-01-01"), ("month", "01/2026", "2026-01-01"),
        ("quarter", "Q1 2026", "2026-01-01"), ("year", "2026", "2026-01-01"), ("week", "2026-W02", "2026-01-05"),
    ],
)  # fmt: skip
def test_periods_are_named_as_people_name_them(scope: str, text: str, start: str) -> None:
    assert days_of(text, month_first=False, scope=scope) == [date.fromisoformat(start)]


def reader(*wanted: Key, kinds: tuple[str, ...] = ("period", "text"), scope: str = "day", **more: bool) -> KeyReader:
    return KeyReader(kinds=kinds, wanted=wanted, scope=scope, **more)


DAY = serial("2026-01-03")


@pytest.mark.parametrize(
    "cell",
    [DAY + 0.583, "2026-01-03", "03.01.2026", Formula("=A3+1", DAY), Formula("=TEXT(A3+1)", "2026-01-03"), Formula("=NOW()", DAY + 0.5)],
)  # fmt: skip
def test_an_edited_day_is_its_day(cell: object) -> None:
    found = match({3: (cell, "pro")}, reader((DAY, "pro"), (DAY + 1, "pro")))
    assert (found.rows, found.edited) == ({(DAY, "pro"): 3}, {3: (DAY, "pro")})


@pytest.mark.parametrize(
    "cell", ["Pro", "pro ", " PRO", "\uff50\uff52\uff4f", "pro\u00a0", "'pro", Formula('="pro"', "pro")]
)
def test_an_edited_name_is_its_series(cell: object) -> None:
    assert match({3: (DAY, cell)}, reader((DAY, "pro"), (DAY, "team"))).rows == {(DAY, "pro"): 3}


@pytest.mark.parametrize(("cell", "text"), [(7.0, "007"), (46025.0, "2026-01-03"), (True, "true"), (1.5, "1.5")])
def test_a_name_that_a_sheet_made_a_number_or_a_day_of_is_its_series(cell: object, text: str) -> None:
    assert match({3: (DAY, cell)}, reader((DAY, text))).rows == {(DAY, text): 3}


def test_series_that_differ_only_in_case_or_blanks_are_not_guessed() -> None:
    two = reader((DAY, "pro"), (DAY, "Pro"))
    assert match({3: (DAY, "pro"), 4: (DAY, "Pro")}, two).rows == {(DAY, "pro"): 3, (DAY, "Pro"): 4}
    assert match({3: (DAY, "PRO")}, two).others == {3: (DAY, "PRO")}
    assert match({3: (DAY, "pro"), 4: (DAY, "PRO")}, two).rows == {(DAY, "pro"): 3, (DAY, "Pro"): 4}


@pytest.mark.parametrize(
    "cells",
    [("2026-01-03", "pro"), (Formula('="2026-01-03"', "2026-01-03"), "pro"), (DAY, "pro "), (DAY, Formula('="pro"', "pro")), (DAY + 0.5, "pro\u00a0")],
)  # fmt: skip
def test_of_series_that_differ_in_case_the_one_that_is_written_so_is_found(cells: Key) -> None:
    """Also where neither has a row yet: a series `Pro` that is new beside an edited row of `pro`."""
    for wanted in ([(DAY, "pro"), (DAY, "Pro")], [(DAY, "Pro"), (DAY, "pro")]):
        assert match({3: cells}, reader(*wanted)).edited == {3: (DAY, "pro")}


def test_a_row_in_another_form_beside_the_exact_one_is_a_copy() -> None:
    found = match({3: (DAY, "pro"), 4: ("2026-01-03", "Pro"), 5: (DAY, "pro")}, reader((DAY, "pro")))
    assert (found.rows, sorted(found.twice)) == ({(DAY, "pro"): 3}, [4, 5])


def test_the_second_order_of_a_date_is_taken_where_the_first_has_its_row() -> None:
    first, third = serial("2026-01-03"), serial("2026-03-01")
    wanted = reader((first,), (third,), kinds=("period",), month_first=True)
    assert match({1: (first,), 2: ("1/3/2026",)}, wanted).rows == {(first,): 1, (third,): 2}


def test_a_day_within_a_period_is_the_period_and_one_outside_is_not() -> None:
    week = reader((serial("2026-01-05"),), kinds=("period",), scope="week")
    assert match({1: (serial("2026-01-07"),)}, week).rows == {(serial("2026-01-05"),): 1}
    assert match({1: (serial("2026-01-12"),)}, week).rows == {}
    year = reader((serial("2026-01-01"),), kinds=("period",), scope="year")
    assert match({1: (2026.0,)}, year).rows == {(serial("2026-01-01"),): 1}


def test_a_blank_is_null_and_the_empty_text_only_where_it_has_no_row() -> None:
    """Tabs of the first versions have one blank cell for both."""
    both = reader((DAY, None), (DAY, key_text("")))
    assert match({1: (DAY, None)}, both).rows == {(DAY, None): 1}
    assert match({1: (DAY, None)}, reader((DAY, key_text("")))).rows == {(DAY, key_text("")): 1}
    assert match({1: (DAY, " ")}, both).rows == {(DAY, None): 1}
    assert match({1: (DAY, " "), 2: (DAY, None)}, reader((DAY, " "), (DAY, None))).rows == {
        (DAY, " "): 1,
        (DAY, None): 2,
    }
    assert match({1: (DAY, None), 2: (DAY, None)}, both).rows == {(DAY, None): 1, (DAY, key_text("")): 2}


@given(st.lists(st.text(alphabet="()empty E", max_size=12), unique=True, max_size=8))
def test_every_text_has_a_key_of_its_own_and_none_is_blank(texts: list[str]) -> None:
    keys = {key_text(text) for text in [*texts, *(["", "(empty)", "((empty))"])]}
    assert len(keys) == len({*texts, "", "(empty)", "((empty))"})
    assert "" not in keys


@given(st.lists(st.text(max_size=4), unique=True, min_size=1, max_size=6))
def test_rows_as_we_write_them_are_found_exactly_whatever_the_texts(texts: list[str]) -> None:
    keys: list[Key] = [(DAY, key_text(text)) for text in texts] + [(DAY, None)]
    found = match(dict(enumerate(keys)), reader(*keys))
    assert found.rows == {key: row for row, key in enumerate(keys)}
    assert (found.edited, found.twice, found.others) == ({}, [], {})
