"""The page docs/reference-errors.md: exit codes and exceptions."""

from __future__ import annotations

import inspect

from docs.generated import MADE, first_paragraph
from tallybook.core import errors

CODES = {
    errors.DONE: "success",
    errors.SOME_FAILED: "some metrics failed, the others are stored; or the book has problems, or its disk is full",
    errors.USAGE: "wrong usage or configuration; nothing was done",
    errors.REFUSED: "the question has no right answer and was refused",
    errors.NOT_READY: "a source is not ready or not reachable, and nothing was stored; or the ledger is not reachable",
    errors.BUSY: "another run of this book is in progress",
    errors.BUG: "a bug in Tallybook",
    130: "stopped by Ctrl-C or SIGTERM; what was stored is kept",
}


def reference_errors() -> str:
    found = [c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, errors.TallybookError)]
    rows = [f"| `{c.__name__}` | `{c.__bases__[0].__name__}` | {c.exit_code} | {first_paragraph(c)} |" for c in found]
    return "\n".join(
        [
            "# Errors\n",
            MADE,
            "## Exit codes\n",
            "| code | meaning |\n|---|---|",
            *(f"| {code} | {meaning} |" for code, meaning in CODES.items()),
            (
                "\nMessages go to stderr, results to stdout. With `--format json` an error is JSON on stdout: "
                '`{"refused": why, "ask": what to ask instead}` for a refusal, `{"error", "hint", "problems"}` '
                "for the rest. `TALLYBOOK_DEBUG=1` shows where an error came from.\n"
            ),
            "## In Python\n",
            (
                "All are in `tallybook.core.errors`. Each has `message`, `hint` (the next step) and `exit_code`; "
                "`DeclarationError` has `problems`, `Refused` has `why` and `ask`. A `SourceError` is one of a metric "
                "inside a run (1); as the end of a command it is 4.\n"
            ),
            "| error | is a | exit code | |\n|---|---|---|---|",
            *rows,
            "",
        ]
    )
