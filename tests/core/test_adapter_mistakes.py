"""The messages about mistakes in an adapter of another package name the adapter and the correction."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tallybook.core.adapters.destinations import DESTINATIONS
from tallybook.core.adapters.registry import AdapterError, Registry
from tallybook.core.errors import bug_report

GROUP = "tallybook.destinations"
HEAD = "from tallybook.core import DestinationKind, Option, SourceKind\n"
Installed = Callable[..., Registry[Any]]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installed:
    """A registry with one adapter of another package, `html`, whose module has this text."""

    def make(text: str, place: str = "tally_html:Html") -> Registry[Any]:
        (tmp_path / "tally_html.py").write_text(HEAD + text)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "tally_html", raising=False)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        registry: Registry[Any] = Registry(GROUP, {})
        registry.__dict__["installed"] = {"html": place}
        return registry

    return make


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            "class Base:\n  kind = DestinationKind(name='csv', noun='a CSV file')\nclass Html(Base): ...",
            "has the kind 'csv'",
            "a class without a `kind` of its own has that of its base class",
        ),
        (
            "class Html:\n  kind = SourceKind(name='html', schemes=('htm', 'page'), dialect='duckdb')",
            "has the kind 'html' with the schemes htm, page",
            "for a source one of the `schemes`",
        ),
        (
            "class Html:\n  kind = SourceKind(name='html', schemes='html', dialect='duckdb')",
            "has a descriptor whose schemes is 'html', not a tuple",
            "schemes=(…,)",
        ),
        (
            "class Html:\n  kind = DestinationKind(name='html', noun='HTML', options=Option(name='a', read=str, example='', help=''))",
            "whose options is Option(",
            "options=(…,)",
        ),
        (
            "class Html:\n  kind = DestinationKind(name='html', noun='HTML', endings=('html',))",
            "the ending 'html' of html has no dot: write '.html'",
            "",
        ),
        (
            "class Html:\n  kind = SourceKind(name='html', schemes=('html',), dialect='duckdb', location='archive')",
            "the location of html is 'archive'; it is one of server, file, folder",
            "",
        ),
        ("import no_such_driver", "No module named 'no_such_driver'", "pip install no_such_driver"),
        ("import tallybook.montior", "No module named 'tallybook.montior'", "tallybook has no such module"),
    ],
)
def test_a_mistake_in_an_adapter_is_named(installed: Installed, text: str, message: str, hint: str) -> None:
    with pytest.raises(AdapterError) as refused:
        installed(text).adapter("html")
    assert refused.value.message.startswith("the adapter 'html' of tallybook.destinations")
    assert message in refused.value.message
    assert hint in refused.value.hint


def test_an_entry_point_to_a_module_that_was_not_installed_is_not_answered_with_pip(installed: Installed) -> None:
    with pytest.raises(AdapterError) as refused:
        installed("", "tally_page:Html").adapter("html")
    assert "the installed package has no module tally_page" in refused.value.hint


def test_an_error_in_the_code_of_an_adapter_is_not_a_bug_in_tallybook(installed: Installed) -> None:
    adapter = installed(
        "class Html:\n  kind = DestinationKind(name='html', noun='HTML')\n  def write(self): return {}['class']"
    ).adapter("html")
    with pytest.raises(KeyError) as raised:
        adapter().write()
    found = bug_report(raised.value)
    assert found.message == "the adapter 'html' of tallybook.destinations failed: KeyError: 'class'"
    assert "tally_html.py, write, line 4" in found.hint


def test_the_file_of_an_installed_adapter_is_known_so_that_a_change_of_it_is_seen(installed: Installed) -> None:
    registry = installed("class Html:\n  kind = DestinationKind(name='html', noun='HTML')")
    assert Path(registry.file("html") or "").name == "tally_html.py"
    assert DESTINATIONS.file("csv") is None
    assert DESTINATIONS.file("unknown") is None


def test_a_method_that_is_missing_is_named(installed: Installed) -> None:
    registry = installed("class Html:\n  kind = DestinationKind(name='html', noun='HTML')")
    registry.methods = DESTINATIONS.methods
    with pytest.raises(AdapterError, match="has no method bring_up_to_date, problems"):
        registry.adapter("html")
