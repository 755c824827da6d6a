"""Whose book a ledger keeps: two projects that share one by mistake would mix their numbers."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from tallybook.core import BookError, BookSettings, Catalog, DeclarationError, QueryError

if TYPE_CHECKING:
    from tallybook.storage import Store

NAME, ID = "book name", "book id"
"""What the ledger calls them."""


def owner_of(book: BookSettings) -> dict[str, str]:
    """What is recorded of a project; the default name proves nothing."""
    return {NAME: book.name if book.name != BookSettings().name else "", ID: book.id}


def check_owner(store: Store, book: BookSettings) -> None:
    """Raise DeclarationError when the book in a store belongs to another project."""
    known = {NAME: "", ID: ""}
    with suppress(BookError):  # a ledger from before that cannot be written to says nothing
        known |= {name: one.value for name, one in store.ledger.identities().items() if name in known}
    own = owner_of(book)
    if known[ID] and own[ID]:
        other = known[ID] != own[ID]
    else:
        other = bool(known[NAME] and own[NAME]) and known[NAME] != own[NAME]
    if other:
        raise _another(store, book, known)


def _another(store: Store, book: BookSettings, known: dict[str, str]) -> DeclarationError:
    theirs = f"{known[NAME] or 'a project without a name'}" + (f" (id {known[ID]})" if known[ID] else "")
    ours = f"{book.name}" + (f" (id {book.id})" if book.id else "")
    word = re.sub(r"\W+", "_", book.name.lower(), flags=re.ASCII).strip("_") or "book_2"
    key = f'schema = "{word}"' if book.ledger else f'store = "{word}"'
    same = f'id = "{known[ID]}"' if known[ID] else f'name = "{known[NAME]}"'
    return DeclarationError(
        f"the book in {store.ledger.where} belongs to another project: it is of {theirs}, and tallybook.toml is of {ours}",
        hint=f"give this project a book of its own:\n[book]\n{key}\n"
        "or, from the other project, take its book to another place: tallybook move\n"
        f"if both are one project: [book] {same}"
        + ("" if known[ID] else "; with an `id` beside it, a later run may rename it"),
    )


def known_source(catalog: Catalog, name: str) -> None:
    """Raise QueryError when no source has this name."""
    from tallybook.config.catalog.words import closest

    if name not in catalog.sources:
        meant = closest(name, catalog.sources)
        hint = f"did you mean {meant!r}?" if meant else f"there are: {', '.join(catalog.sources)}"
        raise QueryError(f"there is no source {name!r}", hint=hint)
