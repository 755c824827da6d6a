"""Checks that a book belongs to the project: two projects in one book would mix their numbers."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from tallybook.core import BookError, BookSettings, Catalog, DeclarationError, QueryError

if TYPE_CHECKING:
    from tallybook.storage import Store

NAME, ID = "book name", "book id"
"""The names of these settings in the ledger."""


def owner_of(book: BookSettings) -> dict[str, str]:
    """The identity of a project for the ledger. The default name is left out, because it identifies nothing."""
    return {NAME: book.name if book.name != BookSettings().name else "", ID: book.id}


def check_owner(store: Store, book: BookSettings) -> None:
    """Raise DeclarationError if the book in a store belongs to another project."""
    known = {NAME: "", ID: ""}
    with suppress(BookError):  # an older ledger that is read-only has no identities
        known |= {name: identity.value for name, identity in store.ledger.identities().items() if name in known}
    owner = owner_of(book)
    if known[ID] and owner[ID]:
        is_foreign = known[ID] != owner[ID]
    else:
        is_foreign = bool(known[NAME] and owner[NAME]) and known[NAME] != owner[NAME]
    if is_foreign:
        raise _foreign_book(store, book, known)


def _foreign_book(store: Store, book: BookSettings, known: dict[str, str]) -> DeclarationError:
    theirs = f"{known[NAME] or 'a project without a name'}" + (f" (id {known[ID]})" if known[ID] else "")
    ours = f"{book.name}" + (f" (id {book.id})" if book.id else "")
    word = re.sub(r"\W+", "_", book.name.lower(), flags=re.ASCII).strip("_") or "book_2"
    key = f'schema = "{word}"' if book.ledger else f'store = "{word}"'
    same = f'id = "{known[ID]}"' if known[ID] else f'name = "{known[NAME]}"'
    return DeclarationError(
        f"the book in {store.ledger.where} belongs to another project: "
        f"the book is of {theirs}, tallybook.toml is of {ours}",
        hint=f"give this project a book of its own:\n[book]\n{key}\n"
        "or, from the other project, move its book to another place: tallybook move\n"
        f"if both are the same project: [book] {same}"
        + ("" if known[ID] else "; with an `id` beside it, a later run may rename it"),
    )


def known_source(catalog: Catalog, name: str) -> None:
    """Raise QueryError if no source has this name."""
    from tallybook.config.catalog.words import closest_key

    if name not in catalog.sources:
        meant = closest_key(name, catalog.sources)
        hint = f"did you mean {meant!r}?" if meant else f"there are: {', '.join(catalog.sources)}"
        raise QueryError(f"there is no source {name!r}", hint=hint)
