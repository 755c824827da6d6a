"""One answer on six surfaces: terminal, JSON, CSV, Parquet, XLSX and Google Sheets show what the judge finds in the raw rows.

Exact numbers agree digit for digit, as far as the surface has digits: a workbook and a sheet have 15, a terminal those that
it shows."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings

import tallybook
from tallybook.deliver.destinations.google_sheets import delivery as deliver_sheets
from tallybook.sheets.api import Api
from tallybook.sheets.credentials import NAMES, Keys
from tallybook.sheets.pace import Bucket, Patience
from tallybook.sheets.service_urls import ServiceUrls
from tallybook_emulators.sheets import Emulator
from tests.conftest import SOAK, WORLDS
from tests.oracle import Ask, Refusal, Row, Undecided, Value
from tests.query.test_right import FIRST, Play, company, start
from tests.strategies import World, worlds

FEW = settings(suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.reuse, Phase.generate])
FEW_DIGITS = Fraction(1, 10**14)
"""A cell of a workbook or a sheet has 15 digits."""


# --- each surface read back: the numbers of its rows, in order -------------------------------------------------------


def from_terminal(result: Any, columns: Sequence[str], folder: Path) -> list[list[Any]]:
    """Numbers as they are shown, with how far the shown digits may be from the number."""
    lines = result.to_text(max_rows=None, width=None).split("\n")[1 : len(result.data) + 1]
    return [[shown_number(word) for word in re.split(r"\s{2,}", line.rstrip())[-len(columns) :]] for line in lines]


def shown_number(word: str) -> Any:
    if word == "–":
        return None
    found = re.fullmatch(r"[*≈†‡]*(-?[\d,]+(?:\.\d+)?(?:e[-+]?\d+)?)(%?)[*≈†‡]*", word)
    if found is None:
        return word
    number, percent = Decimal(found[1].replace(",", "")), 100 if found[2] else 1
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    return Fraction(number) / percent, Fraction(10) ** exponent / percent


def from_json(result: Any, columns: Sequence[str], folder: Path) -> list[list[Any]]:
    types = {column.name: column.type for column in result.columns}
    return [
        [None if row[c] is None else row[c] if types[c] == "float" else Decimal(row[c]) for c in columns]
        for row in json.loads(result.to_json(exact=True))["rows"]
    ]


def from_csv(result: Any, columns: Sequence[str], folder: Path) -> list[list[Any]]:
    rows = csv.DictReader(io.StringIO(result.to_csv()))
    types = {column.name: column.type for column in result.columns}
    read = {"float": float}
    return [[read.get(types[c], Decimal)(row[c]) if row[c] else None for c in columns] for row in rows]


def from_parquet(result: Any, columns: Sequence[str], folder: Path) -> list[list[Any]]:
    tallybook_file = folder / "answer.parquet"
    result.to_parquet(tallybook_file)
    return [[row[c] for c in columns] for row in pq.read_table(tallybook_file).to_pylist()]


SURFACES: dict[str, Callable[[Any, Sequence[str], Path], list[list[Any]]]] = {
    "terminal": from_terminal, "JSON": from_json, "CSV": from_csv, "Parquet": from_parquet,
}  # fmt: skip


def agrees(cell: Value, shown: Any) -> bool:
    """Whether what a surface shows is the judge's number, to the digits that it shows."""
    if isinstance(shown, tuple):
        number, unit = shown
        if cell.free or cell.middle is None:
            return cell.free
        _, low, high = cell.interval
        return low - unit / 2 <= number <= high + unit / 2
    return cell.accepts(shown)


def in_a_cell(cell: Value, shown: Any) -> bool:
    """As `agrees`, for a cell of 15 digits. What does not fit one is its text."""
    if isinstance(shown, str):
        shown = Decimal(shown) if shown else None
    if shown is None or cell.free or cell.middle is None:
        return cell.accepts(shown)
    _, low, high = cell.interval
    slack = FEW_DIGITS * max(abs(low), abs(high))
    return low - slack <= Fraction(shown) <= high + slack


# --- random worlds -------------------------------------------------------------------------------------------------------


def lived(world: World, folder: Path) -> Play:
    play = start(world, f"duckdb:///{folder}/app.duckdb", folder)
    for step in world.steps:
        play.take(step)
    return play


def answered(play: Play, ask: Ask) -> tuple[Any, list[Row]] | None:
    """The book's answer and the judge's rows in the same order; None where there is none."""
    try:
        expected = play.life.judge().answer(ask)
        result = play.book.query(*ask.metrics, **ask.keywords())
    except (Refusal, Undecided, tallybook.Refused):
        return None
    return (result, expected) if len(expected) == len(result.data) and not ask.having else None


@settings(FEW, max_examples=WORLDS["surfaces"])
@given(world=worlds("duckdb", whole=SOAK))
def test_terminal_json_csv_and_parquet_show_the_numbers_of_the_raw_rows(world: World) -> None:
    with tempfile.TemporaryDirectory(prefix="tallybook-surfaces-", ignore_cleanup_errors=True) as folder:
        play = lived(world, Path(folder))
        try:
            for ask in world.asks[:4]:
                found = answered(play, ask)
                if found is not None:
                    compare_surfaces(ask, *found, Path(folder))
        finally:
            play.book.close()


def compare_surfaces(ask: Ask, result: Any, expected: list[Row], folder: Path) -> None:
    columns = [column.name for column in result.columns if column.role == "metric"]
    by_place = {place_of(row, ask.by): row for row in expected}
    for surface, read in SURFACES.items():
        shown = read(result, columns, folder)
        assert len(shown) == len(result.data), surface
        for row, numbers in zip(result.rows(), shown, strict=True):
            right = by_place.get(place_of(row, ask.by))
            for column, number in zip(columns, numbers, strict=True) if right else ():
                cell = right["cells"][column]
                assert agrees(cell, number), (surface, ask.command(), row, column, number, str(cell))


def place_of(row: Row, by: Sequence[str]) -> tuple[Any, ...]:
    """What identifies a row in every answer."""
    dims = tuple(None if row[dim] is None else str(row[dim]) for dim in by)
    return str(row["period"]), bool(row.get("total")), bool(row.get("others")), bool(row.get("no_series")), dims


# --- a company: XLSX and Google Sheets ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    folder = tmp_path_factory.mktemp("surfaces")
    play = start(company(), f"sqlite:///{folder}/app.sqlite", folder)
    for step in play.life.world.steps:
        play.take(step)
    yield play
    play.book.close()


NAMED = ("signups", "revenue", "price", "latency", "active", "mrr", "customers", "per_user", "heavy")


@pytest.mark.cases(3)
@pytest.mark.parametrize("scope", ["day", "week", "month", "quarter", "year"])
def test_a_workbook_shows_the_numbers_of_the_raw_rows(played: Play, scope: Any, seed: int, tmp_path: Path) -> None:
    chosen = random.Random(f"{seed} {scope}").sample(NAMED, 3)
    dims = sorted(set.intersection(*(played.life.judge().dims(name) for name in chosen)))[-1:]
    ask = Ask(metrics=tuple(chosen), from_=FIRST, to=date(2024, 4, 3), scope=scope, by=tuple(dims), compare="previous")
    expected = played.life.judge().answer(ask)
    result = played.book.query(*ask.metrics, **ask.keywords())
    played.book.export(result, tmp_path / "answer.xlsx")
    head, *rows = openpyxl.load_workbook(tmp_path / "answer.xlsx")["Metrics"].iter_rows(values_only=True)
    assert len(rows) == len(expected)
    by_place = {place_of(row, ask.by): row for row in expected}
    for own, row in zip(result.rows(), rows, strict=True):
        right = by_place[place_of(own, ask.by)]
        for column, cell in right["cells"].items():
            assert in_a_cell(cell, row[head.index(column)]), (ask.command(), column, row, str(cell))


@pytest.mark.parametrize("dims", [["plan"], []])
def test_a_workbook_of_a_column_without_any_value_has_no_chart_of_it(
    played: Play, dims: list[str], tmp_path: Path
) -> None:
    result = played.book.query("revenue", by=dims, scope="year", compare="previous", from_=FIRST, to="2024-04-03")
    assert {row["revenue_previous"] for row in result.rows()} == {None}
    played.book.export(result, tmp_path / "answer.xlsx")
    head, *rows = openpyxl.load_workbook(tmp_path / "answer.xlsx")["Metrics"].iter_rows(values_only=True)
    assert [row[head.index("revenue")] for row in rows] == [float(row["revenue"]) for row in result.rows()]


def test_a_google_sheet_shows_the_numbers_of_the_raw_rows(
    played: Play, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chosen = ("signups", "revenue", *random.Random(seed).sample(["price", "latency", "active", "mrr", "customers"], 2))
    with Emulator() as google:
        user = google.authorized_user()
        keys = Keys(**{name: user[name] for name in NAMES})

        def opened(api: str, means: Any) -> Api:
            free = Bucket(per_minute=1e9), Bucket(per_minute=1e9)
            waits = Patience(tries=3, sleep=lambda _: None)
            return Api(keys, ServiceUrls(google.url), patience=waits, reads=free[0], writes=free[1])

        monkeypatch.setattr(deliver_sheets, "_opened", opened)
        for name, variable in NAMES.items():
            monkeypatch.setenv(variable, user[name])
        document = google.create("Metrics")
        played_folder = Path(str(played.database.url.database)).parent
        declare_board(played_folder, document, google.url, chosen)
        with tallybook.open(played_folder, now=lambda: played.clock[0]) as book:
            (report,) = book.deliver("board")
        assert report.status == "delivered", report
        head, *rows = google.document(document)["board"].values
        assert google.mistakes == []
    ask = Ask(metrics=chosen, from_=FIRST, to=date(2024, 4, 3), scope="week", by=("plan",))
    right = {(row["period"], row["plan"] or ""): row["cells"] for row in played.life.judge().answer(ask)}
    period, plan, metric, value = (head.index(name) for name in ("week", "plan", "metric", "value"))
    assert len(rows) == len(right) * len(chosen)
    for row in rows:
        day = (datetime(1899, 12, 30) + timedelta(days=row[period])).date()
        text = "" if row[plan] in ("", "(none)") else row[plan]
        assert in_a_cell(right[day, text][row[metric]], row[value]), (row, str(right[day, text][row[metric]]))


def declare_board(folder: Path, document: str, api: str, metrics: Sequence[str]) -> None:
    page = folder / "tallybook.toml"
    text = page.read_text(encoding="utf-8").split("\n[deliveries", 1)[0]
    board = (
        f'spreadsheet = "{document}"\napi = "{api}"\nlayout = "long"\nmode = "mirror"\nscope = "week"\nby = ["plan"]'
    )
    named = ", ".join(f'"{name}"' for name in metrics)
    page.write_text(
        f'{text}\n[deliveries.board]\nto = "google_sheets"\n{board}\nmetrics = [{named}]\n', encoding="utf-8"
    )
