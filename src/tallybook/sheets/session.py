"""Sessions: one user of Google Sheets, and the worksheets that rows are written to."""

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
from tallybook.sheets.credentials import Keys, find_keys, keys_of_user
from tallybook.sheets.pace import Patience
from tallybook.sheets.refusals import no_drive_space
from tallybook.sheets.rows import SHAPE, sheets_of
from tallybook.sheets.service_urls import ServiceUrls, document as named
from tallybook.sheets.worksheet import Gathering, Worksheet

AT_EXIT_SECONDS = 20.0
"""Maximum wait at the end of a program for pending rows."""


class Unwritten(RuntimeWarning):
    """A program ended with pending rows, or with a row that was never saved."""


class Session:
    """Google Sheets for one user.

         with Session(client_id, client_secret, refresh_token) as session:
             worksheet = session.worksheet("1UgxVGDt8X0YgB9JYRVQ", "Daily")
             worksheet << 1 << 2
             worksheet.save_row()

    Without the three keys, it uses the keys saved by `tallybook sheets setup`, or those in the environment. `api`:
    the URL of an emulator that replaces Google. The first request is sent when it is needed. All rows are written at
    the end of `with`; without `with`, call `close()`. Rows that are pending when the program ends are written then,
    with a warning."""

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
        self.api = Api(keys, ServiceUrls.of(api, env), patience=patience)
        self._gathering, self._clock = gathering or Gathering(), clock
        self._worksheets: dict[tuple[str, int | str | None, str], Worksheet] = {}
        # This also keeps the session alive, so that rows of an abandoned session are not lost.
        atexit.register(self.at_exit)

    # -- documents -------------------------------------------------------------------------------------------

    def worksheet(self, document: str, worksheet: int | str | None = None, *, column: str = "A") -> Worksheet:
        """A worksheet to write rows to, by its id (a number) or its title (a text).

        `document`: an id or a URL. The default worksheet is the one in the URL, else the first. Rows begin at
        `column`. The same arguments return the same object, with its unfinished row."""
        place = named(document)
        which = place.worksheet if worksheet is None else worksheet
        known = self._worksheets.get((place.id, which, column))
        if known is None:
            known = Worksheet(self.api, place.id, which, column=column, gathering=self._gathering, clock=self._clock)
            self._worksheets[place.id, which, column] = known
        return known

    def worksheets(self, document: str) -> list[Worksheet]:
        """All worksheets of a document with cells, in the order of their tabs; `.sheet` has id, title and size."""
        place = named(document)
        sheets = [sheet for sheet in sheets_of(self.api.read(place.id, fields=SHAPE)) if sheet.grid]
        return [self.worksheet(place.id, sheet.id).know(sheet) for sheet in sheets]

    def create(self, title: str) -> str:
        """Create a document in the user's Drive and return its id. A service account cannot own documents."""
        if self.api.keys.account:
            raise no_drive_space(self.api.keys.account)
        return str(self.api.create(title)["spreadsheetId"])

    # -- the end ---------------------------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """The number of finished rows in all worksheets that are not known to be written."""
        return sum(worksheet.pending for worksheet in self._worksheets.values())

    def flush(self) -> int:
        """Write all finished rows of all worksheets, and return their number.

        Raises the first error after trying all worksheets. Rows that could not be written stay pending."""
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
        """Write pending rows and end the session. Safe to call again after an error."""
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
        self.api.patience.seconds = AT_EXIT_SECONDS  # the user who pressed Ctrl-C is waiting
        try:
            self.flush()
        except TallybookError as failure:
            error.add_note(f"and {self.pending} saved rows of Google Sheets could not be written: {failure.message}")
        atexit.unregister(self.at_exit)

    def _unfinished(self) -> list[str]:
        return [
            f"worksheet {w.which!r} of {w.document}: the values {w.unfinished!r} were not saved; call save_row()"
            for w in self._worksheets.values()
            if w.unfinished
        ]

    def at_exit(self) -> None:
        """Write pending rows when the program ends without `close`, and warn."""
        lines = self._unfinished()
        waiting = {w: w.pending for w in self._worksheets.values() if w.pending}
        self.api.patience.seconds = AT_EXIT_SECONDS
        for worksheet, rows in waiting.items():
            where = (
                f"worksheet {worksheet.which!r} of {worksheet.document}: {rows} saved rows were pending at the end of"
            )
            try:
                worksheet.flush()
                lines.append(f"{where} the program; they are written now. Use `with Session(…)` or session.close()")
            except TallybookError as error:
                lines.append(f"{where} the program, and could NOT be written: {error.message}")
        for line in lines:
            warnings.warn(line, Unwritten, stacklevel=1)


def _keys(client_id: str, client_secret: str, refresh_token: str, env: Mapping[str, str]) -> Keys:
    given = {"client_id": client_id, "client_secret": client_secret, "refresh_token": refresh_token}
    if not any(given.values()):
        return find_keys(env)
    if lacking := [name for name, value in given.items() if not value]:
        raise DeclarationError(
            f"a session needs the client id, the client secret and the refresh token; empty: {', '.join(lacking)}",
            hint="`tallybook sheets setup` gets them from Google; Session() takes those that it saved",
        )
    return keys_of_user(given)
