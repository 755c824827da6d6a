"""Tables whose names have dots, quotes and spaces can be declared, and the line that is told for them is valid."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from tallybook.core import schema_and_table, table_parts, written_table
from tests.projects import MakeProject, project

__all__ = ["project"]


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("orders", ("orders",)),
        ("", ("",)),
        ("shop.orders", ("shop", "orders")),
        ('"dot.ted"', ("dot.ted",)),
        ('"My Schema"."Order.Items"', ("My Schema", "Order.Items")),
        ("My Schema.Order Items", ("My Schema", "Order Items")),
        ('quo"te', ('quo"te',)),
        ('"a""b.c"', ('a"b.c',)),
        ('main."x.y"', ("main", "x.y")),
    ],
)
def test_a_part_in_double_quotes_may_hold_dots(written: str, parts: tuple[str, ...]) -> None:
    assert table_parts(written) == parts
    assert schema_and_table(written) == (".".join(parts[:-1]), parts[-1])


@pytest.mark.parametrize("name", ["orders", "dot.ted", 'quo"te', '"whole"', "two words", "a.b.c", '"a".b'])
def test_a_name_is_written_so_that_it_is_read_again(name: str) -> None:
    assert table_parts(written_table(name)) == (name,)


@pytest.mark.parametrize("name", ["dot.ted", 'quo"te', "Order Items"])
@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_table_with_such_a_name_is_checked_and_collected(project: MakeProject, kind: str, name: str) -> None:
    made = project(kind)
    quoted = '"' + name.replace('"', '""') + '"'
    made.execute(f"create table {quoted} (day date, n int)", f"insert into {quoted} values ('2024-03-01', 3)")

    def declared(table: str) -> str:
        return f"""
            [metrics.n]
            table = '{table}'
            time = "day"
            measure = "sum(n)"
        """

    made.declare(declared(name + "x"))
    (look,) = made.book.look()
    paste: Any = tomllib.loads(look.problems[0].paste)
    made.declare(declared(paste["table"]))
    (look,) = made.book.look()
    assert look.problems == []
    made.run()
    assert made.ask("n", scope="month", from_="2024-03-01") == {"2024-03-01": 3}
