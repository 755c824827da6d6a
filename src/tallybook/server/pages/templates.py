"""The templates and static files of the pages. Jinja2 is imported when the first page is rendered."""

from __future__ import annotations

import functools
import hashlib
from datetime import date
from importlib import resources
from typing import TYPE_CHECKING, Any

from tallybook.core import DeclarationError

if TYPE_CHECKING:
    from jinja2 import Environment

STATIC = {
    "pages.css": "text/css; charset=utf-8",
    "pages.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}

LONG_HEAD, LONG_NUMBER = 28, 15


def check_templates() -> None:
    """Raise DeclarationError, with the command that installs it, if Jinja2 is missing."""
    try:
        import jinja2  # noqa: F401
    except ImportError:
        raise DeclarationError("the pages need the package jinja2", hint="pip install 'tallybook[server]'") from None


@functools.cache
def static_file(name: str) -> bytes:
    """The content of a static file."""
    return resources.files("tallybook.server").joinpath("static", name).read_bytes()


@functools.cache
def static_hash() -> str:
    """A hash of all static files. It is part of their URLs, so the content behind a URL never changes."""
    digest = hashlib.sha256()
    for name in STATIC:
        digest.update(static_file(name))
    return digest.hexdigest()[:12]


def static_address(name: str) -> str:
    """The URL of a static file."""
    return f"/_/{static_hash()}/{name}"


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("tallybook.server", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do"],
        auto_reload=False,
        cache_size=100,
    )
    made.globals |= {"static": static_address}
    made.filters |= {"day": _day, "dated": _dated, "long": _long, "long_number": _long_number}
    return made


def _long(head: str) -> str:
    """The class of a column head that may break across lines, so that its numbers stay in sight."""
    return " long" if len(head) > LONG_HEAD else ""


def _long_number(shown: Any) -> str:
    """The class of a large number with so many digits that it is written smaller."""
    return " long" if len(str(shown)) > LONG_NUMBER else ""


def _day(value: date | str | None) -> Any:
    """A day, as HTML that does not break across lines."""
    from markupsafe import Markup, escape

    return Markup("<time>{}</time>").format(escape(str(value))) if value else "–"  # escaped


def _dated(text: str) -> Any:
    """A sentence, as HTML whose days do not break across lines."""
    import re

    from markupsafe import Markup, escape

    marked = re.sub(r"\b\d{4}-\d\d(?:-\d\d)?\b", r"<time>\g<0></time>", str(escape(text)))
    return Markup(marked)  # escaped


def markup(text: str) -> Any:
    """Marks text that we generated and that is already HTML or SVG."""
    from markupsafe import Markup

    return Markup(text)  # only called with output of server/charts


def render(template: str, /, **values: Any) -> str:
    """A template with its values. An undefined name is an error."""
    return _environment().get_template(template).render(**values)
