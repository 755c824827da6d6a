"""Metrics of events: daily values and single events become points as rows of a database do, and silence is not zero."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import tallybook
from tallybook.storage.event_ledger import EventLedger
from tallybook.storage.sqlite_ledger import SqliteLedger
from tests.ingest.test_event_log import Ingest

HEAD = """
[book]
name = "Acme"
timezone = "Europe/Berlin"
start = "2026-02-01"
"""


class EventBook:
    """A project whose events come through the log, with a clock that is set by hand."""

    def __init__(self, folder: Path, metrics: str, files: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        (folder / "metrics").mkdir(parents=True)
        for name, text in (files or {}).items():
            (folder / name).write_text(text)
        (folder / "tallybook.toml").write_text(HEAD + textwrap.dedent(metrics))
        self.now = datetime(2026, 3, 5, 12, tzinfo=UTC)
        self.ingest = Ingest(folder / "book")
        self.book = tallybook.open(folder, now=lambda: self.now)

    def declare(self, more: str) -> None:
        """Write more into tallybook.toml."""
        self.book.close()
        file = self.folder / "tallybook.toml"
        file.write_text(file.read_text() + more)
        self.book = tallybook.open(self.folder, now=lambda: self.now)

    def send(self, *events: dict[str, Any], path: str = "/v1/events", **headers: str) -> None:
        self.ingest.now = self.now
        self.ingest.send(*events, path=path, **headers)
        self.ingest.compact()

    def values(self, event: str, **by_day: float) -> None:
        values = [{"event": event, "day": f"2026-03-{day[1:]}", "value": v} for day, v in by_day.items()]
        self.send(*values, path="/v1/values")

    def run(self) -> Any:
        self.ingest.now = self.now
        self.ingest.compact()
        report = self.book.run()
        assert not report.failed, [f"{m.metric}: {m.error} {m.hint}" for m in report.failed]
        return report

    def ask(self, metric: str, first: str = "2026-03-01", last: str = "2026-03-04", **asked: Any) -> dict[str, Any]:
        rows = self.book.query(metric, from_=first, to=last, **asked).rows()
        return {str(row["period"]): row[metric] for row in rows}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    made: list[EventBook] = []

    def new(metrics: str) -> EventBook:
        made.append(EventBook(tmp_path / f"p{len(made)}", metrics))
        return made[-1]

    yield new
    for one in made:
        one.book.close()
        one.ingest.commit.close()


SEATS = """
[metrics.seats]
event = "seats"
daily_aggregate = true
measure = "sum(value)"
"""


def test_a_day_without_a_pushed_value_is_unknown_and_not_zero(make: Any) -> None:
    book = make(SEATS)
    book.values("seats", d01=160, d02=150, d04=150)
    assert book.run().exit_code == 0
    assert book.ask("seats") == {"2026-03-01": 160, "2026-03-02": 150, "2026-03-03": None, "2026-03-04": 150}
    (whole,) = book.book.query("seats", scope="all", show="average", from_="2026-03-01", to="2026-03-04").rows()
    assert whole["seats"] == pytest.approx(153.333333)
    assert (whole["days"], whole["complete"]) == (3, False)
    book.values("seats", d03=140)  # late, by a day of which nothing was known
    book.run()
    assert book.ask("seats")["2026-03-03"] == 140


def test_asking_for_a_day_without_a_value_says_what_to_send(make: Any) -> None:
    book = make(SEATS)
    book.values("seats", d01=160)
    (report,) = book.book.run("seats", from_="2026-03-01", to="2026-03-02").metrics
    assert report.notes == [
        "no value was pushed for 2026-03-02: send it to /v1/values, or close the day: PUT /v1/days/seats/2026-03-02"
    ]
    assert book.ask("seats", last="2026-03-02") == {"2026-03-01": 160, "2026-03-02": None}


def test_a_day_that_was_closed_without_a_value_is_zero(make: Any) -> None:
    book = make(SEATS)
    book.values("seats", d01=160)
    book.ingest.events.close_day("seats", date(2026, 3, 2), "loader", now=book.now)
    book.run()
    assert book.ask("seats", last="2026-03-03") == {"2026-03-01": 160, "2026-03-02": 0, "2026-03-03": None}


def test_a_value_sent_again_replaces_the_one_before_of_its_series(make: Any) -> None:
    book = make(SEATS.replace("[metrics.seats]", '[metrics.seats]\nby = ["region"]\n'))
    one = {"event": "seats", "day": "2026-03-01"}
    book.send(
        {**one, "value": 100, "dimensions": {"region": "eu"}},
        {**one, "value": 50, "dimensions": {"region": "us"}},
        {**one, "value": 110, "dimensions": {"region": "eu"}},
        path="/v1/values",
    )
    book.run()
    assert book.ask("seats", last="2026-03-01") == {"2026-03-01": 160}
    book.send({**one, "value": 90, "dimensions": {"region": "eu"}}, path="/v1/values")
    book.run()
    assert book.ask("seats", last="2026-03-01") == {"2026-03-01": 140}


def test_values_of_dimensions_that_a_metric_does_not_name_add_up(make: Any) -> None:
    book = make(SEATS)
    one = {"event": "seats", "day": "2026-03-01", "account": "a"}
    book.send(
        {**one, "value": 100, "dimensions": {"region": "eu", "tier": 1}},
        {**one, "value": 50, "dimensions": {"region": "us", "tier": 1}},
        {**one, "value": 7, "dimensions": {"region": "us", "tier": 2}},
        {**one, "value": 1, "dimensions": {}},
        {**one, "value": 2, "account": "b"},
        {**one, "value": 110, "dimensions": {"region": "eu", "tier": 1}},
        path="/v1/values",
    )
    book.run()
    assert book.ask("seats", last="2026-03-01") == {"2026-03-01": 170}


def test_daily_events_sent_again_replace_those_of_their_texts(make: Any) -> None:
    book = make(
        """
        [metrics.api_calls]
        event = "dailyApiCalls"
        daily_aggregate = true
        measure = "sum(apiCalls)"
        by = ["apiType"]
        """
    )

    def calls(kind: str, subscription: str, count: int) -> dict[str, Any]:
        properties = {"apiType": kind, "subscriptionName": subscription, "apiCalls": count}
        return {"event": "dailyApiCalls", "time": "2026-03-01T12:00:00Z", "account": "a", "properties": properties}

    book.send(calls("SOAP", "s1", 100), calls("SOAP", "s2", 50), calls("REST", "s1", 7))
    book.now += timedelta(seconds=1)
    book.send(calls("SOAP", "s1", 105), calls("SOAP", "s1", 110))
    book.run()
    rows = book.book.query("api_calls", by=["apiType"], from_="2026-03-01", to="2026-03-01").rows()
    assert {row["apiType"]: row["api_calls"] for row in rows} == {"SOAP": 160, "REST": 7}


SIGNUPS = """
[metrics.signups]
event = "signup"
measure = "count(*)"
by = ["plan"]

[metrics.buyers]
event = "signup"
measure = "count(distinct user)"
where = "amount > 5"
"""


def signup(day: int, id_: str, hour: int = 12, **properties: Any) -> dict[str, Any]:
    time = f"2026-03-{day:02}T{hour:02}:00:00Z"
    return {"event": "signup", "time": time, "id": id_, "user": f"u-{id_}", "properties": properties}


def test_events_are_counted_on_their_day_in_the_zone_of_the_book_and_once(make: Any) -> None:
    book = make(SIGNUPS)
    events = [
        signup(1, "a", plan="pro", amount=10),
        signup(1, "b", 23, plan="free", amount=3),
        signup(3, "c", plan="pro", amount=9),
    ]
    book.send(*events)
    book.send(*events)
    book.run()
    assert book.ask("signups") == {"2026-03-01": 1, "2026-03-02": 1, "2026-03-03": 1, "2026-03-04": 0}
    assert book.ask("buyers") == {"2026-03-01": 1, "2026-03-02": 0, "2026-03-03": 1, "2026-03-04": 0}
    rows = book.book.query("signups", scope="all", by=["plan"], from_="2026-03-01", to="2026-03-04").rows()
    assert {row["plan"]: row["signups"] for row in rows} == {"pro": 2, "free": 1}


def test_a_late_event_restates_its_day_however_old_its_receipt_is(make: Any) -> None:
    book = make(SIGNUPS)
    book.send(signup(1, "a", plan="pro", amount=10))
    book.run()
    book.now += timedelta(days=20)
    book.run()
    assert book.ask("signups")["2026-03-01"] == 1
    # A log that could not be reached for weeks: received long ago, compacted now, far outside the lookback.
    book.ingest.now = datetime(2026, 3, 5, 13, tzinfo=UTC)
    book.ingest.send(signup(1, "b", plan="pro", amount=10))
    report = book.run()
    assert book.ask("signups")["2026-03-01"] == 2
    assert next(m for m in report.metrics if m.metric == "signups").revisions == 1
    before = book.ingest.events.number()
    assert book.run().exit_code == 0
    assert book.ingest.events.number() == before


def test_days_after_the_last_seal_of_a_host_stay_uncovered(make: Any) -> None:
    book = make(SIGNUPS)
    book.send(signup(1, "a", plan="pro", amount=10))
    book.now += timedelta(days=3)  # and no host has looked since
    report = book.book.run()
    assert "source events is known only until 2026-03-05 11:59 UTC" in report.metrics[0].notes[0]
    assert book.ask("signups", last="2026-03-05")["2026-03-05"] is None


def test_a_day_on_which_nobody_served_for_long_is_not_covered(make: Any) -> None:
    book = make(SIGNUPS)
    ledger = book.ingest.events
    book.send(signup(1, "a", plan="pro", amount=10))
    at = datetime(2026, 3, 2, tzinfo=UTC)
    ledger.seal("host-1", book.now, (at, at + timedelta(hours=30)))  # until the 3rd, 6:00
    ledger.seal("host-1", book.now, (at + timedelta(hours=34), book.now))  # from the 3rd, 10:00
    book.run()
    assert book.ask("signups") == {"2026-03-01": 1, "2026-03-02": 0, "2026-03-03": None, "2026-03-04": 0}
    ledger.close_day("signup", date(2026, 3, 3), "loader", now=book.now)
    book.run()
    assert book.ask("signups")["2026-03-03"] == 0


def test_a_property_whose_values_have_two_types_fails_its_metrics_instead_of_leaving_values_out(make: Any) -> None:
    book = make(SIGNUPS)
    book.send(signup(1, "a", plan="pro", amount=10), signup(1, "b", plan="pro", amount=5.5))
    report = book.book.run()
    (failed,) = report.failed
    assert failed.metric == "buyers"
    assert "property amount of event signup" in failed.error
    assert 'declare its type: [events."signup"] properties = { "amount" = "number" }' in failed.error
    assert book.ask("signups")["2026-03-01"] == 2
    book.declare('[events.signup]\nproperties = { "Amount" = "number" }\n')
    book.run()
    assert book.ask("buyers")["2026-03-01"] == 2


@pytest.mark.parametrize(
    ("first", "second", "type_", "total"),
    [
        (5, 5.5, "number", 10.5),
        (5, "6.25", "number", 11.25),
        (5, "six", "number", None),
        (5.5, 7, "integer", None),
        ("7", 5, "integer", 12),
        ("7", True, "integer", None),
    ],
)
def test_a_declared_type_reads_values_of_every_spelling_or_refuses_them(
    make: Any, first: Any, second: Any, type_: str, total: float | None
) -> None:
    book = make(f'[events.paid]\nproperties = {{ amount = "{type_}" }}\n' + PAID)
    time = "2026-03-01T12:00:00Z"
    for amount in (first, second):
        book.send({"event": "paid", "time": time, "properties": {"amount": amount}})
    report = book.book.run()
    assert book.ask("revenue")["2026-03-01"] == total
    assert [m.metric for m in report.failed] == ([] if total is not None else ["revenue"])
    assert total is not None or "is not of its declared type" in report.failed[0].error


PAID = """
[metrics.revenue]
event = "paid"
measure = "sum(amount)"
"""


def test_events_that_differ_only_in_case_are_two_events(make: Any) -> None:
    book = make(
        """
        [metrics.lower]
        event = "page.viewed"
        measure = "count(*)"

        [metrics.upper]
        event = "Page.Viewed"
        measure = "sum(n)"
        """
    )
    time = "2026-03-01T12:00:00Z"
    book.send({"event": "page.viewed", "time": time}, {"event": "Page.Viewed", "time": time, "properties": {"n": 7}})
    book.run()
    assert (book.ask("lower")["2026-03-01"], book.ask("upper")["2026-03-01"]) == (1, 7)


def test_an_event_that_never_came_costs_its_metric_and_names_the_others(make: Any) -> None:
    book = make(SIGNUPS + '\n[metrics.other]\nevent = "sign_up"\nmeasure = "count(*)"\n')
    book.send(signup(1, "a", plan="pro", amount=10))
    (failed,) = book.book.run().failed
    assert failed.metric == "other"
    assert "no event" in failed.error
    assert "signup" in failed.hint


def test_a_wrong_type_of_a_property_is_a_problem_with_the_line_to_paste(tmp_path: Path) -> None:
    (tmp_path / "tallybook.toml").write_text(
        HEAD + '[events.signup]\nproperties = { amount = "nuber" }\nschema = "warm"\n'
    )
    with pytest.raises(tallybook.DeclarationError) as failed:
        tallybook.open(tmp_path)
    assert {problem.path for problem in failed.value.problems} == {
        "events.signup.properties.amount",
        "events.signup.schema",
    }
    assert any("did you mean 'number'?" in problem.hint for problem in failed.value.problems)


def test_events_of_a_book_whose_ledger_is_on_postgresql_are_collected(tmp_path: Path) -> None:
    from tests.ledgers import database, schema_of

    book = tmp_path / "book"
    text = HEAD + f'ledger = "{database()}"\nschema = "{schema_of(book)}"\n' + SEATS
    (tmp_path / "tallybook.toml").write_text(text)
    now = datetime(2026, 3, 5, 12, tzinfo=UTC)
    tallybook.open(tmp_path, now=lambda: now).close()
    ingest = Ingest(book, "postgresql")
    ingest.send({"event": "seats", "day": "2026-03-01", "value": 160}, path="/v1/values")
    ingest.compact()
    with tallybook.open(tmp_path, now=lambda: now) as opened:
        assert not opened.run().failed
        (row, gap) = opened.query("seats", from_="2026-03-01", to="2026-03-02").rows()
        assert (row["seats"], gap["seats"]) == (160, None)
        assert opened.doctor() == []
    ingest.commit.close()
    ingest.events.close()


def test_an_event_and_a_table_cannot_both_be_given(tmp_path: Path) -> None:
    text = HEAD + '[metrics.m]\nevent = "signup"\ntable = "users"\nmeasure = "count(*)"\n'
    (tmp_path / "tallybook.toml").write_text(text)
    with pytest.raises(tallybook.DeclarationError, match="event and table or sql are both given"):
        tallybook.open(tmp_path)


def test_a_book_without_events_says_how_to_receive_one(tmp_path: Path) -> None:
    (tmp_path / "tallybook.toml").write_text(HEAD + SIGNUPS)
    with tallybook.open(tmp_path, now=lambda: datetime(2026, 3, 5, tzinfo=UTC)) as book:
        report = book.run()
    assert report.exit_code == 4


def test_sql_reads_events_by_their_names(make: Any) -> None:
    book = make(
        """
        [metrics.big]
        source = "events"
        sql = "select time, amount from signup where amount > 5"
        time = "time"
        measure = "sum(amount)"
        """
    )
    book.send(signup(1, "a", amount=10), signup(1, "b", amount=1))
    book.run()
    assert book.ask("big", last="2026-03-01") == {"2026-03-01": 10}
    assert isinstance(book.ingest.events, EventLedger)
    assert isinstance(book.ingest.events.ledger, SqliteLedger)
