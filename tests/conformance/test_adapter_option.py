"""Which harnesses `--adapter` finds, and what it says of those that it does not find."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.conftest import harness_of, refuse_unknown

HARNESS = """
from tests.places import Sqlite
from beside import KIND

class Harness(Sqlite):
    kind = KIND

number = 7
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another package, whose harness is in a folder `tests`, as the harnesses of this checkout are."""
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "harness.py").write_text(HARNESS)
    (folder / "beside.py").write_text("KIND = 'sqlite'\n")
    return tmp_path


def test_a_harness_is_found_by_its_module_and_by_its_file(package: Path) -> None:
    assert harness_of("tests.places:Duckdb").kind == "duckdb"
    found = harness_of(f"{package}/tests/harness.py:Harness")
    assert (found.__name__, found.kind) == ("Harness", "sqlite")


@pytest.mark.parametrize(
    ("adapter", "said"),
    [
        ("tests.harness:Harness", "is named by its file, --adapter ../package/tests/harness.py:Harness"),
        ("nothing.py:Harness", "cannot import nothing.py"),
        ("tests.places:Nothing", "tests.places has no class 'Nothing' that derives from tests.places.Place"),
        ("{package}/tests/harness.py:number", "has no class 'number'"),
        ("crown", "no suite of tests/conformance runs on it; seen in this environment: "),
    ],
)
def test_a_harness_that_is_not_found_is_a_usage_error_with_the_next_step(
    package: Path, adapter: str, said: str
) -> None:
    with pytest.raises(pytest.UsageError) as refused:
        refuse_unknown(adapter.format(package=package))
    assert said in str(refused.value)


def test_schedulers_sources_destinations_and_protocols_are_found_by_their_names() -> None:
    for name in ("cron", "sqlite", "csv", "segment"):
        refuse_unknown(name)
