"""Addresses of spreadsheets and services, as people paste them. Pure."""

from __future__ import annotations

import re

_URL = re.compile(r"(?:https?://)?[^\s/]+(?:/a/[^\s/]+)?/spreadsheets/(?:u/\d+/)?d/([A-Za-z0-9_-]{5,})(?:[/?#]\S*)?")
_ID = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[A-Za-z0-9_-]{20,}")
"""Google makes ids of 44 random letters and digits, in both cases. A title or a word does not match."""
_SERVICE = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")


def spreadsheet_id(text: str) -> str | None:
    """The id in the URL that a browser shows, or the id itself; None for anything else.

    The address of a published copy (`/d/e/2PACX-…`) contains no id, and nobody can write to it."""
    text = text.strip()
    if match := _URL.fullmatch(text):
        return match[1]
    return text if _ID.fullmatch(text) else None


def is_service(text: str) -> bool:
    """Whether `text` is the URL of a service, such as http://127.0.0.1:8080."""
    return bool(_SERVICE.fullmatch(text))
