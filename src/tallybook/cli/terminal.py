"""The terminal: two streams, the secrets to mask on them, and whether a person is watching."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from tallybook.core import shorten_list

if TYPE_CHECKING:
    from tallybook.book import Book

STYLES = {
    "bold": "1",
    "dim": "2",
    "italic": "3",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}


class Terminal:
    """The output of a verb. Messages are masked. Data (rows of a result) is written unchanged, in UTF-8."""

    def __init__(
        self,
        stdout: TextIO,
        stderr: TextIO,
        env: Mapping[str, str],
        now: Callable[[], datetime] | None,
        stdin: TextIO | None = None,
    ) -> None:
        self.stdout, self.stderr, self.env, self.now = stdout, stderr, env, now
        self.stdin = sys.stdin if stdin is None else stdin
        self.folder = Path()
        self.log: str | None = None
        """The format of the log on stderr: json, text, or None without a log."""
        self.secrets: dict[str, str] = {}
        self._book: Book | None = None

    def book(self) -> Book:
        """The book of the project folder, opened once."""
        from tallybook.book import open_book

        if self._book is None:
            self._book = open_book(self.folder, now=self.now, env=self.env)
            self._book.shell = True
            self.hide(self._book.project.secrets)
        return self._book

    def flush(self) -> None:
        """Write what is still buffered. Raises OSError if that fails, for example on a full disk."""
        for stream in (self.stdout, self.stderr):
            _quietly(stream, stream.flush)

    def close(self) -> None:
        """Close the book and flush the streams."""
        if self._book is not None:
            self._book.close()
        with suppress(OSError):
            self.flush()

    # -- messages ------------------------------------------------------------------------------------

    def hide(self, secrets: Mapping[str, str]) -> None:
        """Mask these secrets from now on."""
        self.secrets.update(secrets)

    def masked(self, text: str) -> str:
        """The text with secrets replaced."""
        from tallybook.config import masked

        return masked(text, self.secrets)

    def out(self, text: str = "") -> None:
        """Print a message on stdout, masked."""
        self.show(self.masked(text))

    def show(self, text: str) -> None:
        """Print a table of data unmasked, because a password like 2024 would mask numbers."""
        _quietly(self.stdout, lambda: self.stdout.write(text + "\n"))

    def err(self, text: str = "") -> None:
        """Print a message on stderr, masked. If there is a log, print it as a line of the log."""
        _quietly(self.stdout, self.stdout.flush)
        if self.log == "json":
            self.event("message", level="warning", text=text.strip())
            return
        _quietly(self.stderr, lambda: self.stderr.write(self.masked(text) + "\n"))

    def event(self, event: str, *, level: str = "info", **facts: Any) -> None:
        """Write one line of the log, if it is on."""
        if self.log is not None:
            from tallybook.cli.log import line

            text = line(self.clock(), level, event, self._masked_within(facts), as_json=self.log == "json")
            _quietly(self.stderr, lambda: self.stderr.write(text + "\n"))
            _quietly(self.stderr, self.stderr.flush)

    def clock(self) -> datetime:
        """The current instant."""
        return self.now() if self.now else datetime.now(UTC)

    def json(self, value: Any) -> None:
        """Print a value as JSON for programs. Each text in it is masked, never the JSON as a whole."""
        self.data(json.dumps(self._masked_within(value), ensure_ascii=False, indent=2, default=str) + "\n")

    def _masked_within(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.masked(value)
        if isinstance(value, Mapping):
            return {key: self._masked_within(item) for key, item in value.items()}
        return [self._masked_within(item) for item in value] if isinstance(value, list | tuple) else value

    def data(self, content: str | bytes) -> None:
        """Write a result unchanged."""
        written = content.encode() if isinstance(content, str) else content
        binary = getattr(self.stdout, "buffer", None)
        _quietly(self.stdout, self.stdout.flush)
        if binary is not None:
            _quietly(self.stdout, lambda: binary.write(written))
        else:
            self.stdout.write(written.decode())

    # -- questions -----------------------------------------------------------------------------------

    @property
    def can_ask(self) -> bool:
        """Whether a person can answer."""
        return self.stdin is not None and self.stdin.isatty()

    def ask(self, question: str, *, secret: bool = False) -> str:
        """Read one line that a person types. A secret is not echoed. Raises click.Abort at the end of the input."""
        import click

        if secret and self.stdin is sys.stdin:
            from getpass import getpass

            try:
                return getpass(f"{question}: ", stream=self.stderr).strip()
            except EOFError:
                raise click.Abort from None
        _quietly(self.stderr, lambda: self.stderr.write(f"{self.masked(question)}: "))
        _quietly(self.stderr, self.stderr.flush)
        line = self.stdin.readline()
        if not line:
            raise click.Abort
        return line.strip()

    # -- screen --------------------------------------------------------------------------------------

    @property
    def is_watched(self) -> bool:
        """Whether stdout is a terminal."""
        return self.stdout.isatty()

    @property
    def width(self) -> int | None:
        """The number of columns of the screen. None if stdout is not a terminal, so that nothing is cut."""
        if not self.is_watched:
            return None
        import shutil

        return shutil.get_terminal_size((120, 40)).columns

    def wrapped(self, text: str) -> str:
        """The line wrapped to the screen; unchanged if stdout is not a terminal."""
        if self.width is None or len(text) <= self.width:
            return text
        from textwrap import fill

        return fill(text, min(self.width, 110), subsequent_indent="    ", break_on_hyphens=False)

    def styled(self, text: str, *styles: str, stream: TextIO | None = None) -> str:
        """The text with colors and weights, if the stream is a terminal and NO_COLOR is not set. Otherwise
        unchanged."""
        stream = stream or self.stdout
        plain = "NO_COLOR" in self.env or self.env.get("TERM") == "dumb" or not stream.isatty()
        if plain or not text or not styles:
            return text
        return f"\x1b[{';'.join(STYLES[style] for style in styles)}m{text}\x1b[0m"


def _quietly(stream: TextIO, write: Callable[[], object]) -> None:
    """Write. A closed pipe (`| head`) is not an error, and later writes are discarded."""
    try:
        write()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def table(header: Sequence[str], rows: Sequence[Sequence[object]], numbers: Sequence[str] = ()) -> list[str]:
    """Aligned lines, with the header first. The columns in `numbers` are aligned to the right."""
    texts = [[str("" if cell is None else cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *texts, strict=True)]
    right = [name in numbers for name in header]
    lines = []
    for row in [list(header), *texts]:
        cells = zip(row, widths, right, strict=True)
        lines.append("  ".join(t.rjust(w) if r else t.ljust(w) for t, w, r in cells).rstrip())
    return lines


def count(number: int, noun: str) -> str:
    """`1 day`, `1,234 days`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def day_range(first: object, last: object) -> str:
    """`2026-03-01`, `2026-03-01 to 2026-03-05`."""
    return f"{first}" if first == last else f"{first} to {last}"


def listed(texts: Sequence[str], *, max_named: int = 8) -> str:
    """The texts, separated by commas: `a, b and 3 more`."""
    return shorten_list(texts, max_named)


def indented(text: str, by: str = "  ") -> str:
    """The text with each non-empty line indented."""
    return "\n".join(by + line if line else line for line in text.splitlines())
