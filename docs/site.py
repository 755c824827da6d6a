"""Hooks of MkDocs: files of the repository become pages, and links between pages work on the site.

The pages are written for readers of the repository. README.md is the home page of the site, CONTRIBUTING.md and
CHANGELOG.md are pages, and each decision is in the navigation without a line in mkdocs.yml.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MADE = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Files of the repository and the pages made from them."""
OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)*(?:src|tests|benchmarks|packages|LICENSE|Makefile)[^)]*\)")
"""A link to a file that is no page. The site shows its text."""


def navigation(nav: list[Any]) -> list[Any]:
    """The navigation of mkdocs.yml, with the decisions."""
    decisions = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    return [*nav, {"Decisions": ["decisions/README.md", *(f"decisions/{name}" for name in decisions)]}]


def on_config(config: Any) -> Any:
    """Add the decisions to the navigation."""
    config["nav"] = navigation(config["nav"])
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages made from files of the repository."""
    from mkdocs.structure.files import File

    for source, page in MADE.items():
        text = re.sub(r"(\]\(|src=\")docs/", r"\1", (ROOT / source).read_text(encoding="utf-8"))
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite links to files outside of docs/, and drop what fences say to the tests."""
    uri = page.file.src_uri
    up = "../" * uri.count("/")
    outer = "" if uri in MADE.values() else "../"
    for source, made in MADE.items():
        markdown = markdown.replace(f"]({up}{outer}{source}", f"]({up}{made}")
    markdown = OUTSIDE.sub(r"\1", markdown)
    return re.sub(r"^( *```+)(\w+)[^\n]*$", r"\1\2", markdown, flags=re.MULTILINE)
