"""Which adapters the suites of this folder run on: `--adapter NAME`, `--adapter package.module:Harness` or
`--adapter path/to/file.py:Harness`."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tallybook.core.adapters.destinations import DESTINATIONS
from tallybook.core.adapters.protocols import PROTOCOLS
from tallybook.core.adapters.schedulers import SCHEDULERS
from tallybook.deliver.destinations.base import FileDestination
from tests.event_place import Events
from tests.places import FILES, SERVERS, Chdb, Place, named

SOURCES: tuple[type[Place], ...] = (*FILES, Chdb, Events, *SERVERS)


def harnesses(adapter: str | None, builtin: tuple[type[Any], ...]) -> list[type[Any]]:
    """The harnesses to run: all built-in ones, those of one adapter, or one from elsewhere."""
    if adapter is None:
        return list(builtin)
    if ":" in adapter:
        harness = harness_of(adapter)
        return [harness] if harness.suite == builtin[0].suite else []
    return [one for one in builtin if one.kind == adapter]


@functools.cache
def harness_of(adapter: str) -> type[Place]:
    """The class of `package.module:Harness` or `path/to/file.py:Harness`. Raises UsageError."""
    place, _, name = adapter.rpartition(":")
    try:
        module = module_of_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except (ImportError, OSError) as error:
        raise pytest.UsageError(
            f"--adapter {adapter}: cannot import {place}: {error}. A module is found on PYTHONPATH. `tests` is the package of "
            "this checkout: a harness in a folder `tests` of another package is named by its file, "
            f"--adapter ../package/tests/harness.py:{name or 'Harness'}"
        ) from error
    harness = getattr(module, name, None)
    if isinstance(harness, type) and issubclass(harness, Place):
        return harness
    raise pytest.UsageError(f"--adapter {adapter}: {place} has no class {name!r} that derives from tests.places.Place")


def module_of_file(path: Path) -> ModuleType:
    """The module in a file, whose own imports find the files beside it."""
    spec = importlib.util.spec_from_file_location(f"harness_{path.stem}", path)
    assert spec
    assert spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    sys.path.append(str(path.resolve().parent))
    spec.loader.exec_module(module)
    return module


def pytest_configure(config: pytest.Config) -> None:
    refuse_unknown(config.getoption("--adapter"))


def refuse_unknown(adapter: str | None) -> None:
    """Raise UsageError for an adapter for which no suite here has a test, as all tests would be skipped, and for a harness
    that cannot be imported."""
    if adapter is None:
        return
    if ":" in adapter:
        harness_of(adapter)
        return
    files = [name for name in DESTINATIONS.names() if issubclass(DESTINATIONS.adapter(name), FileDestination)]
    known = sorted({*files, *PROTOCOLS.names(), *SCHEDULERS.names(), *(harness.kind for harness in SOURCES)})
    if adapter in known:
        return
    raise pytest.UsageError(
        f"--adapter {adapter}: no suite of tests/conformance runs on it; seen in this environment: {', '.join(known)}. "
        "A package has to be installed beside this checkout, or be on PYTHONPATH with its metadata. A source needs a "
        "harness: --adapter package.module:Harness"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "place" in metafunc.fixturenames:
        found = harnesses(metafunc.config.getoption("--adapter"), SOURCES)
        metafunc.parametrize("place", found, ids=named, indirect=True)


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Place:
    """An empty database of the harness."""
    made: Place = request.param.make(request)
    return made
