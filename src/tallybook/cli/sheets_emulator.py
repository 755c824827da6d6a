"""The verb `sheets emulator`: a Google of one's own, until it is stopped."""

from __future__ import annotations

import threading

import click

from tallybook.cli.options import TABLE_OR_JSON, verb
from tallybook.cli.terminal import Terminal, indented
from tallybook.core import DONE, DeclarationError


@verb(
    click.option("--port", type=click.IntRange(0, 65535), default=8976, show_default=True, help="0 takes a free one."),
    click.option(
        "--document", "documents", multiple=True, metavar="TITLE", help="A spreadsheet that is there from the start."
    ),
    click.option("--no-quota", is_flag=True, help="As many requests a minute as come."),
    TABLE_OR_JSON,
)
def emulator(terminal: Terminal, port: int, documents: tuple[str, ...], no_quota: bool, form: str) -> int:
    """Run a Google Sheets, Drive and OAuth server on localhost, in memory, for tests and your CI.

    \b
      tallybook sheets emulator --document Metrics
      tallybook sheets emulator --port 0 --format json

    It prints the variables with which Tallybook comes in, then serves until it is stopped. Paths below
    /emulator make documents, people's doings and faults: see docs/sheets-emulator.md."""
    from tallybook.testing.sheets import Emulator, Limits, described

    try:
        google = Emulator(port=port, quotas=None if no_quota else Limits())
    except OSError as error:
        raise DeclarationError(
            f"cannot listen on 127.0.0.1:{port}: {error.strerror}", hint="tallybook sheets emulator --port 0"
        ) from error
    with google:
        made = {title: google.create(title) for title in documents}
        if form == "json":
            terminal.json(described(google) | {"documents": made})
        else:
            terminal.out(_told(described(google), made))
        terminal.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            terminal.err("stopped")
    return DONE


def _told(google: dict[str, object], made: dict[str, str]) -> str:
    words = google["authorized_user"]
    assert isinstance(words, dict)
    lines = [f"TALLYBOOK_GOOGLE_API={google['url']}"]
    lines += [f"TALLYBOOK_GOOGLE_{n.upper()}={words[n]}" for n in ("client_id", "client_secret", "refresh_token")]
    checked = "is held against" if google["validated"] else "is NOT held against (pip install google-api-python-client)"
    said = [f"Google Sheets is emulated on {google['url']}; what is sent {checked} Google's documents.", ""]
    said += [indented("\n".join(lines), "    "), ""]
    said += [f"{title}: {google['url']}/emulator/documents/{number}" for title, number in made.items()]
    return "\n".join([*said, "Ctrl-C stops it, and all of it is gone."])
