"""The verb `sheets emulator`: runs an emulator of Google Sheets until it is stopped."""

from __future__ import annotations

import threading

import click

from tallybook.cli.options import TABLE_OR_JSON, verb
from tallybook.cli.terminal import Terminal, indented
from tallybook.core import DONE, DeclarationError


@verb(
    click.option(
        "--port", type=click.IntRange(0, 65535), default=8976, show_default=True, help="The port; 0 takes a free one."
    ),
    click.option(
        "--document", "documents", multiple=True, metavar="TITLE", help="A spreadsheet to create at the start."
    ),
    click.option("--no-quota", is_flag=True, help="Do not limit requests per minute."),
    TABLE_OR_JSON,
)
def emulator(terminal: Terminal, port: int, documents: tuple[str, ...], no_quota: bool, form: str) -> int:
    """Run a Google Sheets, Drive and OAuth server on localhost, in memory, for tests and your CI.

    \b
      tallybook sheets emulator --document Metrics
      tallybook sheets emulator --port 0 --format json

    Prints the variables with which Tallybook connects, then serves until it is stopped. Paths below /emulator create
    documents, edits of people and faults: see docs/sheets-emulator.md."""
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
            terminal.out(_in_words(described(google), made))
        terminal.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            terminal.err("stopped")
    return DONE


def _in_words(google: dict[str, object], made: dict[str, str]) -> str:
    words = google["authorized_user"]
    assert isinstance(words, dict)
    lines = [f"TALLYBOOK_GOOGLE_API={google['url']}"]
    lines += [f"TALLYBOOK_GOOGLE_{n.upper()}={words[n]}" for n in ("client_id", "client_secret", "refresh_token")]
    checked = "are checked" if google["validated"] else "are NOT checked (pip install google-api-python-client)"
    text = [
        f"Google Sheets is emulated on {google['url']}; requests {checked} against Google's discovery documents.",
        "",
    ]
    text += [indented("\n".join(lines), "    "), ""]
    text += [f"{title}: {google['url']}/emulator/documents/{number}" for title, number in made.items()]
    return "\n".join([*text, "Ctrl-C stops it and discards everything."])
