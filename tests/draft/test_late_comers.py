"""The drafts of applications that were written last: nothing misleading is on, the headlines are right, and each number is
that of plain SQL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tallybook.draft import preview
from tests.draft.applications import NOW, Application
from tests.draft.late_comers import LATE_COMERS, MIN_WANTED
from tests.draft.test_applications import assert_numbers, drafted
from tests.projects import Project

COUNTS_DELETED = {"new_opportunities", "new_persons", "new_companies"}
"""Metrics that count deleted rows, and say so with the line to leave them out."""
NOT_EVERYWHERE = {("hotel", "postgresql")}
"""A date of zeros exists on MariaDB, and as a text on SQLite."""


CASES = [
    pytest.param(application, kind, id=f"{application.name}-{kind}", marks=[pytest.mark.soak] * (kind != "sqlite"))
    for application in LATE_COMERS
    for kind in ("sqlite", "postgresql", "mariadb")
    if (application.name, kind) not in NOT_EVERYWHERE
]


@pytest.mark.cases(2)
@pytest.mark.parametrize(("application", "kind"), CASES)
def test_nothing_misleading_is_on(
    application: Application, kind: str, make_database: Callable[[str], str], tmp_path: Path
) -> None:
    database = Project(tmp_path / "elsewhere", make_database(kind))
    made = drafted(application, database, tmp_path)
    previews = {one.label: one for one in preview(made, database.url, NOW, check=True)}
    on = set(previews)
    assert on <= {*application.wanted, *application.harmless}, "metrics that nobody wants are on"
    assert {one.metric for one in previews.values()} >= set(application.headlines) - {"active_users"}
    assert len(on & set(application.wanted)) >= MIN_WANTED[application.name]
    assert_numbers(application, database, previews, (on & set(application.wanted)) - COUNTS_DELETED)
