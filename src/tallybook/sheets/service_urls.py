"""URLs of Google's services, and the ids in URLs that people paste."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tallybook.core import DeclarationError, is_service, spreadsheet_id

API = "TALLYBOOK_GOOGLE_API"
"""The environment variable with the URL of an emulator that replaces Google."""


@dataclass(frozen=True)
class ServiceUrls:
    """The URLs of Google's services. `api`: one URL that replaces all of them; empty for Google itself."""

    api: str = ""

    def __post_init__(self) -> None:
        if self.api and not is_service(self.api):
            raise DeclarationError(
                f"{self.api!r} is not the URL of a service", hint="expected a URL such as http://127.0.0.1:8080"
            )

    @classmethod
    def of(cls, api: str | None, env: Mapping[str, str]) -> ServiceUrls:
        """`api`, else the URL in the environment, else Google."""
        return cls((api or env.get(API, "")).rstrip("/"))

    @property
    def spreadsheets(self) -> str:
        """The URL of the Sheets API."""
        return f"{self.api or 'https://sheets.googleapis.com'}/v4/spreadsheets"

    @property
    def consent(self) -> str:
        """The URL of Google's consent page."""
        return f"{self.api or 'https://accounts.google.com'}/o/oauth2/v2/auth"

    @property
    def token(self) -> str:
        """The URL of the token server."""
        return f"{self.api or 'https://oauth2.googleapis.com'}/token"


class Document(NamedTuple):
    """The id of a spreadsheet, and of the worksheet in its URL."""

    id: str
    worksheet: int | None = None


_WORD = re.compile(r"[\w-]{5,}")
"""The loose form of an id, which Google checks immediately. Ids in files have the strict form of `spreadsheet_id`."""
_GID = re.compile(r"[#&?]gid=(\d+)")


def document(text: str) -> Document:
    """The document of an id or of a URL from the browser. Raises DeclarationError."""
    text = text.strip()
    if document_id := spreadsheet_id(text) or (_WORD.fullmatch(text) and text):
        gid = _GID.search(text)
        return Document(document_id, int(gid[1]) if gid else None)
    raise DeclarationError(
        f"{text[:80]!r} is neither the id nor the URL of a spreadsheet",
        hint="open it in the browser and copy its URL: https://docs.google.com/spreadsheets/d/…",
    )


def link(document_id: str) -> str:
    """The URL for the browser."""
    return f"https://docs.google.com/spreadsheets/d/{document_id}/edit"


CONSOLE = "https://console.cloud.google.com"
ENABLE = f"{CONSOLE}/apis/library/sheets.googleapis.com"
CLIENTS = f"{CONSOLE}/auth/clients"
AUDIENCE = f"{CONSOLE}/auth/audience"
SERVICE_ACCOUNTS = f"{CONSOLE}/iam-admin/serviceaccounts"
