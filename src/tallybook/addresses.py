"""Addresses as people paste them: of a spreadsheet, of a service. Pure."""

from __future__ import annotations

import re

_URL = re.compile(r"/spreadsheets/(?:u/\d+/)?d/([\w-]+)")
_ID = re.compile(r"[\w-]{5,}")
_SERVICE = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")


def spreadsheet_id(text: str) -> str | None:
    """From the URL that a browser shows, or the id itself; None when it is neither."""
    found = _URL.search(text)
    if found:
        return found[1]
    return text if _ID.fullmatch(text) else None


def is_service(text: str) -> bool:
    """Whether it is the address of a service, as http://127.0.0.1:8080."""
    return bool(_SERVICE.fullmatch(text))
