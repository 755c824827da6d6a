"""A Google Sheet in this process, with nothing to connect: the emulator of packages/emulators.

with example("metrics = ['signups']") as sheet:
    sheet.deliver("2026-03-09")        # the morning of that day
    sheet.shown                        # the tab, as people see it
    sheet.person.rename_tab("Daily", "Ours")
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import tallybook
from tallybook.testing.sheets import Emulator, Person


class Sheet:
    """A project that delivers to the tab "Daily" of a new document."""

    def __init__(self, google: Emulator, delivery: str, folder: Path) -> None:
        self.google, self.document = google, google.create("Metrics")
        for name, value in google.authorized_user().items():
            os.environ[f"TALLYBOOK_GOOGLE_{name.upper()}"] = str(value)
        folder.mkdir(exist_ok=True)
        declared = Path("tallybook.toml").read_text().replace("sqlite:///app.db", "sqlite:///../app.db")
        declared += f'\n[deliveries.board]\nto = "google_sheets"\nspreadsheet = "{self.document}"\ntab = "Daily"\n'
        (folder / "tallybook.toml").write_text(f'{declared}api = "{google.url}"\n{delivery}\n')
        self.book = tallybook.open(folder)

    def deliver(self, morning: str) -> None:
        """A run at six on that morning; what it collected is delivered."""
        self.book.clock = lambda: datetime.fromisoformat(f"{morning}T06:00").replace(tzinfo=UTC)
        (report,) = self.book.run().deliveries
        assert not report.failed, report.error

    @property
    def shown(self) -> list[list[str]]:
        """The one tab that is not Google's empty first."""
        return next(tab.shown for tab in self.google.document(self.document).tabs if tab.title != "Sheet1")

    @property
    def person(self) -> Person:
        return self.google.person(self.document)


@contextmanager
def example(delivery: str, folder: str = "sheet") -> Iterator[Sheet]:
    with Emulator() as google:
        yield Sheet(google, delivery, Path(folder))
