"""The verb that serves assistants on this machine: `mcp`."""

from __future__ import annotations

from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from tallybook.cli.options import verb
from tallybook.cli.terminal import Terminal
from tallybook.core import DONE, DeclarationError

if TYPE_CHECKING:
    from tallybook.book import Book


@verb()
def mcp(terminal: Terminal) -> int:
    """Serve an assistant over stdin and stdout with the Model Context Protocol, until it closes them.

    \b
      tallybook mcp --project /path/to/project
      claude mcp add tallybook -- tallybook mcp --project /path/to/project

    Its tools are list_metrics, describe_metric, query, check_query, why and coverage. None takes SQL, and none changes
    anything. `tallybook serve` has the same tools at /mcp, for readers with a key."""
    from tallybook.book import open_book
    from tallybook.server import SharedBook

    def opened() -> Book:
        book = open_book(terminal.folder, now=terminal.now, env=terminal.env)
        terminal.hide(book.project.secrets)
        return book

    terminal.book()  # Problems with the declarations are reported before an assistant connects.
    book = SharedBook(terminal.folder, opened, on_error=lambda error: terminal.err(str(error)))
    try:
        from tallybook.server import serve_assistant

        # Output printed meanwhile goes to stderr, because the SDK uses stdout itself.
        with redirect_stdout(terminal.stdout):
            serve_assistant(book)
    except ImportError as error:
        raise DeclarationError(
            f"assistants need the package {error.name}", hint="pip install 'tallybook[mcp]'"
        ) from None
    finally:
        book.close()
    return DONE
