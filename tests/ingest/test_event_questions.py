"""Questions about events without a declared metric: answered from the stored events, and refused where a sum has two meanings."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from tallybook.cli import invoke
from tallybook.core import QueryError, Refused, SourceError
from tests.conftest import COSTLY
from tests.ingest.test_event_metrics import EventBook

BIG = 2**60


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    made: list[EventBook] = []

    def new(metrics: str = "") -> EventBook:
        made.append(EventBook(tmp_path / f"p{len(made)}", metrics))
        return made[-1]

    yield new
    for one in made:
        one.book.close()
        one.ingest.commit.close()


def call(day: date | str, calls: Any, **properties: Any) -> dict[str, Any]:
    return {"event": "calls", "time": f"{day}T09:00:00Z", "properties": {"apiCalls": calls, **properties}}


def daily(days: int, *, skip: tuple[int, ...] = ()) -> list[dict[str, Any]]:
    """One event a day and type, for so many days up to March 4."""
    last = date(2026, 3, 4)
    return [
        call(last - timedelta(days=back), value, apiType=type_)
        for back in range(days)
        if back not in skip
        for type_, value in (("REST", 100 + back), ("SOAP", 10))
    ]


def values(result: Any, metric: str) -> dict[tuple[str, ...], Any]:
    dims = [one.name for one in result.dimension_columns]
    return {(str(row["period"]), *(row[name] for name in dims)): row[metric] for row in result.rows()}


def test_each_measure_of_an_event_is_answered_without_a_declaration(make: Any) -> None:
    book = make()
    sent = [call("2026-03-03", BIG + 1, plan="a"), call("2026-03-03", BIG, plan="b"), call("2026-03-04", 4, plan="a")]
    book.send(*[{**one, "user": f"u{i % 2}"} for i, one in enumerate(sent)])
    asked = {"event": "calls", "scope": "all"}
    (row,) = book.book.query(
        **asked, count=True, sum="apiCalls", min="apiCalls", max="apiCalls", distinct="user,plan", median="apiCalls"
    ).rows()
    found = {
        name: value for name, value in row.items() if name.split("_")[0] in ("count", "sum", "min", "max", "distinct")
    }
    assert found == {
        "count": 3,
        "sum_apiCalls": 2 * BIG + 5,
        "min_apiCalls": 4,
        "max_apiCalls": BIG + 1,
        "distinct_user": 2,
        "distinct_plan": 2,
    }
    assert row["median_apiCalls"] == pytest.approx(BIG)
    by_plan = book.book.query(event="calls", sum="apicalls", scope="week", by="PLAN", last="1 week", to="2026-03-04")
    assert values(by_plan, "sum_apiCalls") == {("2026-03-02", "a"): BIG + 5, ("2026-03-02", "b"): BIG}
    only = book.book.query(event="calls", count=True, where=["plan=a"], from_="2026-03-03", to="2026-03-04")
    assert values(only, "count") == {("2026-03-03",): 1, ("2026-03-04",): 1}
    assert values(book.book.query(event="calls", count=True), "count") == {("2026-03-03",): 2, ("2026-03-04",): 1}


def test_properties_with_dots_and_blanks_are_asked_by_their_names(make: Any) -> None:
    book = make()
    book.send(call("2026-03-04", 1, utm={"source": "x"}, **{"page title": "Home", "user": 7}))
    found = book.book.query(event="calls", count=True, sum="properties.user", by="utm.source,page title")
    assert [(r["utm.source"], r["page title"], r["count"], r["sum_properties_user"]) for r in found.rows()] == [
        ("x", "Home", 1, 7)
    ]


def test_what_does_not_exist_is_named_with_the_closest_name(make: Any) -> None:
    book = make()
    book.send(call("2026-03-04", 1, plan="a"))
    for asked, error in (
        ({"event": "call", "count": True}, "did you mean 'calls'?"),
        ({"event": "calls", "sum": "apiCall"}, "did you mean 'apiCalls'?"),
        ({"event": "calls", "count": True, "by": "plam"}, "did you mean 'plan'?"),
        ({"event": "calls", "count": True, "where": "plam=a"}, "did you mean 'plan'?"),
        ({"event": "calls"}, "properties: time, day, received, user, account, id, key, apiCalls, plan"),
        ({"event": "calls", "sum": "plan"}, "its numbers: apiCalls"),
        ({"event": "calls", "count": True, "as_of": "2026-03-04"}, "declare a metric to keep its history"),
    ):
        with pytest.raises(QueryError) as wrong:
            book.book.query(**asked)
        assert error in wrong.value.hint
    with pytest.raises(QueryError, match="cannot be asked together"):
        book.book.query("signups", event="calls", count=True)
    with pytest.raises(QueryError, match="no event is named"):
        book.book.query("signups", sum="apiCalls")


def test_a_value_of_another_type_fails_the_question_until_its_type_is_declared(make: Any) -> None:
    book = make()
    book.send(call("2026-03-03", 5), call("2026-03-04", 2.5))
    with pytest.raises(SourceError, match="was first integer"):
        book.book.query(event="calls", sum="apiCalls")
    assert values(book.book.query(event="calls", count=True), "count") == {("2026-03-03",): 1, ("2026-03-04",): 1}
    book.declare('\n[events.calls]\nproperties = { apiCalls = "number" }\n')
    assert values(book.book.query(event="calls", sum="apiCalls"), "sum_apiCalls") == {
        ("2026-03-03",): 5,
        ("2026-03-04",): 2.5,
    }


def test_the_sum_of_daily_values_over_several_days_is_refused_with_both_numbers(make: Any) -> None:
    book = make()
    book.send(*daily(14))
    with pytest.raises(Refused, match="two meanings"):
        book.book.query(event="calls", sum="apiCalls", window="7 days", last="1 day")
    question = {"event": "calls", "sum": "apiCalls", "scope": "week"}
    with pytest.raises(Refused) as refused:
        book.book.query(**question)
    assert "looks like a daily aggregate" in refused.value.why
    assert "daily_aggregate = true or false settles it" in refused.value.why
    for show in ("average", "total"):
        assert "--event calls --sum apiCalls" in refused.value.ask
        assert f"--show {show}" in refused.value.ask
        for row in book.book.query(**question, show=show).rows():
            shown = f"{row['sum_apiCalls']:.12g}"
            assert f"{row['period']}: {shown}" in refused.value.why
    assert book.book.query(**{**question, "scope": "day"}).rows()
    assert book.book.query(event="calls", count=True, avg="apiCalls", max="apiCalls", scope="week").rows()


@pytest.mark.parametrize(
    "events",
    [
        daily(13),
        daily(20) + daily(20),
        [call(date(2026, 3, 4) - timedelta(days=back), 5, order=f"o-{back}") for back in range(20)],
    ],
    ids=["13 days", "two a day", "each series once"],
)
def test_what_does_not_look_like_daily_values_is_added_up(make: Any, events: Any) -> None:
    book = make()
    book.send(*events)
    (row,) = book.book.query(event="calls", sum="apiCalls", scope="all").rows()
    assert row["sum_apiCalls"] == sum(one["properties"]["apiCalls"] for one in events)


def test_a_few_days_with_two_events_still_look_daily(make: Any) -> None:
    book = make()
    book.send(*daily(40, skip=(3,)), call("2026-03-04", 7, apiType="REST"))
    with pytest.raises(Refused, match="each of its 1 days without an event counts as 0"):
        book.book.query(event="calls", sum="apiCalls", scope="month")


def test_values_of_a_declared_daily_aggregate_replace_each_other_and_silent_days_are_left_out(make: Any) -> None:
    book = make('[metrics.n]\nevent = "seats"\ndaily_aggregate = true\nmeasure = "sum(value)"\n')
    book.values("seats", d01=100)
    book.values("seats", d01=160, d02=150, d04=150)
    asked = {"event": "seats", "sum": "value", "scope": "all", "from_": "2026-03-01", "to": "2026-03-04"}
    with pytest.raises(Refused) as refused:
        book.book.query(**asked)
    assert "is declared a daily aggregate" in refused.value.why
    assert "153.333333333" in refused.value.why
    assert "460" in refused.value.why
    (row,) = book.book.query(**asked, show="average").rows()
    assert (row["sum_value"], row["days"]) == (pytest.approx(460 / 3), 3)
    by_day = book.book.query(**{**asked, "scope": "day"})
    assert values(by_day, "sum_value") == {
        ("2026-03-01",): 160, ("2026-03-02",): 150, ("2026-03-03",): None, ("2026-03-04",): 150
    }  # fmt: skip


def test_the_command_answers_in_json_as_query_does_and_refuses_with_code_3(make: Any) -> None:
    book = make()
    book.send(*daily(14))

    def command(*words: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        arguments = ["query", "--project", str(book.folder), "--event", "calls", *words]
        code = invoke(arguments, now=lambda: book.now, stdout=out, stderr=err, env={})
        return code, out.getvalue(), err.getvalue()

    code, out, _ = command("--sum", "apiCalls", "--last", "1 day", "--by", "apiType", "--top", "1", "--format", "json")
    rows = json.loads(out)["rows"]
    assert (code, [(row["apiType"], row["sum_apiCalls"]) for row in rows]) == (0, [("REST", 100), (None, 10)])
    out = io.StringIO()
    assert invoke(["events", "schema", "calls", "--project", str(book.folder)], now=lambda: book.now, stdout=out) == 0
    assert "Looks like daily values" in out.getvalue()
    code, _, err = command("--sum", "apiCalls", "--scope", "week")
    assert code == 3
    assert "--show average or tallybook query --event calls --sum apiCalls --scope week --show total" in err


# -- random histories against a plain loop ---------------------------------------------------------------------------

BERLIN = ZoneInfo("Europe/Berlin")
FIRST = datetime(2026, 3, 27, 20, tzinfo=UTC)  # the clocks change on March 29
EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "minutes": st.integers(0, 6 * 1440),
            "n": st.none() | st.integers(-5, 5) | st.integers(BIG, BIG + 3),
            "plan": st.sampled_from([None, "a", "b"]),
            "user": st.sampled_from([None, "u", "v", "w"]),
            "id": st.none() | st.integers(0, 9),
        }
    ),
    min_size=1,
    max_size=30,
)


def as_event(one: dict[str, Any]) -> dict[str, Any]:
    time = FIRST + timedelta(minutes=one["minutes"])
    properties = {name: one[name] for name in ("n", "plan") if one[name] is not None}
    event = {"event": "calls", "time": time.isoformat(), "properties": {"known": 0, **properties}, "user": one["user"]}
    return event if one["id"] is None else {**event, "id": f"i{one['id']}"}


def start_of(day: date, scope: str) -> date:
    return {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}[scope]


@COSTLY
@given(
    events=EVENTS,
    again=st.booleans(),
    split=st.integers(0, 30),
    scope=st.sampled_from(["day", "week", "month"]),
    by=st.booleans(),
)
def test_answers_about_events_equal_a_plain_loop(
    tmp_path_factory: Any, events: Any, again: bool, split: int, scope: str, by: bool
) -> None:
    book = EventBook(tmp_path_factory.mktemp("events") / "p", "")
    book.now = datetime(2026, 4, 9, 12, tzinfo=UTC)
    batches = [events[:split], events[split:], [one for one in events if one["id"] is not None] if again else []]
    stored: list[dict[str, Any]] = []
    seen: set[int] = set()
    try:
        for batch in batches:
            if batch:
                book.send(*map(as_event, batch))
            for one in batch:
                if one["id"] is None or one["id"] not in seen:
                    stored.append(one)
                seen |= {one["id"]} - {None}
        found = book.book.query(
            event="calls",
            count=True,
            sum="n" if any(one["n"] is not None for one in events) else (),
            distinct="user",
            scope=scope,
            by="plan" if by and any(one["plan"] for one in events) else (),
            from_="2026-03-20",
            to="2026-04-08",
        )
    finally:
        book.book.close()
        book.ingest.commit.close()
    expected: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for one in stored:
        day = (FIRST + timedelta(minutes=one["minutes"])).astimezone(BERLIN).date()
        key = (str(start_of(day, scope)), *((one["plan"],) if found.dimension_columns else ()))
        expected.setdefault(key, []).append(one)
    counts = {key: value for key, value in values(found, "count").items() if value}
    assert counts == {key: len(ones) for key, ones in expected.items()}
    for key, ones in expected.items():
        assert values(found, "distinct_user")[key] == len({one["user"] for one in ones} - {None})
        if "sum_n" in found.metrics:
            assert (values(found, "sum_n")[key] or 0) == sum(one["n"] or 0 for one in ones)


def test_a_day_on_which_no_server_ran_is_unknown_and_the_reason_is_given(make: Any) -> None:
    book = make('[metrics.n]\nevent = "calls"\nmeasure = "count(*)"\n')
    book.send(call("2026-03-02", 1), call("2026-03-04", 1))
    first, last, again = (datetime(2026, 3, day, hour, tzinfo=UTC) for day, hour in ((1, 0), (3, 10), (3, 14)))
    for served in ((first, last), (again, book.now)):
        book.ingest.events.seal("host-1", book.now, served)
    asked = {"from_": "2026-03-02", "to": "2026-03-04"}
    for metric, question in (("count", {"event": "calls", "count": True}), ("n", {"live": True})):
        found = book.book.query(*([] if metric == "count" else ["n"]), **question, **asked)
        assert list(values(found, metric).values()) == [1, None, 1]
        why = found.rows()[1]["notes"][metric]["why"]
        assert why.startswith("no server ran from 2026-03-03 10:00 to 14:00 UTC")
        assert "PUT /v1/days/calls/2026-03-03" in why


def test_segments_of_an_event_are_its_questions_with_that_where(make: Any) -> None:
    book = make()
    book.send(*(call(f"2026-03-0{day}", day, plan=plan) for day in (1, 2, 3) for plan in "ab"))
    book.ingest.compact()
    asked: dict[str, Any] = {"event": "calls", "count": True, "sum": "apiCalls", "scope": "day"}
    found = book.book.query(**asked, segments=["first: Plan=a", "both: plan=a or plan=b"]).rows()
    for name, where in (("first", ["plan=a"]), ("both", ["plan=a", "plan=b"])):
        expected = book.book.query(**asked, where=where).rows()
        assert [{k: v for k, v in row.items() if k != "segment"} for row in found if row["segment"] == name] == expected
    with pytest.raises(QueryError, match="segment 'x': event 'calls' has no property 'plam'") as wrong:
        book.book.query(**asked, segments=["x: plam=a"])
    assert "did you mean 'plan'?" in wrong.value.hint
