"""Maps paths to the modules of pages, and handles pages that cannot be made."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote

from tallybook.core import QueryError, Refused
from tallybook.server.pages.frame import page
from tallybook.server.pages.page import File, Page, PageWork
from tallybook.server.pages.page_words import page_words
from tallybook.server.pages.words import begins_sentence

Maker = Callable[[PageWork], Page | File]


def _overview(work: PageWork) -> Page:
    from tallybook.server.pages.overview import overview

    return overview(work)


def _metric(work: PageWork, name: str) -> Page:
    from tallybook.server.pages.metric import metric_page

    return metric_page(work, name)


def _builder(work: PageWork) -> Page:
    from tallybook.server.pages.builder import builder

    return builder(work)


def _export(kind: str) -> Maker:
    def made(work: PageWork) -> Page | File:
        from tallybook.server.pages.exports import export

        return export(work, kind)

    return made


def _boards(work: PageWork) -> Page:
    from tallybook.server.pages.boards import boards_page

    return boards_page(work)


def _board(work: PageWork, name: str) -> Page:
    from tallybook.server.pages.boards import board_page

    return board_page(work, name)


def _health(work: PageWork) -> Page:
    from tallybook.server.pages.health import health

    return health(work)


def _entities(kind: str) -> Maker:
    def made(work: PageWork) -> Page:
        from tallybook.server.pages.entities import entities_page

        return entities_page(work, kind)

    return made


def _entity(kind: str) -> Callable[[PageWork, str], Page]:
    def made(work: PageWork, name: str) -> Page:
        from tallybook.server.pages.entity import entity_page

        return entity_page(work, kind, name)

    return made


EXPORTS = ("csv", "xlsx", "png", "svg")
PAGES: dict[str, Maker] = {
    "/": _overview,
    "/q": _builder,
    "/boards": _boards,
    "/health": _health,
    "/accounts": _entities("accounts"),
    "/users": _entities("users"),
    **{f"/q.{kind}": _export(kind) for kind in EXPORTS},
}
"""By path."""
NAMED: dict[str, Callable[[PageWork, str], Page | File]] = {
    "/m/": _metric,
    "/boards/": _board,
    "/accounts/": _entity("accounts"),
    "/users/": _entity("users"),
}
"""By path prefix. The rest of the path is a name."""


NAMED_FIELDS = ("metrics", "board")
"""Fields whose value is a name in the path. If it is unknown, there is no such page. Other problems are about a field
of the URL."""


def is_page(path: str) -> bool:
    """Whether a path belongs to a page."""
    return path in PAGES or any(path.startswith(begin) for begin in NAMED)


def page_of(work: PageWork) -> Page | File:
    """The page for a request. Raises the Book's exceptions for internal errors."""
    path = work.ask.path
    try:
        if path in PAGES:
            return PAGES[path](work)
        for begin, make in NAMED.items():
            if path.startswith(begin):
                return make(work, unquote(path.removeprefix(begin)))
    except QueryError as error:
        is_missing = not error.field or error.field in NAMED_FIELDS
        return not_found(work, error.message, error.hint, status=404 if is_missing else 400)
    except Refused as refused:
        return not_found(work, refused.why, refused.ask, status=422)
    return not_found(work, f"There is nothing at {path[:100]}")


def not_found(work: PageWork, message: str, hint: str = "", *, status: int = 404) -> Page:
    """A page that says what was not found, and what exists."""
    words = page_words(begins_sentence(message))
    title = "This address cannot be read" if status == 400 else ""
    said, _, lines = hint.partition("\n")
    shown = {"heading": title, "message": words, "hint": page_words(said), "lines": lines}
    return page(work, "not_found.html", "", title or "Not found", status=status, **shown)
