"""Writes the reference pages of docs/ from the code: keys, command, errors, words, list of decisions.

    python -m docs.generate

A test compares the pages with what this would write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from docs.cli_page import reference_cli
from docs.errors_page import reference_errors
from docs.generated import MADE
from docs.glossary_page import glossary
from docs.toml_page import reference_toml

DOCS = Path(__file__).resolve().parent


def pages() -> dict[str, str]:
    """Every generated page: its name within docs/ and its text."""
    made: dict[str, Callable[[], str]] = {
        "reference-toml.md": reference_toml,
        "reference-cli.md": reference_cli,
        "reference-errors.md": reference_errors,
        "glossary.md": glossary,
        "decisions/README.md": decisions,
    }
    return {name: page() for name, page in made.items()}


def decisions() -> str:
    found = sorted(p for p in (DOCS / "decisions").glob("[0-9]*.md"))
    lines = [f"- [{_title(p)}]({p.name})" for p in found]
    return "\n".join(
        [
            "# Decisions\n",
            MADE,
            "What could have been done otherwise, why it was not, and what that costs.\n",
            *lines,
            "",
        ]
    )


def _title(page: Path) -> str:
    return page.read_text().partition("\n")[0].lstrip("# ")


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text)
