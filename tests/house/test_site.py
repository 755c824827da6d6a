"""The site of docs/: every page is in its navigation."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def pages_of(nav: Any) -> list[str]:
    """The pages of a navigation, in its order."""
    if isinstance(nav, str):
        return [nav]
    items = nav.values() if isinstance(nav, dict) else nav
    return [page for item in items for page in pages_of(item)]


def test_every_page_is_in_the_navigation_once() -> None:
    hooks = runpy.run_path(str(DOCS / "site.py"))
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    listed = pages_of(hooks["navigation"](config["nav"]))
    made = set(hooks["MADE"].values())
    assert sorted(listed) == sorted({page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")} | made)


def test_files_that_become_pages_exist() -> None:
    assert all((ROOT / name).exists() for name in runpy.run_path(str(DOCS / "site.py"))["MADE"])
