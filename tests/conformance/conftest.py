"""Which adapters the suites of this folder run on: `--adapter NAME` or `--adapter package.module:Harness`."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from tallybook.core.adapters.destinations import DESTINATIONS
from tallybook.core.adapters.protocols import PROTOCOLS
from tallybook.core.adapters.schedulers import SCHEDULERS
from tallybook.deliver.destinations.base import FileDestination
from tests.places import FILES, SERVERS, Chdb, Place, named

SOURCES: tuple[type[Place], ...] = (*FILES, Chdb, *SERVERS)


def harnesses(adapter: str | None, builtin: tuple[type[Any], ...]) -> list[type[Any]]:
    """The harnesses to run: all built-in ones, those of one adapter, or one from elsewhere."""
    if adapter is None:
        return list(builtin)
    if ":" in adapter:
        module, _, name = adapter.partition(":")
        harness = getattr(importlib.import_module(module), name)
        return [harness] if harness.suite == builtin[0].suite else []
    return [one for one in builtin if one.kind == adapter]


def pytest_configure(config: pytest.Config) -> None:
    refuse_unknown(config.getoption("--adapter"))


def refuse_unknown(adapter: str | None) -> None:
    """Raise UsageError for an adapter for which no suite here has a test: all tests would be skipped."""
    if adapter is None or ":" in adapter:
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
