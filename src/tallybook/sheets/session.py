"""A session: one user of Google Sheets, and the worksheets that rows are written to."""

from __future__ import annotations

import atexit
import os
import time
import warnings
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from tallybook.core import DeclarationError, TallybookError
from tallybook.sheets.api import Api
from tallybook.sheets.keep import Keys, consented, find
from tallybook.sheets.pace import Patience
from tallybook.sheets.places import Places, document as named
from tallybook.sheets.refusals import cannot_own
from tallybook.sheets.rows import SHAPE, sheets_of
from tallybook.sheets.worksheet import Gathering, Worksheet

AT_EXIT_S = 20.0
"""A program that ends waits so long for rows that were still gathered."""


class Unwritten(RuntimeWarning):
    """A program ended while rows were pending, or a row was begun and never saved."""


class Session:
    """Google Sheets for one user.

        with Session(client_id, client_secret, refresh_token) as session:
            worksheet = session.worksheet("1UgxVGDt8X0YgB9JYRVQ", "Daily")
            worksheet << 1 << 2
            worksheet.save_row()

    Without the three words: those that `tallybook sheets setup` saved, or of the environment. `api` is the address of an
    emulator in place of Google. Nothing is asked of Google before it is needed. At the end of `with` all rows are
    written; without `with`, call `close()`. Rows that wait when the program ends are written then, with a warning."""

    def __init__(
        self,
        client_id: str = "",
        client_secret: str = "",
        refresh_token: str = "",
        *,
        keys: Keys | None = None,
        api: str | None = None,
        env: Mapping[str, str] | None = None,
        gathering: Gathering | None = None,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        env = os.environ if env is None else env
        keys = keys or _keys(client_id, client_secret, refresh_token, env)
        self.api = Api(keys, Places.of(api, env), patience=patience)
        self._gathering, self._clock = gathering or Gathering(), clock
        self._worksheets: dict[tuple[str, int | str | None, str], Worksheet] = {}
        # What holds the session alive too: rows of one that nobody knows any more are not lost.
        atexit.register(self.at_exit)

    # -- documents -------------------------------------------------------------------------------------------

    def worksheet(self, document: str, worksheet: int | str | None = None, *, column: str = "A") -> Worksheet:
        """A worksheet to write rows to, by its id (a number) or its title (text).

        `document` is an id or a URL. Not given, the worksheet is the one that the URL shows, else the first. Rows begin at
        `column`. Asked for again by the same words, it is the same one, with the row that was begun."""
        place = named(document)
        which = place.worksheet if worksheet is None else worksheet
        made = self._worksheets.get((place.id, which, column))
        if made is None:
            made = Worksheet(self.api, place.id, which, column=column, gathering=self._gathering, clock=self._clock)
            self._worksheets[place.id, which, column] = made
        return made

    def worksheets(self, document: str) -> list[Worksheet]:
        """All worksheets of a document that have cells, in the order of their tabs; `.sheet` has id, title and size."""
        place = named(document)
        found = [sheet for sheet in sheets_of(self.api.read(place.id, fields=SHAPE)) if sheet.grid]
        return [self.worksheet(place.id, sheet.id).know(sheet) for sheet in found]

    def create(self, title: str) -> str:
        """A new document in the Drive of the user; returns its id. A service account cannot own one."""
        if self.api.keys.account:
            raise cannot_own(self.api.keys.account)
        return str(self.api.create(title)["spreadsheetId"])

    # -- the end ---------------------------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """Finished rows, of all worksheets, that are not known to be written."""
        return sum(worksheet.pending for worksheet in self._worksheets.values())

    def flush(self) -> int:
        """Write all finished rows of all worksheets. Returns how many.

        Raises the first error after all were tried; what could not be written is kept."""
        written, failure = 0, None
        for worksheet in self._worksheets.values():
            try:
                written += worksheet.flush()
            except TallybookError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return written

    def close(self) -> None:
        """Write what is pending and end. After an error it may be called again."""
        self.flush()
        for line in self._unfinished():
            warnings.warn(line, Unwritten, stacklevel=2)
        atexit.unregister(self.at_exit)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self.close()
            return
        self.api.patience.seconds = AT_EXIT_S  # somebody who pressed Ctrl-C is waiting
        try:
            self.flush()
        except TallybookError as failure:
            error.add_note(f"and {self.pending} saved rows of Google Sheets could not be written: {failure.message}")
        atexit.unregister(self.at_exit)

    def _unfinished(self) -> list[str]:
        return [
            f"worksheet {w.which!r} of {w.document}: the values {w.unfinished!r} were never saved; save_row() is missing"
            for w in self._worksheets.values()
            if w.unfinished
        ]

    def at_exit(self) -> None:
        """Called when the program ends without `close`: write what waits, and tell."""
        lines = self._unfinished()
        waiting = {w: w.pending for w in self._worksheets.values() if w.pending}
        self.api.patience.seconds = AT_EXIT_S
        for worksheet, rows in waiting.items():
            where = f"worksheet {worksheet.which!r} of {worksheet.document}: {rows} saved rows were pending at the end of the"
            try:
                worksheet.flush()
                lines.append(
                    f"{where} program; they are written now. `with Session(…)` or session.close() does it in time"
                )
            except TallybookError as error:
                lines.append(f"{where} program, and could NOT be written: {error.message}")
        for line in lines:
            warnings.warn(line, Unwritten, stacklevel=1)


def _keys(client_id: str, client_secret: str, refresh_token: str, env: Mapping[str, str]) -> Keys:
    given = {"client_id": client_id, "client_secret": client_secret, "refresh_token": refresh_token}
    if not any(given.values()):
        return find(env)
    if lacking := [name for name, value in given.items() if not value]:
        raise DeclarationError(
            f"a session needs the client id, the client secret and the refresh token; empty: {', '.join(lacking)}",
            hint="`tallybook sheets setup` gets them from Google; Session() takes those that it saved",
        )
    return consented(given)
