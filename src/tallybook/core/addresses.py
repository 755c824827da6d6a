"""Addresses as people paste them: of a spreadsheet, of a service. Pure."""

from __future__ import annotations

import re

_URL = re.compile(r"(?:https?://)?[^\s/]+(?:/a/[^\s/]+)?/spreadsheets/(?:u/\d+/)?d/([A-Za-z0-9_-]{5,})(?:[/?#]\S*)?")
_ID = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[A-Za-z0-9_-]{20,}")
"""Google makes them of 44 random letters and digits, both cases among them: a title or a word has another form."""
_SERVICE = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")


def spreadsheet_id(text: str) -> str | None:
    """The id in the URL that a browser shows, or the id itself; None for anything else.

    The address of a published copy (`/d/e/2PACX-…`) has no id in it: nobody can write there."""
    text = text.strip()
    found = _URL.fullmatch(text)
    if found:
        return found[1]
    return text if _ID.fullmatch(text) else None


def is_service(text: str) -> bool:
    """Whether it is the address of a service, as http://127.0.0.1:8080."""
    return bool(_SERVICE.fullmatch(text))
