"""One delivery that fails, for whatever reason, fails alone: the others are made, alerts are sent, the exit code is 1."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

import tallybook.deliver.deliveries as deliver
from tallybook.cli import invoke
from tallybook.core.errors import BookError, DestinationError
from tallybook.deliver.destinations.excel.destination import Xlsx
from tallybook.sheets.workbook.package import Package
from tests.people import parts_of, workbook_of_people
from tests.projects import Project
from tests.receivers import Web

METRICS = """
    [metrics.n]
    table = "users"
    time = "at"
    measure = "count(*)"

    [deliveries.board]
    to = "xlsx"
    path = "board.xlsx"
    metrics = ["n"]

    [deliveries.list]
    to = "csv"
    path = "list.csv"
    metrics = ["n"]
"""


@pytest.fixture
def project(tmp_path, make_database):
    project = Project(tmp_path / "acme", make_database("sqlite"), now="2024-03-03T12:00")
    project.table("users (at text)", [("2024-03-01 10:00:00",)])
    yield project
    project.close()


def declared(project: Project) -> Project:
    project.declare(METRICS, start="2024-03-01")
    return project


def _breaks(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def broken(*_: object) -> bytes:
        raise error

    monkeypatch.setattr(Xlsx, "content", broken)


@pytest.mark.parametrize("error", [TypeError("string indices must be integers"), KeyError("x"), RecursionError("deep")])
def test_an_unforeseen_exception_fails_its_delivery_and_the_others_are_made(project, monkeypatch, error) -> None:
    _breaks(monkeypatch, error)
    board, made = declared(project).run().deliveries
    assert (board.status, made.status) == ("failed", "delivered")
    assert f"a bug in Tallybook: {type(error).__name__}" in board.error
    assert "please report it" in board.hint
    assert "tallybook/deliver/destinations/base.py, bring_up_to_date" in board.hint, "the text says where"
    assert (project.folder / "list.csv").exists()


def test_an_exception_before_the_delivery_begins_fails_it_alone_too(project, monkeypatch) -> None:
    declared(project).run()
    fingerprint_of = deliver.fingerprint_of

    def broken(means, delivery):
        if delivery.name == "board":
            raise ZeroDivisionError("seven")
        return fingerprint_of(means, delivery)

    monkeypatch.setattr(deliver, "fingerprint_of", broken)
    assert [report.status for report in project.book.deliver(force=True)] == ["failed", "up to date"]
    acquire, calls = type(project.book.store.ledger).acquire, []

    def fails_once(self, job, **when):
        calls.append(job)
        if len(calls) == 1:
            raise BookError("the ledger is busy")
        return acquire(self, job, **when)

    monkeypatch.setattr(deliver, "fingerprint_of", fingerprint_of)
    monkeypatch.setattr(type(project.book.store.ledger), "acquire", fails_once)
    assert [report.status for report in project.book.deliver(force=True)] == ["failed", "up to date"]


def test_the_command_ends_with_1_and_alerts_are_sent(project, monkeypatch) -> None:
    _breaks(monkeypatch, TypeError("string indices must be integers"))
    err = io.StringIO()
    with Web() as web:
        declared = METRICS + f'[alerts]\nto = ["json://127.0.0.1:{web.port}/hook"]\n'
        project.declare(declared, start="2024-03-01")
        project.close()
        arguments = ["--project", str(project.folder)]
        assert invoke([*arguments, "run"], now=lambda: project.now, stderr=err, stdout=io.StringIO()) == 1
        assert "board board.xlsx not delivered: a bug in Tallybook: TypeError" in err.getvalue()
        assert any("board" in str(post) and "a bug in Tallybook" in str(post) for _, post in web.posts)
    assert invoke([*arguments, "deliver"], now=lambda: project.now, stderr=err, stdout=io.StringIO()) == 1


def _damaged(data: bytes, offset: int) -> bytes:
    """The workbook with one byte of the compressed data of its main part turned over."""
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        info = opened.getinfo("xl/workbook.xml")
    found = bytearray(data)
    found[info.header_offset + 30 + len(info.filename) + offset] ^= 0xFF
    return bytes(found)


@pytest.mark.parametrize("offset", [0, 1, 7, 40])
def test_a_workbook_with_a_damaged_byte_is_refused_in_words(offset: int) -> None:
    with pytest.raises(DestinationError, match="damaged"):
        Package(_damaged(workbook_of_people(), offset))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_in_other_compressions_is_refused_in_words_too(method: int) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as made:
        for name, data in parts_of(workbook_of_people()).items():
            made.writestr(name, data)
    for offset in range(12, 40, 3):
        with pytest.raises(DestinationError, match=r"damaged|compressed by method"):
            Package(_damaged(file.getvalue(), offset))


def test_the_other_file_is_delivered_beside_a_damaged_workbook(project) -> None:
    project.declare(METRICS, start="2024-03-01")
    project.folder.joinpath("board.xlsx").write_bytes(_damaged(workbook_of_people(), 0))
    assert [report.status for report in project.run().deliveries] == ["failed", "delivered"]
    assert Path(project.folder / "list.csv").read_text().count("\n") == 3
