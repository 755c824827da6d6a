"""Descriptors of sources by their SQL, for tests of declarations."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from tallybook.core.adapters.sources import REGISTRY, SourceKind


def kinds_of(dialects: Mapping[str, str]) -> dict[str, SourceKind]:
    """Source → descriptor, of source → sqlglot's name for its SQL."""
    return {source: _kinds()[dialect] for source, dialect in dialects.items()}


@functools.cache
def _kinds() -> dict[str, SourceKind]:
    return {kind.dialect: kind for kind in reversed(list(REGISTRY.kinds()))}
