"""Where Google's services are, and the ids in what people paste."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tallybook.core import DeclarationError, is_service, spreadsheet_id

API = "TALLYBOOK_GOOGLE_API"
"""The environment variable that points all of Google elsewhere, as at an emulator."""


@dataclass(frozen=True)
class Places:
    """The addresses that are asked. `api` is empty for Google itself, or one address that stands for all of them."""

    api: str = ""

    def __post_init__(self) -> None:
        if self.api and not is_service(self.api):
            raise DeclarationError(
                f"{self.api!r} is not the address of a service", hint="write it as http://127.0.0.1:8080"
            )

    @classmethod
    def of(cls, api: str | None, env: Mapping[str, str]) -> Places:
        """`api`, else what the environment says, else Google."""
        return cls((api or env.get(API, "")).rstrip("/"))

    @property
    def spreadsheets(self) -> str:
        return f"{self.api or 'https://sheets.googleapis.com'}/v4/spreadsheets"

    @property
    def consent(self) -> str:
        return f"{self.api or 'https://accounts.google.com'}/o/oauth2/v2/auth"

    @property
    def token(self) -> str:
        return f"{self.api or 'https://oauth2.googleapis.com'}/token"


class Document(NamedTuple):
    """A spreadsheet, and the worksheet that its URL shows."""

    id: str
    worksheet: int | None = None


_WORD = re.compile(r"[\w-]{5,}")
"""What Google itself is asked about at once; what a file declares is checked by its form (`spreadsheet_id`)."""
_GID = re.compile(r"[#&?]gid=(\d+)")


def document(text: str) -> Document:
    """From an id, or the URL of a spreadsheet as the browser shows it. Raises DeclarationError."""
    text = text.strip()
    if found := spreadsheet_id(text) or (_WORD.fullmatch(text) and text):
        gid = _GID.search(text)
        return Document(found, int(gid[1]) if gid else None)
    raise DeclarationError(
        f"{text[:80]!r} is neither the id nor the URL of a spreadsheet",
        hint="open it in the browser and copy the address: https://docs.google.com/spreadsheets/d/…",
    )


def link(document_id: str) -> str:
    """Where people open it."""
    return f"https://docs.google.com/spreadsheets/d/{document_id}/edit"


CONSOLE = "https://console.cloud.google.com"
ENABLE = f"{CONSOLE}/apis/library/sheets.googleapis.com"
CLIENTS = f"{CONSOLE}/auth/clients"
AUDIENCE = f"{CONSOLE}/auth/audience"
SERVICE_ACCOUNTS = f"{CONSOLE}/iam-admin/serviceaccounts"
CONNECTIONS = "https://myaccount.google.com/connections"
