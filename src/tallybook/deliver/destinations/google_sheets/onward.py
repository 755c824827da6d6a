"""Finds or creates the document that continues a full one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tallybook.core import DestinationRefused, Overtaken
from tallybook.deliver.destinations.google_sheets.tab import NEXT, OVERVIEW, next_of
from tallybook.sheets import Json, Stamp, metadata_id

if TYPE_CHECKING:
    from tallybook.sheets import Api


def continue_elsewhere(api: Api, overview: Json, document: str) -> None:
    """Create a document, and write its id into the full one.

    If the process is killed between these two steps, an unused empty document remains in the Drive.

    Raises DestinationRefused, with the manual steps, if the keys cannot create documents."""
    said = overview.get("properties", {})
    try:
        made = api.create(_following(str(said.get("title", ""))), like=said)
    except DestinationRefused as refused:
        account = f" with {api.keys.account}" if api.keys.account else ""
        raise DestinationRefused(
            f"document {document} is full, and these keys cannot create the next: {refused.message}",
            hint=f"create one, share it{account}, then: tallybook sheets continue {document} --in DOC",
        ) from None
    name(api, document, str(made["spreadsheetId"]))


def name(api: Api, document: str, following: str) -> str:
    """Record in a document which document continues it, unless it already names one. Returns the id of the document
    that it names."""
    try:
        # The entry acts as the stamp: if two processes name a document, the first entry counts.
        api.batch_update(document, [], Stamp(id=metadata_id(document, NEXT), key=NEXT, value=following))
    except Overtaken:
        return next_of(api.read(document, fields=OVERVIEW))
    return following


def _following(title: str) -> str:
    """The title of the next document: "Metrics", "Metrics 2", "Metrics 3"."""
    numbered = re.fullmatch(r"(.*\S) (\d{1,4})", title)
    return f"{numbered[1]} {int(numbered[2]) + 1}" if numbered else f"{title} 2"
