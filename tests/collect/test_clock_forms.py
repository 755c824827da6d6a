"""Texts whose clock no clock shows: 24:00, 10:61, an offset of 25 hours.

Databases disagree on what they name, so one rule holds for all: such a row is of another form.
The day it is written on and those beside it fail; all others are collected."""

from __future__ import annotations

import pytest

from tests.collect.test_other_forms import OLD, made, run
from tests.projects import everywhere, project

__all__ = ["project"]
AROUND = {"2024-03-04", "2024-03-05", "2024-03-06"}
PLAIN = {" ": ["24:00:00", "10:61", "1x:00:00", "10:00:61.5"], "T": ["24:00:00"]}
OFFSETS = ["T25:00:00Z", " 24:00:00+02:00", " 10:61:00+02:00", " 10:00:00+25:00", " 10:00:00-1060"]
REAL = [" 10:00:00+02", " 10:00:00,5+02:00", " 10:00:00 +02:00", "T10:00Z", " 23:59:59.999-0330", "T00:00:00+14:00"]


@pytest.mark.cases(2)
@everywhere
@pytest.mark.parametrize("separator", [" ", "T"])
def test_an_impossible_clock_fails_its_day_and_those_beside_it(project, kind, separator):
    p = made(project, kind, [(text.replace(" ", separator), v) for text, v in OLD])
    for clock in PLAIN[separator]:
        value = f"2024-03-05{separator}{clock}"
        p.execute("delete from o where v < 0")
        p.insert_in_order("o", [(value, -1)])
        said, missing = run(p)
        assert "1 row contains a time in another form" in said, value
        assert value in said
        assert missing == (AROUND if "x" not in clock else {f"2024-03-{i:02}" for i in range(1, 12)})
        assert p.ask("n", to="2024-03-01")["2024-03-01"] == 24


@pytest.mark.cases(2)
@everywhere
def test_an_impossible_clock_or_offset_fails_its_day_where_texts_have_offsets(project, kind):
    p = made(project, kind, [(f"{text}+01:00", v) for text, v in OLD])
    for rest in OFFSETS:
        p.execute("delete from o where v < 0")
        p.insert_in_order("o", [(f"2024-03-05{rest}", -1)])
        said, missing = run(p, 'stored = "offset"')
        assert "1 row contains a time in another form" in said, rest
        assert rest in said
        assert missing == AROUND, rest
        assert p.ask("n", to="2024-03-01")["2024-03-01"] == 24


@everywhere
def test_every_way_to_write_an_offset_that_exists_is_an_instant(project, kind):
    p = made(project, kind, [(f"2024-03-05{rest}", 1) for rest in REAL])
    assert run(p, 'stored = "offset"') == ("", set())
    assert p.ask("n", from_="2024-03-04", to="2024-03-06") == {"2024-03-04": 1, "2024-03-05": 4, "2024-03-06": 1}


@everywhere
@pytest.mark.parametrize("value", ["2024-0x-05 10:00:00", "2024-03-0x 10:00:00"])
def test_a_letter_in_a_day_is_seen(project, kind, value):
    said, _ = run(made(project, kind, [*OLD, (value, -1)]))
    assert value in said
