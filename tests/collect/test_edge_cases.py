"""Numbers and questions at the edge of what is declared.

Digits nobody declared, a day that is still to come, a start before all facts: each is answered exactly
or refused with what to write."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tallybook.core.errors import QueryError
from tallybook.core.labels import count_phrase
from tests.projects import everywhere, project

__all__ = ["project"]
METRIC = """
    [metrics.{name}]
    table = "o"
    time = "happened"
    measure = "{measure}"
    {more}
"""


@everywhere
@pytest.mark.parametrize(("measure", "exact"), [("min(x)", "0.29"), ("max(x)", "1.1"), ("sum(x)", "1.39")])
def test_a_float_with_more_digits_than_declared_is_refused_and_not_rounded(project, kind, measure, exact):
    p = project(kind)
    p.table("o (happened timestamp, x double precision)" if kind != "chdb" else "o (happened timestamp, x Float64)")
    p.insert("o", [("2024-03-02 10:00:00", 0.29), ("2024-03-02 11:00:00", 1.1)])
    p.declare(METRIC.format(name="m", measure=measure, more="decimals = 2"))
    p.run()
    assert p.ask("m", scope="all") == {"2024-01-01": Decimal(exact)}
    p.execute("delete from o where x = 0.29")
    p.insert("o", [("2024-03-02 10:00:00", 0.125 if measure != "max(x)" else 7.125)])
    said = p.run_fails("m", from_="2024-03-01")
    assert "1 row has more digits than decimals = 2" in said


def test_a_count_agrees_with_its_noun_and_verb():
    assert [count_phrase(n, "row has", "rows have") for n in (0, 1, 2)] == ["0 rows have", "1 row has", "2 rows have"]


@pytest.mark.parametrize("as_of", ["2024-03-06", "2999-01-01", "9999-12-31"])
def test_a_book_as_of_a_day_to_come_is_refused(project, as_of):
    p = project("sqlite", now="2024-03-05T12:00")
    p.table("o (happened timestamp, x integer)", [("2024-03-02 10:00:00", 1)])
    p.declare(METRIC.format(name="m", measure="count(*)", more=""))
    p.run()
    with pytest.raises(QueryError, match=f'as_of="{as_of}" is in the future') as refused:
        p.ask("m", as_of=as_of)
    assert 'as_of="2024-03-05"' in refused.value.hint
    assert p.ask("m", scope="all", as_of="2024-03-05") == p.ask("m", scope="all", as_of="today") == {"2024-01-01": 1}
