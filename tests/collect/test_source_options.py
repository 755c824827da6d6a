"""Own keys of a source.

A secret one is never shown or kept, one `in_definition` changes definitions, paths become absolute."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import tallybook
from tallybook.collect.sources.registry import open_source
from tallybook.collect.sources.sqlite import SqliteSource
from tallybook.config.project import load
from tallybook.core.adapters.registry import Option
from tallybook.core.adapters.sources import REGISTRY, SourceKind

PROJECT = """
[book]
start = "2024-03-01"

[sources.app]
url = "rated:///app.db"
{keys}

[metrics.n]
table = "t"
time = "at"
measure = "count(*)"
"""


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a text in quotes")
    return value


class RatedSource(SqliteSource):
    kind = SourceKind(
        name="rated", schemes=("rated",), dialect="sqlite", location="file", example="rated:///app.db",
        parameters=(), typeless_columns=True, money_as_integers=True, booleans_are_numbers=True,
        options=(
            Option(name="token", read=text, example='"${TOKEN}"', help="of the API", secret=True),
            Option(name="currency", read=text, example='"EUR"', help="of all amounts", in_definition=True),
            Option(name="comment", read=text, example='"x"', help="for people"),
            Option(name="rates", read=text, example='"rates/"', help="a folder", paths=True),
        ),
    )  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(REGISTRY.builtin, "rated", f"{__name__}:RatedSource")  # type: ignore[arg-type]
    monkeypatch.setitem(REGISTRY._classes, "rated", RatedSource)
    with closing(sqlite3.connect(tmp_path / "app.db")) as db:
        db.executescript("create table t (at text); insert into t values ('2024-03-01 10:00:00')")
    return tmp_path


def declare(folder: Path, keys: str) -> None:
    (folder / "tallybook.toml").write_text(PROJECT.format(keys=keys))


def definition(folder: Path, keys: str) -> str:
    declare(folder, keys)
    with tallybook.open(folder) as book:
        book.run()
        return str(book.metric("n").definition)


def test_only_an_option_of_the_definition_changes_it(project: Path) -> None:
    plain = definition(project, "")
    assert definition(project, 'comment = "other"') == plain
    euros = definition(project, 'currency = "EUR"')
    assert euros != plain
    assert definition(project, 'currency = "USD"') not in (euros, plain)
    assert definition(project, 'currency = "EUR"\ncomment = "x"') == euros


def test_a_secret_option_is_hidden_and_not_kept(project: Path) -> None:
    declare(project, 'token = "${TOKEN}"')
    (project / "book").mkdir()
    loaded = load(project, {"TOKEN": "t0psecret"})
    assert loaded.secrets["t0psecret"] == "***"
    assert not any(b"t0psecret" in file.read_bytes() for file in (project / "book").rglob("*") if file.is_file())
    declare(project, "token = 7")
    with pytest.raises(tallybook.DeclarationError) as refused:
        load(project, {})
    assert [p.seen for p in refused.value.problems] == ["token = …"]


def test_a_path_is_below_the_project_and_values_arrive_as_they_are_read(project: Path) -> None:
    declare(project, 'rates = "rates/"\ncomment = "x"')
    for _ in range(2):  # the second time from the cache
        (project / "book").mkdir(exist_ok=True)
        source = open_source(load(project, {}).catalog.sources["app"])
        assert source.options == {"token": None, "currency": None, "comment": "x", "rates": f"{project}/rates/"}
