"""Google Sheets by hand: rows from your own code, written once each.

    from tallybook.sheets import Session

    session = Session(client_id, client_secret, refresh_token)
    worksheet = session.worksheet(document_id, worksheet_id)
    worksheet << 1 << 2
    worksheet.append(5)
    worksheet.save_row()

`tallybook sheets setup` gets the three words from Google. Needs `pip install 'tallybook[google]'`. The modules, top to
ground: `session`, `worksheet` (rows gathered and written), `rows` (where they go), `doctor`, `api` (requests, their pace
and what to do when an answer is lost), `consent` and `keep` (tokens), `refusals`, `pace`, `marks`, `cells`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tallybook.sheets.api import Api
    from tallybook.sheets.session import Session
    from tallybook.sheets.worksheet import Worksheet

_PLACES = {"Api": "api", "Session": "session", "Worksheet": "worksheet"}

__all__ = ["Api", "Session", "Worksheet"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'tallybook.sheets' has no attribute {name!r}")
    return getattr(importlib.import_module(f"tallybook.sheets.{_PLACES[name]}"), name)
