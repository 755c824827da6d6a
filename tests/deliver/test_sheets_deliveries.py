"""Deliveries to Google Sheets, to the emulator of them: what stands there, exactly once, whatever people and networks do."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import count, product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

import tallybook.deliver.destinations.google_sheets.delivery as deliver_sheets
import tallybook.deliver.destinations.google_sheets.document as sheets_destination
from tallybook.core.errors import DeclarationError, DestinationError
from tallybook.core.result.result import Result
from tallybook.core.result.values import Column
from tallybook.deliver.destinations.google_sheets import reading as sheets_reading, tab as sheets_tab
from tallybook.deliver.destinations.google_sheets.document import SheetOutcome, TabPlace, bring_up_to_date
from tallybook.deliver.destinations.layout import Grid, arranged
from tallybook.sheets.api import Api
from tallybook.sheets.credentials import NAMES, Keys
from tallybook.sheets.pace import Bucket, Patience
from tallybook.sheets.service_urls import ServiceUrls
from tallybook_emulators.sheets import Emulator, Fault, Tab
from tests.projects import Project

METRICS = """
    [metrics.signups]
    table = "users"
    time = "at"
    measure = "count(*)"
    by = ["plan"]

    [metrics.worth]
    table = "users"
    time = "at"
    measure = "avg(price)"
    by = ["plan"]
"""
LATER = """
    [metrics.payers]
    table = "users"
    time = "at"
    measure = "count(distinct plan)"
"""
USERS = [
    # at, plan, price
    ("2024-01-01 10:00:00", "pro", 10.5),
    ("2024-01-01 11:00:00", "=1+1", 2.0),
    ("2024-01-02 10:00:00", "pro", 4.0),
    ("2024-01-04 10:00:00", "007", 1.0),
]
_DAY_0 = date(1899, 12, 30)


def serial(day: str) -> int:
    return (date.fromisoformat(day) - _DAY_0).days


@dataclass
class Sheet:
    """A project that delivers to one document of an emulator."""

    google: Emulator
    project: Project
    document: str
    patient: bool = True

    def declare(self, *deliveries: str, metrics: str = METRICS, **keys: Any) -> None:
        """Deliveries of the metrics, each "name: key = value; …"."""
        text = metrics
        for one in deliveries or ("board:",):
            name, _, more = one.partition(":")
            asked = "" if "metrics" in more else 'metrics = ["signups", "worth"]\n'
            lines = "\n".join(line.strip() for line in more.split(";"))
            text += (
                f'\n[deliveries.{name}]\nto = "google_sheets"\nspreadsheet = "{self.document}"\napi = "{self.google.url}"\n'
                f"{asked}{lines}\n"
            )
        self.project.declare(text, start="2024-01-01", **keys)
        self.project.close()

    def run(self, now: str = "") -> list[Any]:
        """A run of that morning; its deliveries."""
        if now:
            self.project.at(now)
        return self.project.book.run().deliveries

    def deliver(self, **how: Any) -> Any:
        (report,) = self.project.book.deliver(**how)
        return report

    def tab(self, title: str = "board") -> Tab:
        return self.google.document(self.document)[title]

    def rows(self, title: str = "board") -> list[list[Any]]:
        return self.tab(title).values

    def insert(self, *rows: tuple[Any, ...]) -> None:
        self.project.insert("users", rows)


@pytest.fixture
def google() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator
        assert emulator.mistakes == []


@pytest.fixture
def sheet(
    google: Emulator, tmp_path: Path, make_database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sheet]:
    user = google.authorized_user()
    for name, variable in NAMES.items():
        monkeypatch.setenv(variable, user[name])
    project = Project(tmp_path / "project", make_database("sqlite"), now="2024-01-05T06:00")
    project.table("users (at timestamp, plan varchar(20), price real)", USERS)
    made = Sheet(google, project, google.create("Metrics"))

    def opened(api: str, means: Any) -> Api:
        """As the real one, but that waiting takes no time, and after three tries it is at its end."""
        keys = Keys(**{name: user[name] for name in NAMES})
        waits = Patience(tries=3 if made.patient else 1, sleep=lambda _: None)
        buckets = Bucket(per_minute=1e9), Bucket(per_minute=1e9)
        return Api(keys, ServiceUrls(google.url), patience=waits, reads=buckets[0], writes=buckets[1])

    monkeypatch.setattr(deliver_sheets, "_opened", opened)
    yield made
    project.close()


# ------------------------------------------------------------------------------------------- what stands there


def test_a_first_delivery_makes_the_tab_with_days_numbers_and_texts_as_they_are(sheet: Sheet) -> None:
    sheet.declare('board: by = ["plan"]')
    (report,) = sheet.run()
    assert (report.status, report.error) == ("delivered", None)
    assert sheet.rows() == [
        ["day", "plan", "complete", "signups", "worth"],
        [serial("2024-01-01"), "=1+1", "yes", 1, 2.0],
        [serial("2024-01-01"), "pro", "yes", 1, 10.5],
        [serial("2024-01-02"), "pro", "yes", 1, 4.0],
        [serial("2024-01-04"), "007", "yes", 1, 1.0],
    ]
    tab = sheet.tab()
    assert tab.number_format("A2") == {"type": "DATE", "pattern": "yyyy-mm-dd"}
    assert tab.cell("B2")["userEnteredValue"] == {"stringValue": "=1+1"}, "a text, and no formula"
    assert tab.cell("B5")["userEnteredValue"] == {"stringValue": "007"}, "a text, and no number"
    assert tab.resource["properties"]["gridProperties"]["frozenRowCount"] == 1


def test_the_next_day_adds_a_row_and_late_data_corrects_its_cell(sheet: Sheet) -> None:
    sheet.declare()
    sheet.run()
    sheet.insert(("2024-01-05 10:00:00", "pro", 3.0), ("2024-01-04 23:00:00", "pro", 5.0))
    (report,) = sheet.run("2024-01-06T06:00")
    assert [change["what"] for change in report.changes] == ["new row", "corrected", "corrected"]
    assert sheet.rows()[3:] == [
        [serial("2024-01-03"), "yes", 0],
        [serial("2024-01-04"), "yes", 2, 3.0],
        [serial("2024-01-05"), "yes", 1, 3.0],
    ]


def test_where_nothing_is_new_no_request_is_made(sheet: Sheet) -> None:
    sheet.declare()
    sheet.run()
    sheet.google.forget_requests()
    assert sheet.deliver().status == "up to date"
    assert sheet.google.requests == []


def test_a_new_metric_comes_right_of_ours_and_what_people_have_there_moves(sheet: Sheet) -> None:
    sheet.declare()
    sheet.run()
    person = sheet.google.person(sheet.document)
    person.type("board!E1", "my own")
    person.type("board!E2", "=C2*2")
    person.rename_header("board!C1", "Anmeldungen")
    sheet.declare('board: metrics = ["signups", "payers", "worth"]', metrics=METRICS + LATER)
    sheet.run()
    assert sheet.tab().entered[:2] == [
        ["day", "complete", "Anmeldungen", "worth", "payers", "my own"],
        [serial("2024-01-01"), "yes", 2, 6.25, 2, "=C2*2"],
    ]


def test_several_tabs_layouts_and_modes_of_one_document(sheet: Sheet) -> None:
    sheet.declare(
        'wide: layout = "across"',
        'long: layout = "long"; scope = "month"; totals = true; by = ["plan"]',
        'now: mode = "latest"; scope = "week"',
        'two: mode = "mirror"; last = "2 days"; tab = "Last two"',
    )
    assert {report.status for report in sheet.run()} == {"delivered"}
    assert sheet.rows("wide")[1] == ["signups", 2, 1, 0, 1]
    assert [row[:4] for row in sheet.rows("long")[1:3]] == [
        [serial("2024-01-01"), "007", "signups", 1],
        [serial("2024-01-01"), "007", "worth", 1],
    ]
    assert [row[3] for row in sheet.rows("long totals")[1:]] == [4, 4.375, 4, 4.375]
    assert sheet.rows("now") == [
        ["metric", "week", "value", "unit", "complete", "note"],
        ["signups", serial("2024-01-01"), 4, "", "no"],
        ["worth", serial("2024-01-01"), 4.375, "", "no"],
    ]
    assert [row[0] for row in sheet.rows("Last two")[1:]] == [serial("2024-01-03"), serial("2024-01-04")]
    sheet.insert(("2024-01-05 10:00:00", "pro", 3.0))
    assert {report.error for report in sheet.run("2024-01-06T06:00")} == {None}
    assert sheet.rows("wide") == [
        ["metric", "2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05"],
        ["signups", 2, 1, 0, 1, 1],
        ["worth", 6.25, 4, "", 1, 3],
    ]
    assert [row[0] for row in sheet.rows("Last two")[1:]] == [serial("2024-01-04"), serial("2024-01-05")]
    assert sheet.rows("now")[1][2] == 5


@pytest.mark.parametrize("locale", ["de_DE", "en_US", "fr_FR"])
def test_locale_and_zone_of_the_document_change_nothing(sheet: Sheet, locale: str) -> None:
    sheet.document = sheet.google.create("Zahlen", locale=locale, time_zone="Pacific/Kiritimati")
    sheet.declare('board: by = ["plan"]')
    sheet.run()
    assert sheet.rows()[1] == [serial("2024-01-01"), "=1+1", "yes", 1, 2.0]
    assert sheet.deliver(verify=True).status == "as delivered"


def test_an_empty_tab_of_that_name_is_used_and_one_with_something_in_it_is_not(sheet: Sheet) -> None:
    person = sheet.google.person(sheet.document)
    person.type("Sheet1!B2", "mine")
    person.add_tab("Empty")
    sheet.declare('a: tab = "Empty"', 'b: tab = "Sheet1"')
    empty, taken = sheet.run()
    assert (empty.status, taken.status) == ("delivered", "failed")
    assert "'Sheet1' with something in it" in taken.error
    assert sheet.rows("Empty")[1] == [serial("2024-01-01"), "yes", 2, 6.25]


def test_a_tab_that_is_declared_to_be_called_otherwise_is_renamed_and_one_that_people_renamed_is_not(
    sheet: Sheet,
) -> None:
    sheet.declare('board: tab = "Daily"')
    sheet.run()
    sheet.google.person(sheet.document).rename_tab("Daily", "Ours")
    sheet.insert(("2024-01-05 10:00:00", "pro", 3.0))
    sheet.run("2024-01-06T06:00")
    assert len(sheet.rows("Ours")) == 6
    sheet.declare('board: tab = "Numbers"')
    assert sheet.deliver(dry_run=True).changes == [{"tab": "Ours", "what": "renamed", "key": ["Numbers"]}]
    assert sheet.deliver().status == "delivered"
    assert len(sheet.rows("Numbers")) == 6
    sheet.declare('board: tab = "Sheet1"')
    sheet.google.person(sheet.document).type("Sheet1!A1", "theirs")
    assert "'Sheet1' with something in it" in sheet.deliver().error


def test_a_tab_of_another_book_is_not_written_to_and_named(sheet: Sheet) -> None:
    sheet.declare('board: tab = "Daily"', name="Acme")
    sheet.run()
    sheet.declare('board: tab = "Daily"', name="Staging", store="staging")
    (report,) = sheet.run()
    assert "is written by 'Acme/board', and this is 'Staging/board'" in report.error


# ------------------------------------------------------------------------------------------- dry runs and drift


def test_a_dry_run_says_every_cell_and_writes_none(sheet: Sheet) -> None:
    sheet.declare()
    sheet.run()
    before = sheet.tab().entered
    sheet.insert(("2024-01-04 12:00:00", "pro", 3.0))
    sheet.project.declare(METRICS, start="2024-01-01")  # a run that does not deliver
    sheet.project.close()
    sheet.project.at("2024-01-06T06:00").run()
    sheet.declare()
    report = sheet.deliver(dry_run=True)
    assert (report.status, sheet.tab().entered) == ("would be delivered", before)
    assert [(c["what"], c.get("column"), c.get("old"), c.get("new")) for c in report.changes] == [
        ("new row", None, None, None),
        ("corrected", "signups", 1.0, 2.0),
        ("corrected", "worth", 1.0, 2.0),
    ]


@pytest.mark.parametrize(("policy", "stands"), [("restore", 2), ("keep", 99)])
def test_a_cell_that_somebody_wrote_into_is_seen_and_treated_as_declared(
    sheet: Sheet, policy: str, stands: int
) -> None:
    sheet.declare(f'board: by_hand = "{policy}"')
    sheet.run()
    sheet.google.person(sheet.document).type("board!C2", 99)
    assert sheet.deliver(verify=True).status == ("differs" if policy == "restore" else "as delivered")
    sheet.insert(("2024-01-04 12:00:00", "pro", 3.0))
    (report,) = sheet.run("2024-01-06T06:00")
    assert sheet.rows()[1][2] == stands
    assert sheet.rows()[4][2] == 2, "late data is no handwriting"
    assert "99.0 where 2.0 belongs" in report.hint


@pytest.mark.parametrize("policy", ["restore", "keep"])
def test_a_number_that_is_declared_otherwise_is_no_handwriting(sheet: Sheet, policy: str) -> None:
    """The book is the same, and so is what was delivered of it: the question is another."""
    sheet.declare(f'board: by_hand = "{policy}"')
    sheet.run()
    sheet.declare(f'board: by_hand = "{policy}"; where = ["plan=pro"]')
    report = sheet.deliver()
    assert [row[2] for row in sheet.rows()[1:]] == [1, 1, 0, 0]
    assert {change["what"] for change in report.changes} == {"corrected"}


def test_a_correction_says_what_it_was(sheet: Sheet) -> None:
    sheet.declare("board: notes = true")
    sheet.run()
    sheet.insert(("2024-01-04 12:00:00", "pro", 3.0))
    sheet.run("2024-01-06T06:00")
    assert sheet.tab().cell("C5")["note"] == "1 until 2024-01-06"
    assert "note" not in sheet.tab().cell("C4")


def test_a_document_that_will_be_full_says_when_and_one_that_is_goes_on_in_another(sheet: Sheet) -> None:
    """The tab takes 26,000 of the 26,010 cells that are left; of its 1,000 rows of a day each 995 are free."""
    sheet.document = sheet.google.create("Large", tabs=["Large"], rows=383_615, columns=26)
    sheet.declare()
    (report,) = sheet.run()
    full = date(2024, 1, 5) + timedelta(days=995)
    assert report.hint.startswith(f"The document has 9,999,990 of 10,000,000 cells and is full about {full}")
    sheet.document = sheet.google.create("Full", tabs=["Large"], rows=384_000, columns=26)
    sheet.declare("board:", 'now: mode = "mirror"')
    board, mirror = sheet.run()
    assert mirror.failed
    assert "room for 16,000 more cells of 10,000,000" in mirror.error
    address = re.search(r"https://docs.google.com/spreadsheets/d/([\w-]+)/edit", board.hint)
    assert address, board.hint
    assert f"Document {sheet.document} is full: from now on new rows go to" in board.hint
    assert len(sheet.google.document(address[1])["board"].values) == 5
    assert sheet.project.book.deliver("board", verify=True)[0].status == "as delivered"


# ------------------------------------------------------------------------------------------------- exactly once

TROUBLES: dict[str, dict[str, Any]] = {
    "503 before": {"answer": 503},
    "503 after": {"answer": 503, "after": True},
    "500 after": {"answer": 500, "after": True},
    "cut before": {"cut": True},
    "cut after": {"cut": True, "after": True},
    "reset after": {"reset": True, "after": True},
    "429": {"answer": 429},
    "401": {"answer": 401},
}
MORNINGS = ("first", "daily", "restated")
HEAD = ["day", "complete", "signups", "worth"]
BY_HAND = {
    "first": [(1, 2, 6.25), (2, 1, 4.0), (3, 0, None), (4, 1, 1.0)],
    "daily": [(1, 2, 6.25), (2, 1, 4.0), (3, 0, None), (4, 1, 1.0), (5, 1, 3.0)],
    "restated": [(1, 2, 6.25), (2, 1, 4.0), (3, 0, None), (4, 2, 4.0), (5, 2, 5.0), (6, 0, None)],
}
"""(day of January, signups, mean price) of the rows that there are on each morning."""


def grid(morning: str) -> Grid:
    """What the book says on that morning."""
    rows = [
        {"period": date(2024, 1, day), "signups": n, "worth": worth, "complete": True, "days": 1, "days_expected": 1,
         "approximate": False}
        for day, n, worth in BY_HAND[morning]
    ]  # fmt: skip
    columns = [
        Column(name="period", role="period", type="date"),
        Column(name="signups", role="metric", type="integer", show="total"),
        Column(name="worth", role="metric", type="float", show="total"),
    ]
    made = Result(
        metrics=["signups", "worth"], scope="day", timezone="UTC", week_starts="monday", columns=columns, data=rows,
        explain="", version=1, sql="",
    )  # fmt: skip
    return arranged(made, "columns")


def standing(morning: str) -> list[list[Any]]:
    """The tab as it is after that morning."""
    rows = [[serial(f"2024-01-0{d}"), "yes", n, *([w] if w is not None else [])] for d, n, w in BY_HAND[morning]]
    return [HEAD, *rows]


class Killed(BaseException):
    """The process is gone: nothing is cleaned up after it but what the system does."""


class Mortal(Api):
    """Ends the process at its n-th request: before it is sent, or when it was answered."""

    def __init__(self, *given: Any, at: int = 0, answered: bool = False, **more: Any) -> None:
        super().__init__(*given, **more)
        self.at, self.answered, self.sent = at, answered, 0

    def _send(self, *given: Any) -> Any:
        self.sent += 1
        if self.sent == self.at and not self.answered:
            raise Killed
        answer = super()._send(*given)
        if self.sent == self.at:
            raise Killed
        return answer


@dataclass
class Morning:
    """Deliveries of prepared grids to one document after another."""

    google: Emulator
    keys: Keys
    document: str = ""

    def api(self, *, tries: int = 3, at: int = 0, answered: bool = False) -> Mortal:
        patience = Patience(tries=tries, sleep=lambda _: None)
        buckets = Bucket(per_minute=1e9), Bucket(per_minute=1e9)
        places = ServiceUrls(self.google.url)
        return Mortal(
            self.keys, places, patience=patience, reads=buckets[0], writes=buckets[1], at=at, answered=answered
        )

    def begin(self, morning: str) -> list[list[Any]]:
        """A new document with all that was delivered before that morning, and how it stands."""
        self.document = self.google.create("Metrics")
        for earlier in MORNINGS[: MORNINGS.index(morning)]:
            self.deliver(earlier, self.api())
        return self.rows()

    def deliver(self, morning: str, api: Api) -> None:
        place = TabPlace(document=self.document, tab="Daily", owner="Acme/board")
        bring_up_to_date(api, place, grid(morning))

    def rows(self) -> list[list[Any]]:
        tabs = self.google.document(self.document).tabs
        return next((tab.values for tab in tabs if tab.title == "Daily"), [])


@pytest.fixture
def morning_of(google: Emulator) -> Morning:
    user = google.authorized_user()
    google.quotas.limits = None
    return Morning(google, Keys(**{name: user[name] for name in NAMES}))


def sampled(cases: list[tuple[Any, ...]], seed: int, soak: bool, number: int) -> list[tuple[Any, ...]]:
    """All of them in the long run, else some that the seed decides."""
    return cases if soak else random.Random(seed).sample(cases, number)


@pytest.mark.cases(1)
@pytest.mark.parametrize("morning", MORNINGS)
def test_any_request_may_fail_and_every_number_stands_there_once(
    morning_of: Morning, morning: str, seed: int, soak: bool
) -> None:
    """With patience in one go, without it in the delivery after; and never is half of one to be seen."""
    cases = list(product(TROUBLES, [3, 1], range(1, 7)))
    for trouble, tries, nth in sampled(cases, seed, soak, 10):
        before = morning_of.begin(morning)
        morning_of.google.faults.add(Fault(nth=nth, **TROUBLES[trouble]))
        for _ in range(3):
            with suppress(DestinationError):
                morning_of.deliver(morning, morning_of.api(tries=tries))
            assert morning_of.rows() in (before, standing(morning)), "half of a delivery is seen"
        morning_of.google.faults.clear()
        assert morning_of.rows() == standing(morning), (trouble, tries, nth)


@pytest.mark.cases(1)
@pytest.mark.parametrize("morning", MORNINGS)
def test_killed_at_any_request_and_delivered_again_it_stands_there_once(
    morning_of: Morning, morning: str, seed: int, soak: bool
) -> None:
    """Killed while everything goes well, and while it finds out what became of a batch."""
    cases = list(product([None, "503 after", "cut after", "429"], [False, True], range(1, 7)))
    for trouble, answered, at in sampled(cases, seed, soak, 8):
        before = morning_of.begin(morning)
        if trouble:
            morning_of.google.faults.add(Fault(path=":batchUpdate", **TROUBLES[trouble]))
        with suppress(Killed):
            morning_of.deliver(morning, morning_of.api(at=at, answered=answered))
        morning_of.google.faults.clear()
        assert morning_of.rows() in (before, standing(morning))
        morning_of.deliver(morning, morning_of.api())
        assert morning_of.rows() == standing(morning), (trouble, answered, at)


def test_a_delivery_makes_no_more_requests_than_those_that_were_made_to_fail(morning_of: Morning) -> None:
    """Token, overview, content, batch, and the stamp looked for."""
    for morning in MORNINGS:
        morning_of.begin(morning)
        morning_of.google.forget_requests()
        morning_of.google.faults.add(Fault(path=":batchUpdate", answer=503, after=True))
        morning_of.deliver(morning, morning_of.api())
        assert len(morning_of.google.requests) <= 6
        morning_of.google.faults.clear()


def test_a_batch_that_comes_late_is_refused_because_its_number_is_taken(morning_of: Morning) -> None:
    """Two deliveries were made from the same state; the network holds the first back until the second is through."""
    morning_of.begin("daily")
    late: list[Any] = []
    api = morning_of.api()
    send = api._send
    api._send = lambda *given: late.append(given) or _lost() if "batchUpdate" in given[1] else send(*given)  # type: ignore[method-assign]
    with suppress(Exception):
        morning_of.deliver("daily", api)
    morning_of.deliver("daily", morning_of.api())
    answer = morning_of.api()._send(*late[0])
    assert answer.status == 400
    assert morning_of.rows() == standing("daily")


def _lost() -> Any:
    raise OSError("the network holds it back")


def test_two_at_the_same_time_deliver_once(morning_of: Morning) -> None:
    morning_of.begin("daily")
    with ThreadPoolExecutor(4) as several:
        done = [several.submit(morning_of.deliver, "daily", morning_of.api()) for _ in range(4)]
    assert [one.exception() for one in done] == [None] * 4
    assert morning_of.rows() == standing("daily")


def test_a_delivery_that_fails_waits_for_the_next_run(sheet: Sheet) -> None:
    sheet.declare()
    sheet.google.fault(503, times=None)
    sheet.patient = False
    (report,) = sheet.run()
    assert report.failed
    assert sheet.project.book.runs(1)[0].status == "done", "what was collected is there"
    sheet.google.faults.clear()
    (report,) = sheet.run()
    assert report.status == "delivered"


# ---------------------------------------------------------------------------------------------------------- cheap


def test_a_daily_delivery_of_fifty_metrics_takes_three_requests_and_three_years_ten(
    morning_of: Morning, soak: bool
) -> None:
    """Three years in the long run and in the benchmark; four months of them here."""
    number = 1096 if soak else 122
    days = [date(2023, 1, 1) + timedelta(days=i) for i in range(number)]
    names = [f"m{i}" for i in range(50)]
    everything = made_of(names, [{"period": d, **{n: i + d.day for i, n in enumerate(names)}} for d in days])
    place = TabPlace(document=morning_of.google.create("Metrics"), tab="Daily", owner="Acme/board")
    bring_up_to_date(morning_of.api(), place, replace(everything, lines=everything.lines[:-1]))
    assert sum(morning_of.google.calls().values()) <= 10
    morning_of.google.forget_requests()
    bring_up_to_date(morning_of.api(), place, everything)
    assert sum(morning_of.google.calls().values()) == 3
    rows = morning_of.google.document(place.document)["Daily"].values
    assert len(rows) == 1 + number
    assert rows[-1] == [serial(str(days[-1])), "yes", *(i + days[-1].day for i in range(50))]


def test_of_a_large_tab_only_the_keys_and_the_rows_at_hand_are_read(
    morning_of: Morning, monkeypatch: pytest.MonkeyPatch, soak: bool
) -> None:
    """Four requests instead of three, and of 2,000 days with 20 metrics each only the last three are asked for.
    In the everyday run, of 500 days."""
    days = [date(2019, 1, 1) + timedelta(days=i) for i in range(2000 if soak else 500)]
    names = [f"m{i}" for i in range(20)]
    everything = made_of(names, [{"period": d, **{n: i + d.day for i, n in enumerate(names)}} for d in days])
    place = TabPlace(document=morning_of.google.create("Metrics"), tab="Daily", owner="Acme/board")
    bring_up_to_date(morning_of.api(), place, replace(everything, lines=everything.lines[:-1]))
    monkeypatch.setattr(sheets_reading, "WHOLE", 0)
    seen: list[int] = []
    api = morning_of.api()
    read = api.read
    monkeypatch.setattr(api, "read", lambda *a, **k: seen.append(len(str(answer := read(*a, **k)))) or answer)
    morning_of.google.forget_requests()
    corrected = made_of(names, [{"period": d, **dict.fromkeys(names, 7)} for d in days[-3:]])
    bring_up_to_date(api, place, corrected)
    assert sum(morning_of.google.calls().values()) == 4
    rows = morning_of.google.document(place.document)["Daily"].values
    assert len(rows) == len(days) + 1
    assert [row[2:] for row in rows[-4:]] == [[i + days[-4].day for i in range(20)], *[[7] * 20] * 3]
    assert max(seen) < 150 * len(days), "a line of keys, not 500 letters of cells for each"


# ------------------------------------------------------------------------------------------------- full documents


@pytest.fixture
def small_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """A document holds, beside the tab that Google puts into a new one, forty cells: seven days of five columns."""
    limits = {"ROWS": 4, "COLUMNS": 5, "MAX_CELLS": 26_000 + 40}
    for name, value in limits.items():
        monkeypatch.setattr(sheets_destination, name, value)


JANUARY = [date(2024, 1, day) for day in range(1, 32)]


def january(days: int, *names: str, late: dict[int, int] | None = None) -> Grid:
    """The days 1 … `days`, each with ten times its number; `late` are numbers of days that changed."""
    late = late or {}
    return made_of(
        list(names or ("a",)),
        [
            {"period": d, **{n: late.get(d.day, d.day * 10) + i for i, n in enumerate(names or ("a",))}}
            for d in JANUARY[:days]
        ],
    )


@dataclass
class Volumes:
    """A history that goes on in another document whenever one is full."""

    morning_of: Morning

    def __post_init__(self) -> None:
        self.morning_of.document = self.morning_of.google.create("Metrics", locale="de_DE")
        self.place = TabPlace(document=self.morning_of.document, tab="Daily", owner="Acme/board")

    def deliver(self, grid: Grid, **how: Any) -> list[SheetOutcome]:
        api = self.morning_of.api(**{k: v for k, v in how.items() if k != "dry_run"})
        return bring_up_to_date(api, self.place, grid, dry_run=how.get("dry_run", False))

    def read(self) -> list[list[list[Any]]]:
        """The tab of each document, in the order in which they go on in each other."""
        found, document = [], self.place.document
        while document:
            opened = self.morning_of.google.document(document)
            found += [tab.values for tab in opened.tabs if tab.title == "Daily"]
            entries = self.morning_of.api().read(document, fields=sheets_tab.OVERVIEW)
            document = sheets_tab.next_of(entries)
        return found

    def days(self) -> list[list[Any]]:
        """(day of January, its number) of all documents together."""
        return [[row[0] - serial("2023-12-31"), row[2]] for tab in self.read() for row in tab[1:]]


@pytest.fixture
def volumes(morning_of: Morning, small_documents: None) -> Volumes:
    return Volumes(morning_of)


def test_a_full_document_goes_on_in_another_and_what_is_late_is_corrected_where_it_stands(volumes: Volumes) -> None:
    volumes.deliver(january(6))
    first, second = volumes.deliver(january(10))
    assert (first.full_now, first.added, len(second.added)) == (True, [], 4)
    assert [len(tab) - 1 for tab in volumes.read()] == [6, 4]
    following = volumes.morning_of.google.document(second.document)
    assert (following.title, following.locale) == ("Metrics 2", "de_DE")
    volumes.deliver(january(10, late={2: 5, 9: 6}))
    assert volumes.days() == [[d, {2: 5, 9: 6}.get(d, d * 10)] for d in range(1, 11)]
    assert all(not outcome.changed for outcome in volumes.deliver(january(10, late={2: 5, 9: 6})))
    outcomes = volumes.deliver(january(17))
    assert [len(tab) - 1 for tab in volumes.read()] == [6, 4, 7]
    assert [outcome.full_now for outcome in outcomes] == [False, True, False]


def test_a_dry_run_says_that_a_document_would_be_made_and_makes_none(volumes: Volumes) -> None:
    volumes.deliver(january(6))
    first, second = volumes.deliver(january(10, late={1: 7}), dry_run=True)
    assert (first.onward, second.made, len(second.added)) == ("a new document", True, 4)
    assert [(cell.old, cell.new) for cell in first.corrected] == [(10.0, 7.0)]
    assert volumes.days() == [[d, d * 10] for d in range(1, 7)]


def test_a_new_metric_of_a_full_document_is_told_where_it_has_no_column(volumes: Volumes) -> None:
    volumes.deliver(january(7))
    volumes.deliver(january(9))
    names = ("a", "b", "c", "d", "e", "f")
    first, second = volumes.deliver(january(10, *names))
    assert (first.lacking, second.columns) == (["d", "e", "f"], ["b", "c", "d", "e", "f"]) or first.lacking
    assert [row[2:] for row in volumes.read()[1][1:]] == [[d * 10 + i for i in range(6)] for d in (8, 9, 10)]


def test_killed_at_any_request_of_a_delivery_that_fills_a_document_every_day_stands_there_once(
    volumes: Volumes, seed: int, soak: bool
) -> None:
    """A document that was made and not yet named is left over empty; no number stands twice, and none is missing."""
    cases = list(product([False, True], range(1, 14)))
    for answered, at in sampled(cases, seed, soak, 8):
        volumes.__post_init__()
        volumes.deliver(january(6))
        with suppress(Killed):
            volumes.deliver(january(10, late={3: 1}), at=at, answered=answered)
        volumes.deliver(january(10, late={3: 1}))
        assert volumes.days() == [[d, 1 if d == 3 else d * 10] for d in range(1, 11)], (answered, at)


@pytest.mark.cases(4)
@pytest.mark.parametrize("trouble", TROUBLES)
def test_any_request_of_a_delivery_that_fills_a_document_may_fail(
    volumes: Volumes, trouble: str, seed: int, soak: bool
) -> None:
    for tries, nth in sampled(list(product([3, 1], range(1, 12))), seed, soak, 3):
        volumes.__post_init__()
        volumes.deliver(january(6))
        volumes.morning_of.google.faults.add(Fault(nth=nth, **TROUBLES[trouble]))
        for _ in range(3):
            with suppress(DestinationError):
                volumes.deliver(january(10), tries=tries)
        volumes.morning_of.google.faults.clear()
        assert volumes.days() == [[d, d * 10] for d in range(1, 11)], (tries, nth)


def test_two_that_find_a_document_full_at_the_same_time_go_on_in_one(volumes: Volumes) -> None:
    volumes.deliver(january(6))
    with ThreadPoolExecutor(4) as several:
        done = [several.submit(volumes.deliver, january(10)) for _ in range(4)]
    assert [one.exception() for one in done] == [None] * 4
    assert volumes.days() == [[d, d * 10] for d in range(1, 11)]


def test_a_board_and_periods_across_do_not_go_on_elsewhere(volumes: Volumes) -> None:
    mirror = replace(volumes.place, mode="mirror")
    with pytest.raises(DestinationError, match="has room for"):
        bring_up_to_date(volumes.morning_of.api(), mirror, january(10))
    assert volumes.read() == []


# --------------------------------------------------------------------------------------------------------- people


def made_of(names: list[str], values: list[dict[str, Any]]) -> Grid:
    """A column for each metric and a line for each period."""
    facts = {"complete": True, "days": 1, "days_expected": 1, "approximate": False}
    metrics = [Column(name=name, role="metric", type="integer", show="total") for name in names]
    made = Result(
        metrics=names, scope="day", timezone="UTC", week_starts="monday", explain="", version=1, sql="",
        columns=[Column(name="period", role="period", type="date"), *metrics],
        data=[dict.fromkeys(names) | value | facts for value in values],
    )  # fmt: skip
    return arranged(made, "columns")


class Office(RuleBasedStateMachine):
    """Deliveries, and between them what people do in the same document."""

    google: Emulator

    def __init__(self) -> None:
        super().__init__()
        user = self.google.authorized_user()
        self.mornings = Morning(self.google, Keys(**{name: user[name] for name in NAMES}))
        self.document = self.mornings.document = self.google.create("Metrics")
        self.person = self.google.person(self.document)
        self.names = ["a", "b"]
        self.numbers: dict[date, dict[str, int]] = {}
        self.tokens = count()
        self.deliver(days=3)

    # what we do

    def tab(self) -> sheets_tab.Tab | None:
        api = self.mornings.api()
        sheet = sheets_tab.tab_of(api.read(self.document, fields=sheets_tab.OVERVIEW), "Acme/board")
        if sheet is None:
            return None
        only = {"gridRange": {"sheetId": sheet["properties"]["sheetId"]}}
        return sheets_tab.read(api.read(self.document, fields=sheets_tab.CONTENT, ranges=[only]))

    def theirs(self, tab: sheets_tab.Tab | None) -> Counter[Any]:
        """What stands outside our cells. Formulas count, their text does not: places in it move."""
        if tab is None:
            return Counter()
        ours, found = set(tab.places.values()), []
        period = tab.places["period"]
        for row, cells in enumerate(tab.cells):
            mine = (
                row == tab.header or isinstance(tab.cell(row, period), float) or self.means_a_day(tab.cell(row, period))
            )
            for column, value in enumerate(cells):
                if value is not None and not (mine and column in ours):
                    found.append("a formula" if isinstance(value, sheets_tab.Formula) else value)
        return Counter(found)

    def means_a_day(self, cell: Any) -> bool:
        """Whether somebody wrote one of our days otherwise."""
        shown = str(cell.shows if isinstance(cell, sheets_tab.Formula) else cell).strip()
        forms = ("{d}", "{d} 14:00", "{d:%d.%m.%Y}", "{d:%d %b %Y}")
        serials = {f"{serial(str(day))}.0" for day in self.numbers}
        return shown in serials or any(shown == form.format(d=day) for day in self.numbers for form in forms)

    @rule(days=st.integers(0, 3), late=st.booleans(), another=st.booleans())
    def deliver(self, days: int, late: bool = False, another: bool = False) -> None:
        if another and len(self.names) < 5:
            self.names.append("cde"[len(self.names) - 2])
        begin = max(self.numbers, default=date(2023, 12, 31)) + timedelta(days=1)
        for i in range(days):
            self.numbers[begin + timedelta(days=i)] = {}
        for day, numbers in self.numbers.items():
            for i, name in enumerate(self.names):
                numbers.setdefault(name, day.day * 10 + i)
        if late and self.numbers:
            numbers[self.names[0]] += 1000
        grid = made_of(self.names, [{"period": day, **numbers} for day, numbers in self.numbers.items()])
        before = self.theirs(self.tab())
        place = TabPlace(document=self.document, tab="Daily", owner="Acme/board")
        bring_up_to_date(self.mornings.api(), place, grid)
        tab = self.tab()
        assert tab is not None
        assert self.theirs(tab) == before, "something of theirs is gone or changed"
        self.is_right(tab)

    def is_right(self, tab: sheets_tab.Tab) -> None:
        """Every number of ours stands in its row and column, and no day is there twice but by a copy of theirs."""
        rows: dict[float, int] = {}
        for row in range(len(tab.cells)):
            if isinstance(key := tab.cell(row, tab.places["period"]), float):
                rows.setdefault(key, row)
        for day, numbers in self.numbers.items():
            row = rows[serial(str(day))]
            found = {name: tab.cell(row, tab.places[name]) for name in self.names}
            assert found == {name: float(numbers[name]) for name in self.names}, day
        assert len(rows) == len(self.numbers)

    # what people do

    def title(self) -> str:
        tab = self.tab()
        assert tab is not None
        return tab.title

    def letter(self, column: int) -> str:
        return chr(ord("A") + column)

    def of(self, draw: st.DataObject, key: bool = True) -> tuple[str, str]:
        """(the tab, the letter of one of our columns)."""
        tab = self.tab()
        assert tab is not None
        names = sorted(name for name in tab.places if key or name not in ("period", "complete"))
        return tab.title, self.letter(tab.places[draw.draw(st.sampled_from(names))])

    @rule()
    def rename_the_tab(self) -> None:
        self.person.rename_tab(self.title(), f"Tab {next(self.tokens)}")

    @rule(draw=st.data())
    def insert_a_column_and_write_into_it(self, draw: st.DataObject) -> None:
        title, letter = self.of(draw)
        if len(self.theirs(self.tab())) < 12:
            self.person.insert_column(title, letter)
            self.person.type(f"'{title}'!{letter}2", f"note {next(self.tokens)}")
            self.person.type(f"'{title}'!{letter}3", "=1+1")

    @rule(draw=st.data(), to=st.integers(0, 6))
    def move_a_column(self, draw: st.DataObject, to: int) -> None:
        title, letter = self.of(draw)
        if letter != self.letter(to):
            self.person.move_column(title, letter, self.letter(to))

    @rule(draw=st.data())
    def rename_a_heading(self, draw: st.DataObject) -> None:
        title, letter = self.of(draw)
        tab = self.tab()
        if tab is not None and tab.header is not None:
            self.person.rename_header(f"'{title}'!{letter}{tab.header + 1}", f"Heading {next(self.tokens)}")

    @rule(row=st.integers(1, 6))
    def insert_a_row_and_write_into_it(self, row: int) -> None:
        title = self.title()
        self.person.insert_row(title, row)
        self.person.type(f"'{title}'!T{row}", f"remark {next(self.tokens)}")

    @rule(row=st.integers(2, 8))
    def delete_a_row(self, row: int) -> None:
        self.person.delete_row(self.title(), row)

    @rule(draw=st.data())
    def delete_a_column_of_numbers(self, draw: st.DataObject) -> None:
        tab = self.tab()
        if tab is not None and len(tab.places) > 3:
            title, letter = self.of(draw, key=False)
            self.person.delete_column(title, letter)

    @rule(draw=st.data(), row=st.integers(2, 8))
    def write_into_a_number_of_ours(self, draw: st.DataObject, row: int) -> None:
        title, letter = self.of(draw, key=False)
        tab = self.tab()
        assert tab is not None
        if isinstance(tab.cell(row - 1, tab.places["period"]), float):
            self.person.type(f"'{title}'!{letter}{row}", -1)

    @rule(
        row=st.integers(2, 8),
        how=st.sampled_from(
            ["text", "time", "text with time", "German", "words", "blanks", "formula", "text of formula"]
        ),
    )
    def write_a_day_otherwise(self, row: int, how: str) -> None:
        tab = self.tab()
        assert tab is not None
        key = tab.cell(row - 1, tab.places["period"])
        if not isinstance(key, float) or not key.is_integer():
            return
        day = _DAY_0 + timedelta(days=int(key))
        typed = {
            "text": f"'{day}", "time": f"{day} 14:00", "text with time": f"'{day} 14:00", "German": f"'{day:%d.%m.%Y}",
            "words": f"'{day:%d %b %Y}", "blanks": f"' {day} ", "formula": f"=DATE({day.year},{day.month},{day.day})",
            "text of formula": f'="{day}"',
        }  # fmt: skip
        self.person.type(f"'{tab.title}'!{self.letter(tab.places['period'])}{row}", typed[how])

    @rule(descending=st.booleans(), draw=st.data())
    def sort_the_rows(self, descending: bool, draw: st.DataObject) -> None:
        title, letter = self.of(draw)
        tab = self.tab()
        assert tab is not None
        first = (tab.header or 0) + 2
        self.person.sort(f"'{title}'!A{first}:T{first + 30}", letter, descending=descending)

    @rule(below=st.integers(1, 3))
    def write_below(self, below: int) -> None:
        tab = self.tab()
        assert tab is not None
        if len(tab.cells) < 60:
            self.person.type(f"'{tab.title}'!S{len(tab.cells) + below}", f"total {next(self.tokens)}")

    @rule()
    def filter_the_tab(self) -> None:
        self.person.filter(f"'{self.title()}'!A1:E20")

    @rule()
    def delete_the_tab(self) -> None:
        if next(self.tokens) % 3 == 0:
            self.person.add_tab(f"Other {next(self.tokens)}")
            self.person.delete_tab(self.title())
            self.deliver(days=0)


@pytest.mark.cases(1)
@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("sorted_metadata", [False, True])
def test_whatever_people_do_our_numbers_are_in_the_right_cells_and_theirs_untouched(
    sorted_metadata: bool, at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether Google takes the metadata of a row along when rows are sorted is not documented: both ways. And whether
    the tab is read at once, or, as a large one, its keys and the rows at hand."""
    monkeypatch.setattr(sheets_reading, "WHOLE", 400_000 if at_once else 0)
    with Emulator(quotas=None, sort_moves_metadata=sorted_metadata) as google:
        office = type("Office", (Office,), {"google": google})
        steps = settings(
            settings.get_profile(settings._current_profile), stateful_step_count=12, phases=[Phase.generate]
        )  # type: ignore[attr-defined]
        run_state_machine_as_test(office, settings=steps)
        assert google.mistakes == []


def test_a_key_column_that_is_gone_is_told_and_nothing_is_written(morning_of: Morning) -> None:
    morning_of.begin("daily")
    morning_of.google.person(morning_of.document).delete_column("Daily", "A")
    before = morning_of.rows()
    with pytest.raises(DestinationError, match="column of period is gone") as why:
        morning_of.deliver("daily", morning_of.api())
    assert "Version history" in why.value.hint
    assert morning_of.rows() == before


def test_merged_cells_of_ours_are_told(morning_of: Morning) -> None:
    morning_of.begin("daily")
    area = {"sheetId": morning_of.google.document(morning_of.document)["Daily"].id, "startRowIndex": 1, "endRowIndex": 3,
            "startColumnIndex": 2, "endColumnIndex": 3}  # fmt: skip
    morning_of.google.person(morning_of.document).request("mergeCells", range=area, mergeType="MERGE_ALL")
    with pytest.raises(DestinationError, match="are merged"):
        morning_of.deliver("daily", morning_of.api())


def test_a_protected_cell_of_ours_is_told_and_nothing_is_written(morning_of: Morning) -> None:
    boss, us = "boss@example.com", morning_of.google.account
    morning_of.document = morning_of.google.create("Of the boss", owner=boss, share_with=[us])
    morning_of.deliver("first", morning_of.api())
    morning_of.google.person(morning_of.document, boss).protect("Daily!A1:D10", editors=[boss])
    before = morning_of.rows()
    with pytest.raises(DestinationError, match="protected"):
        morning_of.deliver("restated", morning_of.api())
    assert morning_of.rows() == before


def test_formats_and_headings_that_people_chose_go_on_in_new_rows(morning_of: Morning) -> None:
    morning_of.begin("daily")
    person = morning_of.google.person(morning_of.document)
    person.format("Daily!C2:C5", numberFormat={"type": "CURRENCY", "pattern": "0.00 €"})
    person.rename_header("Daily!C1", "Anmeldungen")
    morning_of.deliver("daily", morning_of.api())
    tab = morning_of.google.document(morning_of.document)["Daily"]
    assert tab.number_format("C6") == {"type": "CURRENCY", "pattern": "0.00 €"}
    assert tab.value("C1") == "Anmeldungen"


# ------------------------------------------------------------------------------------------------- what is declared

DECLARED = '[deliveries.board]\nto = "google_sheets"\nspreadsheet = "1UgxVGDt8X0YgB9JYRVQ"\nmetrics = ["signups"]\n'
WRONG = [
    (DECLARED.replace('spreadsheet = "1UgxVGDt8X0YgB9JYRVQ"\n', ""), "a delivery needs spreadsheet"),
    (DECLARED + 'path = "board.xlsx"\n', "a Google Sheet has no path"),
    (DECLARED + 'mode = "histori"\n', 'did you mean "history"'),
    (DECLARED + 'mode = "latest"\nlayout = "across"\n', "the latest values have one layout"),
    (DECLARED + 'by_hand = "ask"\n', "restore, keep"),
    (DECLARED.replace("1UgxVGDt8X0YgB9JYRVQ", "my sheet"), "neither the id nor the URL of a spreadsheet"),
    (DECLARED + DECLARED.replace("board]", 'again]\ntab = "board"'), "[deliveries.board] already writes tab 'board'"),
    (
        '[deliveries.board]\nto = "csv"\npath = "a.csv"\nmetrics = ["signups"]\nnotes = true\n',
        "a CSV file has no notes: only a Google Sheet has notes",
    ),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_a_wrong_declaration_is_told_with_what_is_meant(sheet: Sheet, text: str, said: str) -> None:
    sheet.project.declare(METRICS + text, start="2024-01-01")
    with pytest.raises(DeclarationError) as caught:
        _ = sheet.project.book
    assert said in str(caught.value).replace("'history'", '"history"')


def test_the_address_that_a_browser_shows_is_as_good_as_the_id(sheet: Sheet) -> None:
    address = "https://docs.google.com/spreadsheets/d/1UgxVGDt8X0YgB9JYRVQ/edit#gid=0"
    sheet.project.declare(METRICS + DECLARED.replace("1UgxVGDt8X0YgB9JYRVQ", address), start="2024-01-01")
    assert sheet.project.book.project.catalog.deliveries["board"].options["spreadsheet"] == "1UgxVGDt8X0YgB9JYRVQ"


def test_without_keys_the_next_step_is_told(sheet: Sheet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    for variable in NAMES.values():
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nothing"))
    sheet.declare()
    (report,) = sheet.run()
    assert report.failed
    assert "tallybook sheets setup" in f"{report.error} {report.hint}"


KILLED = """
import os, sys
from datetime import UTC, datetime
import tallybook.sheets.api as api

sent, send = [0], api.Api._send

def dies(self, *given):
    sent[0] += 1
    answer = send(self, *given) if sys.argv[2] == "after" or sent[0] < int(sys.argv[1]) else None
    if sent[0] == int(sys.argv[1]):
        os._exit(9)
    return answer

api.Api._send = dies
from tallybook.cli import main
main(["--project", sys.argv[3], "deliver"], now=lambda: datetime(2024, 1, 5, 6, tzinfo=UTC))
"""


def test_a_process_killed_in_the_middle_of_a_delivery_keeps_nobody_from_going_on(sheet: Sheet) -> None:
    """A real one, that leaves its lease behind."""
    sheet.declare()
    sheet.google.fault(503, times=None)
    sheet.patient = False
    sheet.run()
    sheet.google.faults.clear()
    sheet.project.close()
    for request, when in ((1, "after"), (2, "before"), (2, "after")):
        given = [sys.executable, "-c", KILLED, str(request), when, str(sheet.project.folder)]
        ended = subprocess.run(given, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 9, ended.stderr
    report = sheet.deliver()
    assert (report.status, report.error) in (("delivered", None), ("up to date", None))
    assert sheet.rows()[1:] == [
        [serial("2024-01-01"), "yes", 2, 6.25],
        [serial("2024-01-02"), "yes", 1, 4.0],
        [serial("2024-01-03"), "yes", 0],
        [serial("2024-01-04"), "yes", 1, 1.0],
    ]
