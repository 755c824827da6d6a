"""Entries of developer metadata: their ids, and the requests that make and take them away.

https://developers.google.com/workspace/sheets/api/guides/metadata
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
DELIVERY = "tallybook.delivery"
"""The key of the entry that says whose delivery a tab is: "<book>/<delivery>#<tab>"."""


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What a batch leaves in the document, by which it is known that it was applied."""

    id: int
    """1 to 2**31 - 1. The same batch has the same id; of two batches with one id only the first is applied."""
    key: str
    value: str
    """Tells this batch from another that has the same id."""
    sheet_id: int | None = None
    """On which sheet it stands; None: on the document."""

    def request(self) -> Json:
        place: Json = {"spreadsheet": True} if self.sheet_id is None else {"sheetId": self.sheet_id}
        return mark(place, self.key, self.value, metadata_id=self.id)


def metadata_id(*told: object) -> int:
    """1 to 2**31 - 1, for everybody the same for the same."""
    digest = hashlib.blake2b(repr(told).encode(), digest_size=8).digest()
    return 1 + int.from_bytes(digest, "big") % (2**31 - 1)


def mark(location: Json, key: str, value: str, *, metadata_id: int | None = None) -> Json:
    """Make an entry; without an id Google chooses one."""
    entry = {"metadataKey": key, "metadataValue": value, "location": location, "visibility": "DOCUMENT"}
    known = {"metadataId": metadata_id} if metadata_id is not None else {}
    return {"createDeveloperMetadata": {"developerMetadata": known | entry}}


def forget(metadata_id: int) -> Json:
    """Take an entry away."""
    return {"deleteDeveloperMetadata": {"dataFilter": {"developerMetadataLookup": {"metadataId": metadata_id}}}}
