"""Opens the databases that can be read. `source_kinds.REGISTRY` has a line for each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tallybook.core import REGISTRY, DeclarationError, SourceError, SourceKind, isolated, kind_of, scheme_of

if TYPE_CHECKING:
    from tallybook.collect.sources.base import Source
    from tallybook.core import SourceSettings


def open_source(settings: SourceSettings) -> Source:
    """The source for the URL of `settings`, with its own options read. Connects only when something is read.

    Raises DeclarationError if no adapter reads such URLs."""
    kind = kind_of(settings.url)
    if kind is None:
        scheme = scheme_of(settings.url)
        raise DeclarationError(
            f"sources.{settings.name}.url: no adapter reads {scheme!r} URLs",
            hint=f'one of {", ".join(sorted(REGISTRY.names()))}: url = "postgresql://user@host/database"',
        )
    adapter: type[Source] = REGISTRY.adapter(scheme_of(settings.url))
    return adapter(msgspec.structs.replace(settings, options=read_options(kind, settings)))


def read_options(kind: SourceKind, settings: SourceSettings) -> dict[str, Any]:
    """The values of a source's own keys, as returned by their readers. Paths are absolute."""
    return {
        option.name: _absolute(option.read(settings.options[option.name]), settings.folder)
        if option.paths
        else option.read(settings.options[option.name])
        for option in kind.options
        if option.name in settings.options
    }


def _absolute(value: Any, folder: str) -> Any:
    if isinstance(value, str):
        return absolute_path(value, Path(folder))
    return tuple(absolute_path(path, Path(folder)) for path in value)


def absolute_path(path: str, folder: Path) -> str:
    """A folder or file relative to `folder`, with a / at the end of a folder."""
    whole = Path(os.path.normpath(folder / path))
    return f"{whole.as_posix().rstrip('/')}/" if path.endswith("/") or whole.is_dir() else whole.as_posix()


def open_sources(declared: Mapping[str, SourceSettings]) -> tuple[dict[str, Source], dict[str, SourceError]]:
    """The adapters by source, and the errors of sources without an adapter. Connects to nothing."""
    opened: dict[str, Source] = {}
    unopened: dict[str, SourceError] = {}
    for name, settings in declared.items():
        try:
            with isolated():
                opened[name] = open_source(settings)
        except SourceError as error:
            unopened[name] = error
    return opened, unopened


def close_sources(sources: Mapping[str, Source]) -> None:
    """Close every connection. A connection that cannot be closed ends with the process."""
    for source in sources.values():
        with suppress(SourceError), isolated():
            source.close()
