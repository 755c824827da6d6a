"""A ledger keeps covered days as stretches; what it answers is what single days would answer."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tallybook.core.calendar import days, merge_stretches, stretches, subtract_stretches
from tallybook.storage.ledger import Commit, Covered, Definition, Ledger
from tests.ledgers import LEDGERS, as_number_3
from tests.storage.test_store import NOW

FIRST = date(2024, 2, 1)
INSTANTS = (None, "2024-03-01T06:00:00Z")


def day(offset: int) -> date:
    return FIRST + timedelta(days=offset)


@pytest.fixture(params=LEDGERS)
def kind(request: Any) -> str:
    return str(request.param)


@pytest.fixture
def ledger(kind: str, tmp_path: Path) -> Iterator[Ledger]:
    opened = LEDGERS[kind](tmp_path)
    yield opened
    opened.close()


def commit(ledger: Ledger, *covered: Covered) -> int:
    run = ledger.start_run("collect", now=NOW)
    definitions = [Definition(metric=c.metric, id=c.definition, declared="x", body="{}") for c in covered]
    change = Commit(what="collect", covered=list(covered), definitions=definitions)
    ledger.commit(ledger.version(), change, lease=None, run=run, now=NOW)
    return run


def rows(ledger: Any) -> int:
    with ledger._reading() as db:
        return int(db.execute("SELECT count(*) FROM coverage").fetchone()[0])


def lived(ledger: Ledger, seed: int) -> list[dict[tuple[str, date], tuple[int, str | None, int]]]:
    """Collect days at random; by version what each covered day is: (run, instant, version that covered it first)."""
    rng, model = random.Random(seed), [{}]  # type: ignore[var-annotated]
    for version in range(1, 15):
        now, changes = dict(model[-1]), []
        for metric in rng.sample(["a", "b"], rng.randint(1, 2)):
            start, instant = rng.randint(0, 40), rng.choice(INSTANTS)
            chosen = {start + i for i in range(rng.randint(1, 12)) if rng.random() < 0.9}
            changes.append((metric, {day(i) for i in chosen}, instant))
        run = commit(ledger, *(Covered(metric=m, definition="d", days=d, instant=i) for m, d, i in changes))
        for metric, several, instant in changes:
            for one in several:
                before = now.get((metric, one))
                first = before[2] if before and before[1] == instant else version
                now[(metric, one)] = (run, instant, first)
        model.append(now)
    return model


def covered(ledger: Ledger, version: int) -> dict[tuple[str, date], str | None]:
    found = ledger.snapshot(version=version).coverage
    return {(m, one): s.instant for (m, _), several in found.items() for s in several for one in days(s.first, s.last)}


@pytest.mark.cases(4)
@pytest.mark.parametrize("seed", range(6))
def test_stretches_answer_what_single_days_answer(ledger: Ledger, seed: int) -> None:
    model = lived(ledger, seed)
    for version, known in enumerate(model):
        assert covered(ledger, version) == {key: instant for key, (_, instant, _) in known.items()}
    for metric in ("a", "b"):
        found = ledger.covered_days(metric, day(5), day(30))
        expected = {d: known for (m, d), known in model[-1].items() if m == metric and day(5) <= d <= day(30)}
        assert {c.day: (c.run, c.instant, c.version) for c in found} == expected
        assert [c.day for c in found] == sorted(expected)
    assert ledger.problems() == []


def test_a_long_time_is_one_row_and_a_day_of_it_collected_again_makes_three(ledger: Ledger) -> None:
    commit(ledger, Covered(metric="m", definition="d", stretches=[(date(2014, 1, 1), date(2023, 12, 31))]))
    assert rows(ledger) == 1
    commit(ledger, Covered(metric="m", definition="d", days=[date(2020, 5, 5)]))
    assert rows(ledger) == 3
    (stretch,) = ledger.snapshot().coverage[("m", "d")]
    assert (stretch.first, stretch.last) == (date(2014, 1, 1), date(2023, 12, 31))


@pytest.mark.cases(3)
@pytest.mark.parametrize("seed", range(3))
def test_a_ledger_of_single_days_becomes_one_of_stretches(kind: str, ledger: Any, tmp_path: Path, seed: int) -> None:
    model = lived(ledger, seed)
    as_number_3(ledger)
    ledger.close()
    again = LEDGERS[kind](tmp_path)
    for version, known in enumerate(model):
        assert covered(again, version) == {key: instant for key, (_, instant, _) in known.items()}
    found = {(m, c.day): (c.run, c.instant, c.version) for m in "ab" for c in again.covered_days(m, day(0), day(60))}
    assert found == model[-1]
    commit(again, Covered(metric="a", definition="d", days=[day(70)]))
    assert again.problems() == []
    again.close()


@pytest.mark.parametrize("seed", range(20))
def test_stretches_are_joined_and_taken_out_as_their_days_are(seed: int) -> None:
    rng = random.Random(seed)

    def some() -> list[tuple[date, date]]:
        starts = [rng.randint(0, 30) for _ in range(rng.randint(0, 6))]
        return [(day(start), day(start + rng.randint(0, 5))) for start in starts]

    def days_of(several: list[tuple[date, date]]) -> set[date]:
        return {one for first, last in several for one in days(first, last)}

    a, b = some(), some()
    assert merge_stretches(a) == stretches(days_of(a))
    assert subtract_stretches(a, b) == stretches(days_of(a) - days_of(b))
