"""What every destination that writes files promises.

    pytest tests/conformance --adapter csv

`--adapter` also takes the name of a destination of an installed package. Without it the suite runs on all that are installed.
"""

import csv
import io
import os
import stat
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path

import openpyxl
import pyarrow.parquet as pq
import pytest

from tallybook.core import Delivery
from tallybook.core.adapters.destinations import DELIVER, DESTINATIONS, EXPORT, QUERY
from tallybook.core.errors import DestinationError
from tallybook.core.reports import DELIVERED, UP_TO_DATE
from tallybook.deliver.destinations.base import DeliveryMode, DeliveryTask, FileDestination
from tallybook.deliver.destinations.registry import open_destination, writer_for
from tests.sample_results import CASES, by_plan, everything, names_in, three_months


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kind" in metafunc.fixturenames:
        adapter = metafunc.config.getoption("--adapter", None)
        files = [
            kind.name for kind in DESTINATIONS.kinds() if issubclass(DESTINATIONS.adapter(kind.name), FileDestination)
        ]
        metafunc.parametrize("kind", [name for name in files if adapter in (None, name)])


def writer(kind: str) -> FileDestination:
    made = open_destination(kind)
    assert isinstance(made, FileDestination)
    return made


@pytest.fixture
def target(kind, tmp_path):
    return tmp_path / f"metrics{writer(kind).kind.endings[0]}"


def csv_values(path, column):
    rows = csv.DictReader(io.StringIO(path.read_bytes().decode(), newline=""))
    return [(row[column] or None) and row[column].removeprefix("'") for row in rows]


def workbook_values(path, column):
    heads, *rows = openpyxl.load_workbook(path)["Metrics"].iter_rows(values_only=True)
    at = [str(head).casefold() for head in heads].index(column)
    return [row[at] for row in rows]


READERS = {
    "csv": csv_values,
    "parquet": lambda path, column: pq.read_table(path)[column].to_pylist(),
    "xlsx": workbook_values,
}


def values_in(kind, path, column):
    """The values of a column, as programs for this kind of file read it."""
    if kind not in READERS:
        pytest.skip(f"nothing here reads {kind} files back")
    return READERS[kind](path, column)


@pytest.mark.parametrize("case", CASES)
def test_every_destination_writes_every_result(case, kind, target):
    writer(kind).export(CASES[case](), target)
    assert target.is_file()
    assert names_in(target.parent) == [target.name]


def test_the_ending_of_the_file_says_what_is_written(kind, target):
    ending = writer(kind).kind.endings[0]
    for use in {EXPORT, QUERY} & set(writer(kind).kind.uses):
        assert type(writer_for(target, use)) is type(writer(kind))
        assert type(writer_for(Path("A.B" + ending.upper()), use)) is type(writer(kind))


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "+1", "-1", "http://x", "1", "TRUE", "naïve 東京"])
def test_text_stays_text(kind, target, text):
    writer(kind).export(by_plan(text), target)
    assert values_in(kind, target, "plan") == [text, text]


def test_null_is_not_zero(kind, target):
    writer(kind).export(three_months(), target)
    read = values_in(kind, target, "revenue")
    assert read[1] in (None, "")
    assert float(read[0]) == 1234.5


def test_the_same_result_gives_the_same_bytes(kind, target):
    written = []
    for _ in range(2):
        writer(kind).export(everything(), target, created=datetime(2026, 4, 1, tzinfo=UTC))
        written.append(target.read_bytes())
    assert written[0] == written[1]


def test_a_file_that_is_there_is_replaced_and_keeps_its_permissions(kind, target):
    target.write_text("old")
    target.chmod(0o640)
    writer(kind).export(three_months(), target)
    assert target.read_bytes() != b"old"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_new_file_can_be_read_by_whom_the_umask_allows(kind, target):
    before = os.umask(0o027)
    try:
        writer(kind).export(three_months(), target)
    finally:
        os.umask(before)
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_link_keeps_pointing_to_the_file_that_is_replaced(kind, target, tmp_path):
    real = tmp_path / "real"
    real.write_text("old")
    target.symlink_to(real)
    writer(kind).export(three_months(), target)
    assert target.is_symlink()
    assert real.read_bytes() != b"old"


def test_a_delivery_is_made_once_and_then_up_to_date(kind, target):
    if DELIVER not in writer(kind).kind.uses:
        pytest.skip(f"{kind} is not delivered")
    answer = everything()
    task = DeliveryTask(
        delivery=Delivery(name="board", to=kind, path=str(target), metrics=tuple(answer.metrics)),
        options=writer(kind).kind.with_defaults({}), answer=lambda: answer, record=None, previous=lambda: None,
        path=target, book="Acme", today=date(2026, 4, 1), created=datetime(2026, 4, 1, tzinfo=UTC), mode=DeliveryMode(),
        variables={}, services={},
    )  # fmt: skip
    assert not writer(kind).is_there(target)
    assert writer(kind).bring_up_to_date(task).status == DELIVERED
    written = target.read_bytes()
    assert writer(kind).is_there(target)
    assert writer(kind).bring_up_to_date(task).status == UP_TO_DATE
    assert target.read_bytes() == written


def test_its_descriptor_is_whole(kind):
    described = writer(kind).kind
    assert described.name == kind
    assert described.endings
    assert all(ending.startswith(".") for ending in (*described.endings, *described.update_endings))
    assert described.noun.split()[0] in ("a", "an")
    for option in described.options:
        assert option.help
        assert option.read(tomllib.loads(f"x = {option.example}")["x"]) is not None


def test_a_missing_folder_is_told_with_the_command_that_makes_it(kind, target, tmp_path):
    with pytest.raises(DestinationError, match="there is no folder") as told:
        writer(kind).export(three_months(), tmp_path / "no" / target.name)
    assert told.value.hint == f"mkdir -p '{tmp_path / 'no'}'"


def test_a_folder_in_the_place_of_the_file_is_told(kind, target):
    target.mkdir()
    with pytest.raises(DestinationError, match="it is a folder"):
        writer(kind).export(three_months(), target)


def test_a_locked_file_is_told_and_keeps_what_it_had(kind, target, monkeypatch):
    def locked(*_):
        raise PermissionError(13, "used by another process")

    target.write_text("old")
    monkeypatch.setattr(Path, "replace", locked)
    with pytest.raises(DestinationError, match="open in another program") as told:
        writer(kind).export(three_months(), target)
    assert "close it" in told.value.hint
    assert target.read_text() == "old"
    assert names_in(target.parent) == [target.name]


def test_a_file_without_the_right_to_write_is_left_alone(kind, target, monkeypatch):
    target.write_text("old")
    monkeypatch.setattr(os, "access", lambda *_: False)  # the tests may run as root, who may everything
    with pytest.raises(DestinationError, match="no permission"):
        writer(kind).export(three_months(), target)
    assert target.read_text() == "old"
