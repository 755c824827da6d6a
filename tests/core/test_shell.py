"""The two evaluations of a shell, in the engine's SQL and in Python, say the same."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import assume, given, settings, strategies as st

from tallybook.core import DECIMAL, FLOAT, INTEGER
from tallybook.core.errors import MeasureError
from tallybook.core.expression import EXACT, evaluate, render
from tallybook.core.measure.shell import ShellReader

WRITTEN = st.sampled_from(["0", "1", "2.5", "100", "0.01"]).map(lambda text: ["num", text])
LEAVES = st.one_of(
    st.none(),
    st.integers(-1000, 1000).map(Decimal),
    st.integers(-99999, 99999).map(lambda n: Decimal(n).scaleb(-2)),
    st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3) + 0.0),
)


def trees(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    compared = st.builds(lambda sign, a, b: ["cmp", sign, a, b], st.sampled_from(["<", ">=", "=", "<>"]), inner, inner)
    tested = st.one_of(
        compared,
        inner.map(lambda a: ["isnull", a]),
        st.builds(lambda word, a, b: [word, a, b], st.sampled_from(["and", "or"]), compared, compared),
        compared.map(lambda a: ["not", a]),
    )
    return st.one_of(
        st.builds(lambda sign, a, b: [sign, a, b], st.sampled_from("+-*/"), inner, inner),
        inner.map(lambda a: ["neg", a]),
        st.builds(lambda a, digits: ["round", a, digits], inner, st.integers(0, 3)),
        st.builds(lambda name, a, b: ["fn", name, a, b], st.sampled_from(["coalesce", "least", "greatest", "nullif"]), inner, inner),
        inner.map(lambda a: ["fn", "abs", a]),
        st.builds(lambda c, a, b: ["case", [(c, a)], b], tested, inner, inner),
    )  # fmt: skip


SHELLS = st.recursive(
    st.one_of(WRITTEN, st.integers(0, 2).map(lambda i: ["slot", i]), st.just(["null"])), trees, max_leaves=6
)


def kind(leaf: Any) -> str:
    return FLOAT if isinstance(leaf, float) else DECIMAL


def in_sql(leaf: Any) -> tuple[str, str]:
    if leaf is None:
        return f"CAST(NULL AS {EXACT})", INTEGER
    return f"CAST({str(leaf)!r} AS {'DOUBLE' if isinstance(leaf, float) else EXACT})", kind(leaf)


def steps(shell: Any) -> bool:
    """Whether a result hangs on the last digit of a float: rounding, comparing and nullif are steps."""
    if not isinstance(shell, list | tuple):
        return False
    return bool(shell and shell[0] in ("round", "cmp", "nullif", "%")) or any(
        part == "nullif" or steps(part) for part in shell
    )


@settings(max_examples=100)
@given(shell=SHELLS, leaves=st.tuples(LEAVES, LEAVES, LEAVES))
def test_python_and_the_engine_agree(shell: Any, leaves: tuple[Any, ...]) -> None:
    assume(not (steps(shell) and any(isinstance(leaf, float) for leaf in leaves)))
    assume(not (steps(shell) and "/" in str(shell)))
    mine = evaluate(shell, list(leaves))
    ((theirs,),) = duckdb.sql(f"SELECT {render(shell, [in_sql(leaf) for leaf in leaves])[0]}").fetchall()
    if mine is None or theirs is None:
        assert mine is theirs, (shell, leaves, mine, theirs)
    else:
        assert math.isclose(float(mine), float(theirs), rel_tol=1e-9, abs_tol=1e-9), (shell, leaves, mine, theirs)


@pytest.mark.parametrize("dialect", ["duckdb", "sqlite", "postgres", "mysql", "clickhouse"])
def test_a_negation_is_read_on_every_database(dialect: str) -> None:
    """sqlglot writes `is not null` of PostgreSQL as a flag of the node, not as NOT around it."""
    for condition in ("__s0__ is not null", "not __s0__ is null", "not (__s0__ is null)"):
        shell = ShellReader("x", dialect).read(f"case when {condition} then 1 else 2 end")
        assert [evaluate(shell, [leaf]) for leaf in (Decimal(5), None)] == [1, 2], condition
    with pytest.raises(MeasureError):
        ShellReader("x", dialect).read("case when __s0__ between symmetric 7 and 3 then 1 end")


@pytest.mark.parametrize(
    ("shell", "leaves", "expected"),
    [
        (["/", ["slot", 0], ["slot", 1]], [Decimal(7), Decimal(2)], 3.5),
        (["/", ["slot", 0], ["slot", 1]], [Decimal(7), Decimal(0)], None),
        (["round", ["slot", 0], 0], [Decimal("2.5")], Decimal(3)),
        (["round", ["slot", 0], 0], [Decimal("-2.5")], Decimal(-3)),
        (["fn", "least", ["slot", 0], ["slot", 1]], [None, Decimal(4)], Decimal(4)),
        (["+", ["slot", 0], ["slot", 1]], [None, Decimal(4)], None),
        (["fn", "coalesce", ["slot", 0], ["num", "0"]], [None], Decimal(0)),
    ],
)
def test_the_rules_by_hand(shell: Any, leaves: list[Any], expected: Any) -> None:
    assert evaluate(shell, leaves) == expected
    ((theirs,),) = duckdb.sql(f"SELECT {render(shell, [in_sql(leaf) for leaf in leaves])[0]}").fetchall()
    assert theirs == expected
