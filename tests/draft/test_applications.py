"""The draft of databases in the shape of known applications, judged as an analyst would judge it.

Each metric that is on must be wanted or harmless. At least 80 % of the wanted ones must be on, the headlines first of all.
Each number must be that of plain SQL: of the analyst's own for wanted metrics, of `init --check` for all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from tallybook.draft import Draft, draft, preview
from tallybook.draft.previewing import Preview
from tests.conftest import sampled
from tests.draft.applications import NOW, TUNED, Application
from tests.draft.further_applications import FURTHER
from tests.draft.held_out_applications import HELD_OUT
from tests.draft.newcomers import NEWCOMERS
from tests.draft.strangers import STRANGERS
from tests.projects import Project

MIN_WANTED_SHARE = 0.8
EVERYDAY = sampled([*TUNED, *HELD_OUT, *FURTHER, *NEWCOMERS, *STRANGERS], 4, "applications")
"""A few of them by the seed; in the long run all, on all databases."""
KINDS = ["sqlite", *(pytest.param(kind, marks=pytest.mark.soak) for kind in ("postgresql", "mariadb"))]


def drafted(application: Application, database: Project, folder: Path) -> Draft:
    application.fill(database)
    return draft(database.url, folder=folder, now=NOW)


def in_sql_of(database: Project, sql: str) -> float:
    with database.database.cursor() as cursor:
        cursor.execute(sql.replace('"', "`") if database.kind == "mariadb" else sql)
        return float(cursor.fetchone()[0] or 0)


def assert_numbers(
    application: Application, database: Project, previews: Mapping[str, Preview], wanted: Iterable[str]
) -> None:
    """Each number is that of the plain SQL of its preview; the wanted ones are those of the SQL of the application."""
    for name, one in previews.items():
        assert one.agrees, f"{name}: {one.answer}, and {one.plain} by\n{one.sql}"
        assert not one.problem
    for name in wanted:
        expected = in_sql_of(database, application.wanted[name])
        assert float(previews[name].answer or 0) == pytest.approx(expected, abs=1e-4), name


@pytest.mark.cases(2)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("application", EVERYDAY, ids=lambda application: application.name)
def test_the_draft_of_an_application_is_what_an_analyst_wants(
    application: Application, kind: str, make_database: Callable[[str], str], tmp_path: Path
) -> None:
    database = Project(tmp_path / "elsewhere", make_database(kind))
    made = drafted(application, database, tmp_path)
    previews = {one.label: one for one in preview(made, database.url, NOW, check=True)}
    on = set(previews)
    assert on <= {*application.wanted, *application.harmless}, "metrics that nobody wants are on"
    assert set(application.headlines) <= {one.metric for one in previews.values()}
    assert len(on & set(application.wanted)) >= MIN_WANTED_SHARE * len(application.wanted)
    assert len(made.metrics) <= 12
    assert all(len(idea.keys.get("by", ())) <= 2 for idea in made.metrics)
    assert_numbers(application, database, previews, on & set(application.wanted))
