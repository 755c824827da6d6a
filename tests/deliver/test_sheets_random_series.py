"""Series with null and empty texts in a Google Sheet, deliveries at random, and between them people who edit days and names."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import Phase, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tallybook.core.result.result import Result
from tallybook.core.result.values import Column
from tallybook.deliver.destinations.google_sheets import reading as sheets_reading
from tallybook.deliver.destinations.google_sheets.document import SheetOutcome, TabPlace, bring_up_to_date
from tallybook.deliver.destinations.layout import arranged, latest
from tallybook.sheets.credentials import NAMES, Keys
from tallybook_emulators.sheets import Emulator
from tests.deliver.test_sheets_deliveries import Morning

DAY_0 = date(1899, 12, 30)
PLANS = (None, "", "pro", "Pro", "007", "(empty)", "=1+1", "2026-01-03")
SHOWN = {None: "", "": "(empty)", "(empty)": "((empty))"}
"""How a plan is written where that is another text."""
FORMS = ("{d}", "{d} 14:00", "{d:%d.%m.%Y}", " {d} ", "{d:%d %b %Y}", "{d:%m/%d/%Y}")
"""Texts that mean a day; a person writes them with an apostrophe, so that they stay texts."""


class Series(RuleBasedStateMachine):
    """One tab of a layout and a mode. Each number is a power of two, so that a sum says which numbers are in it."""

    google: Emulator
    layout: str
    mode: str

    def __init__(self) -> None:
        super().__init__()
        user = self.google.authorized_user()
        self.mornings = Morning(self.google, Keys(**{name: user[name] for name in NAMES}))
        self.document = self.google.create("Metrics")
        self.person = self.google.person(self.document)
        self.days: list[date] = []
        self.plans: list[str | None] = [None, ""]
        self.reported: set[int] = set()
        self.deliver(days=2, another=False)

    def result(self) -> Result:
        facts = {"complete": True, "days": 1, "days_expected": 1, "approximate": False}
        data = [
            {"period": day, "plan": plan, "n": self.number(day, plan)} | facts
            for day in self.days
            for plan in self.plans
        ]
        columns = [
            Column(name="period", role="period", type="date"), Column(name="plan", role="dimension", type="string"),
            Column(name="n", role="metric", type="integer", show="total"),
        ]  # fmt: skip
        return Result(
            metrics=["n"], scope="day", timezone="UTC", week_starts="monday", explain="", version=1, sql="", columns=columns,
            data=data,
        )  # fmt: skip

    def number(self, day: date, plan: str | None) -> int:
        return 2 ** (len(PLANS) * self.days.index(day) + PLANS.index(plan))

    @rule(days=st.integers(0, 1), another=st.booleans())
    def deliver(self, days: int, another: bool) -> None:
        if another and len(self.plans) < len(PLANS):
            self.plans.append(PLANS[len(self.plans)])
        for _ in range(days if len(self.days) < 5 else 0):
            self.days.append(date(2026, 1, 1) + timedelta(days=len(self.days)))
        result = self.result()
        grid = latest(result) if self.mode == "latest" else arranged(result, self.layout)
        place = TabPlace(document=self.document, tab="Daily", owner="Acme/board", mode=self.mode)
        (outcome,) = bring_up_to_date(self.mornings.api(), place, grid)
        self.is_right(outcome)
        (again,) = bring_up_to_date(self.mornings.api(), place, grid)
        assert not again.changed

    def is_right(self, outcome: SheetOutcome) -> None:
        """Each number stands in the row of its day and plan. A second row with it was reported."""
        reported = {*outcome.twice, *(stray.row for stray in outcome.strays)}
        head, *rows = self.tab()
        found: Counter[Any] = Counter()
        for row, cells in enumerate(rows, 1):
            if row in reported:
                continue
            for key, number in self.cells(head, cells):
                found[key, number] += 1
        days = self.days[-1:] if self.mode == "latest" else self.days
        wanted = Counter(((day, SHOWN.get(plan, plan)), self.number(day, plan)) for day in days for plan in self.plans)
        assert found == wanted

    def tab(self) -> list[list[Any]]:
        return self.google.document(self.document)["Daily"].values

    def cells(self, head: list[Any], cells: list[Any]) -> list[tuple[Any, int]]:
        """((day, plan), number) of a row."""
        cells = [*cells, *[""] * (len(head) - len(cells))]
        plan = cells[head.index("plan")]
        if self.layout == "across" and self.mode != "latest":
            return [
                ((date.fromisoformat(h), plan), n)
                for h, n in zip(head, cells, strict=True)
                if h[:2] == "20" and n != ""
            ]
        value = head.index("n") if "n" in head else head.index("value")
        return [((DAY_0 + timedelta(days=cells[head.index("day")]), plan), cells[value])] if cells[value] != "" else []

    # what people do

    def letter(self, head: str) -> str:
        return "ABCDEFGHIJ"[self.tab()[0].index(head)]

    def row(self, draw: st.DataObject) -> int:
        return draw.draw(st.integers(2, len(self.tab())))

    @rule(
        draw=st.data(), form=st.sampled_from(FORMS), how=st.sampled_from(["text", "formula", "time", "text of formula"])
    )
    def edit_a_day(self, draw: st.DataObject, form: str, how: str) -> None:
        if self.mode == "latest" or self.layout == "across":
            return
        row = self.row(draw)
        serial = self.tab()[row - 1][self.tab()[0].index("day")]
        if not isinstance(serial, int | float):
            return
        day = DAY_0 + timedelta(days=int(serial))
        typed = {
            "text": "'" + form.format(d=day), "formula": f"=DATE({day.year},{day.month},{day.day})",
            "time": f"{day} 07:30", "text of formula": f'="{day}"',
        }  # fmt: skip
        self.person.type(f"Daily!{self.letter('day')}{row}", typed[how])

    @rule(draw=st.data(), how=st.sampled_from(["upper", "blank", "blanks", "formula"]))
    def edit_a_name(self, draw: st.DataObject, how: str) -> None:
        row = self.row(draw)
        cells, column = self.tab()[row - 1], self.tab()[0].index("plan")
        plan = cells[column] if column < len(cells) else ""
        if not isinstance(plan, str) or (plan in ("", "pro", "Pro") and how == "upper"):
            return  # of two that differ in case only, nobody can tell which one it was
        typed = {
            "upper": "'" + plan.upper(),
            "blank": f"'{plan} ",
            "blanks": f"'  {plan}\u00a0",
            "formula": f'="{plan}"',
        }
        self.person.type(f"Daily!{self.letter('plan')}{row}", typed[how])

    @rule(draw=st.data(), descending=st.booleans())
    def sort(self, draw: st.DataObject, descending: bool) -> None:
        head = self.tab()[0]
        by = draw.draw(st.sampled_from(range(len(head))))
        self.person.sort(
            f"Daily!A2:{'ABCDEFGHIJ'[len(head) - 1]}{len(self.tab())}", "ABCDEFGHIJ"[by], descending=descending
        )

    @rule(draw=st.data())
    def delete_a_row(self, draw: st.DataObject) -> None:
        if len(self.tab()) > 2:
            self.person.delete_row("Daily", self.row(draw))

    @rule(draw=st.data())
    def move_a_column(self, draw: st.DataObject) -> None:
        head = self.tab()[0]
        one, other = draw.draw(st.tuples(*[st.sampled_from("ABCDEFGHIJ"[: len(head)])] * 2))
        if one != other:
            self.person.move_column("Daily", one, other)


@pytest.mark.cases(3)
@pytest.mark.parametrize(
    ("layout", "mode", "at_once"),
    [
        ("columns", "history", True), ("columns", "history", False), ("columns", "mirror", True), ("long", "history", False),
        ("across", "history", True), ("long", "latest", False),
    ],
)  # fmt: skip
def test_whatever_people_make_of_days_and_names_no_number_is_lost_or_doubled(
    layout: str, mode: str, at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets_reading, "WHOLE", 400_000 if at_once else 0)
    with Emulator(quotas=None) as google:
        series = type("Series", (Series,), {"google": google, "layout": layout, "mode": mode})
        few = min(settings.get_profile(settings._current_profile).max_examples, 100)  # type: ignore[attr-defined]
        steps = settings(
            settings.get_profile(settings._current_profile),  # type: ignore[attr-defined]
            max_examples=max(2, few // 5), stateful_step_count=10, phases=[Phase.generate],
        )  # fmt: skip
        run_state_machine_as_test(series, settings=steps)
        assert google.mistakes == []
