"""Which adapters the suites of this folder run on: `--adapter NAME` or `--adapter package.module:Harness`."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "place" in metafunc.fixturenames:
        found = harnesses(metafunc.config.getoption("--adapter"), SOURCES)
        metafunc.parametrize("place", found, ids=named, indirect=True)


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Place:
    """An empty database of the harness."""
    made: Place = request.param.make(request)
    return made
