"""A database in a file or folder, with one connection that is opened when something is read."""

from __future__ import annotations

import re
from abc import abstractmethod
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from tallybook.collect.sources.base import Source
from tallybook.collect.sources.identity import Identity, file_identity
from tallybook.core import SourceUnavailable

C = TypeVar("C")


class FileSource(Source, Generic[C]):
    """A database in a file or folder. `kind.example`: a URL to paste."""

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.path = re.sub(r"^[\w.-]+(\+[\w.-]+)?:///", "", settings.url).partition("?")[0]
        self._connection: C | None = None

    def connection(self) -> C:
        """The one connection. Raises SourceUnavailable."""
        if self._connection is None:
            self._connection = self.opened()
        return self._connection

    def opened(self) -> C:
        """Another connection. Raises SourceUnavailable."""
        path, location = Path(self.path), self.kind.location
        if not (path.is_dir() if location == "folder" else path.is_file()):
            raise SourceUnavailable(
                f"source {self.settings.name!r}: there is no {location} {self.path}",
                hint=f'write its path in tallybook.toml: [sources.{self.settings.name}] url = "{self.kind.example}"',
            )
        return self._connect()

    @abstractmethod
    def _connect(self) -> C:
        """Open the existing file or folder for reading only."""

    def identity(self, folder: Path | None) -> Identity:
        return file_identity(self.path, folder)

    def close(self) -> None:
        held: Any = self._connection
        if held is not None:
            held.close()
            self._connection = None

    def known_until(self, now: datetime) -> datetime:
        self.connection()
        return now
