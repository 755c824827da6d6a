"""`--segment "paid: plan=pro"`: series by conditions, each of which is the answer to the question with that `--where`."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import assume, example, given, strategies as st

from tallybook.cli import invoke
from tallybook.core import QueryError, Refused
from tallybook.query import parse_segment, question_options, read_question
from tests.projects import Project

METRICS = """
[metrics.orders]
table = "orders"
time = "at"
measure = "count(*)"
by = ["account_id", "country"]

[metrics.revenue]
table = "orders"
time = "at"
measure = "sum(amount)"
by = ["account_id", "country"]

[metrics.buyers]
table = "orders"
time = "at"
measure = "count(distinct user_id)"
by = ["account_id", "country"]

[metrics.basket]
table = "orders"
time = "at"
measure = "avg(amount)"
by = ["account_id", "country"]

[metrics.seats]
kind = "level"
table = "seats"
time = "day"
measure = "sum(n)"
by = ["account_id", "country"]
carry = "3d"

[metrics.per_buyer]
measure = "revenue / buyers"

[accounts]
table = "accounts"
attributes = ["plan"]
changed = "updated_at"
"""
FIRST, LAST = date(2024, 1, 1), date(2024, 2, 9)
COUNTRIES = ["DE", "US", None]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("shop")
    made = Project(folder, f"sqlite:///{folder}/app.db", now="2024-02-10T09:00")
    roll = random.Random(7)
    days = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
    made.table(
        "orders (at text, account_id text, country text, user_id text, amount int)",
        [
            (f"{day} 10:00:00", f"a{roll.randint(1, 5)}", roll.choice(COUNTRIES), f"u{roll.randint(1, 9)}", 10)
            for day in days
            for _ in range(roll.randint(0, 4))
        ],
    )
    made.table(
        "seats (day date, account_id text, country text, n int)",
        [
            (str(d), f"a{n}", COUNTRIES[n % 3], roll.randint(1, 9))
            for d in days
            for n in (1, 2, 3)
            if roll.random() < 0.8
        ],
    )
    plans = ["pro", "free", "pro", None, "team"]
    made.table(
        "accounts (id text, plan text, updated_at text)",
        [(f"a{n}", plan, f"{FIRST} 00:00:00") for n, plan in enumerate(plans, start=1)],
    )
    made.declare(METRICS)
    made.run()
    yield made
    made.close()


# -- each segment is the question with that filter -------------------------------------------------

WHERES = [
    ("country=DE",),
    ("country!=DE",),
    ("country=",),
    ("country=DE", "country=US"),
    ("country=DE", "account_id=a1"),
    ("accounts.plan=pro",),
    ("accounts.plan=pro", "country!=US"),
    ("accounts.plan@day=free",),
    ("account_id=nobody",),
    ("weekday=monday", "weekday=sunday"),
]


@st.composite
def asked(draw: st.DrawFn) -> dict[str, Any]:
    """A question without segments, of everything that a question can have."""
    metrics = draw(
        st.lists(
            st.sampled_from(["orders", "revenue", "buyers", "basket", "seats", "per_buyer"]),
            min_size=1,
            max_size=2,
            unique=True,
        )
    )
    found: dict[str, Any] = {"metrics": metrics, "scope": draw(st.sampled_from(["day", "week", "month", "all"]))}
    options = {
        "by": st.sampled_from([["country"], ["account_id"], ["country", "accounts.plan"], ["weekday"]]),
        "show": st.sampled_from(["total", "average", "last", "max", "change"]),
        "from_": st.sampled_from(["2024-01-10", "2023-11-01"]),
        "last": st.just("3 weeks"),
        "window": st.sampled_from(["7 days", "month to date"]),
        "compare": st.sampled_from(["previous", "1 week"]),
        "top": st.integers(1, 3),
        "having": st.sampled_from([[f"{metrics[0]} > 3"], [f"{metrics[0]} < 20"]]),
        "sort": st.sampled_from([[metrics[0]], [f"-{metrics[-1]}", "period"]]),
        "fill": st.just(True),
        "totals": st.just(True),
        "where": st.sampled_from([["account_id!=a2"], ["accounts.plan=pro"]]),
        "week_starts": st.just("sunday"),
        "live": st.just(True),
    }
    for name in draw(st.lists(st.sampled_from(sorted(options)), max_size=5, unique=True)):
        found[name] = draw(options[name])
    return found


def answered(shop: Project, question: dict[str, Any]) -> list[dict[str, Any]] | str:
    """The rows of an answer, or why there is none."""
    options = {name: value for name, value in question.items() if name != "metrics"}
    try:
        rows: list[dict[str, Any]] = shop.book.query(*question["metrics"], **options).rows()
    except (QueryError, Refused) as error:
        return type(error).__name__
    return rows


@given(question=asked(), chosen=st.lists(st.sampled_from(WHERES), min_size=1, max_size=3, unique=True))
@example(question={"metrics": ["buyers"], "scope": "month", "totals": True, "by": ["country"]}, chosen=WHERES[:4])
@example(question={"metrics": ["seats"], "scope": "week", "compare": "previous"}, chosen=[WHERES[5], WHERES[1]])
@example(question={"metrics": ["revenue"], "scope": "all", "by": ["account_id"], "top": 1}, chosen=WHERES[5:7])
def test_each_segment_is_the_question_with_that_where(
    shop: Project, question: dict[str, Any], chosen: list[tuple[str, ...]]
) -> None:
    segments = [f"s{place}: {', '.join(where)}" for place, where in enumerate(chosen)]
    found = answered(shop, {**question, "segments": segments})
    plain = {name: value for name, value in question.items() if name != "where"}
    own = question.get("where", [])
    assume(
        all(
            not ({text.split("=")[0].rstrip("!") for text in own} & {t.split("=")[0].rstrip("!") for t in where})
            for where in chosen
        )
    )
    expected = [answered(shop, {**plain, "where": [*own, *where]}) for where in chosen]
    if isinstance(found, str) or any(isinstance(one, str) for one in expected):
        assert found in expected
        return
    for place, rows in enumerate(expected):
        mine = [{k: v for k, v in row.items() if k != "segment"} for row in found if row["segment"] == f"s{place}"]
        assert mine == rows
    assert {row["segment"] for row in found} <= {f"s{place}" for place in range(len(chosen))}
    assert len(found) == sum(map(len, expected))


def test_people_of_two_segments_are_each_counted_once(shop: Project) -> None:
    """A user who buys in both countries is in both series, and once in each."""
    segments = ["german: country=DE", "american: country=US", "either: country=DE or country=US"]
    rows = shop.book.query("buyers", scope="all", segments=segments).rows()
    german, american, either = (row["buyers"] for row in rows)
    assert max(german, american) <= either < german + american


def test_rows_come_by_period_then_in_the_order_of_the_segments(shop: Project) -> None:
    result = shop.book.query("orders", scope="month", segments=["us: country=US", "de: country=DE"])
    assert [(str(row["period"]), row["segment"]) for row in result.rows()] == [
        ("2024-01-01", "us"), ("2024-01-01", "de"), ("2024-02-01", "us"), ("2024-02-01", "de"),
    ]  # fmt: skip
    assert [(column.name, column.role) for column in result.columns] == [
        ("period", "period"), ("segment", "dimension"), ("orders", "metric"),
    ]  # fmt: skip


def test_totals_belong_to_a_segment_and_order_and_limit_to_the_answer(shop: Project) -> None:
    asked = {"scope": "month", "segments": ["us: country=US", "rest: country!=US"]}
    rows = shop.book.query("orders", totals=True, **asked).rows()
    assert [(row["period"], row["segment"]) for row in rows[-2:]] == [(None, "us"), (None, "rest")]
    ranked = shop.book.query("orders", sort="-orders", limit=3, **asked).rows()
    everything = sorted((row["orders"] for row in shop.book.query("orders", **asked).rows()), reverse=True)
    assert [row["orders"] for row in ranked] == everything[:3]
    by_name = shop.book.query("orders", sort=["segment", "period"], **asked).rows()
    assert [row["segment"] for row in by_name] == ["rest", "rest", "us", "us"]


def test_the_sentence_names_each_segment_with_its_conditions(shop: Project) -> None:
    result = shop.book.query("seats", scope="all", segments=["paid: accounts.plan=pro", "de: country=DE"])
    assert result.explain.endswith(
        "A series for each segment, each computed from its own rows: 'paid' (accounts.plan=pro), 'de' (country=DE)."
    )
    assert result.explain.count("seats: ") == 1
    assert "where" not in result.explain


# -- the same on every surface ---------------------------------------------------------------------


def test_every_format_of_the_command_has_the_column(shop: Project) -> None:
    for form in ("json", "ndjson", "csv", "markdown", "table"):
        out = io.StringIO()
        words = ["query", "orders", "--scope", "all", "--segment", "us: country=US", "--segment", "none: country="]
        code = invoke(
            [*words, "--format", form, "--project", str(shop.folder)],
            stdout=out,
            stderr=io.StringIO(),
            now=lambda: shop.now,
        )
        text = out.getvalue()
        assert code == 0
        assert "us" in text
        assert "none" in text
        assert form == "ndjson" or "segment" in text.partition("\n")[0]
    arrow = shop.book.query("orders", scope="all", segments=["us: country=US"]).to_arrow()
    assert arrow.column("segment").to_pylist() == ["us"]


def test_a_question_with_segments_survives_json(shop: Project) -> None:
    question = read_question({"metrics": "orders", "segment": ["us: country=US", "none: country="]})
    assert question_options(question) == {"metrics": ["orders"], "segments": ["us: country=US", "none: country="]}
    assert read_question(json.loads(json.dumps(question_options(question)))) == question


# -- how it is written -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("paid: plan=pro", ["plan=pro"]),
        ("paid:plan=pro,country=DE", ["plan=pro", "country=DE"]),
        ("paid: plan=pro and country!=DE", ["plan=pro", "country!=DE"]),
        ("paid: plan=pro OR plan=team", ["plan=pro", "plan=team"]),
        ("site: url=https://a.com/b", ["url=https://a.com/b"]),
        ("old: plan=pro, legacy", ["plan=pro, legacy"]),
        ("both: plan=research and development", ["plan=research and development"]),
        ("large: accounts.mrr[0,100]=>= 100, plan=", ["accounts.mrr[0,100]=>= 100", "plan="]),
        ("empty: plan=''", ["plan=''"]),
    ],
)
def test_conditions_are_separated_by_commas_and_or(text: str, where: list[str]) -> None:
    assert list(parse_segment(text).where) == where
    assert parse_segment(parse_segment(text).text).where == parse_segment(text).where


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        (["country=DE"], "has no name"),
        (["url=http://x"], "has no name"),
        ([": country=DE"], "has no name"),
        (["de:"], "segment 'de' has no condition"),
        (["de: DE"], "condition 'DE' of segment 'de' is not understood"),
        (["de: country=DE", "De: country=US"], "two segments are called 'De'"),
        (["de: county=DE"], "segment 'de': metric 'orders' has no dimension 'county'"),
        (["p: accounts.plam=pro"], "accounts have no attribute 'plam'"),
        (["x: country=DE or account_id=a1"], "`or` in segment 'x'"),
        (["x: country=DE and country=US"], "country cannot have two values at once"),
        (["x: country=DE or country=US and account_id=a1"], "both `and` and `or`"),
        ([f"s{n}: country=DE" for n in range(21)], "at most 20"),
        (["x" * 101 + ": country=DE"], "at most 100"),
    ],
)
def test_a_segment_that_cannot_be_read_is_an_error_beside_its_field(
    shop: Project, segments: list[str], message: str
) -> None:
    with pytest.raises(QueryError, match=message.replace("`", ".")) as found:
        shop.book.query("orders", segments=segments)
    assert found.value.hint
    assert found.value.field in ("segments", "") if "plam" in message else found.value.field == "segments"


def test_a_misspelled_dimension_of_a_segment_is_suggested(shop: Project) -> None:
    with pytest.raises(QueryError) as found:
        shop.book.query("orders", segments=["de: county=DE"])
    assert "did you mean 'country'?" in found.value.hint


def test_what_to_ask_instead_keeps_the_segments(shop: Project) -> None:
    with pytest.raises(Refused) as found:
        shop.book.query("seats", scope="week", show="total", segments=["us: country=US"])
    assert "--segment 'us: country=US'" in found.value.ask
