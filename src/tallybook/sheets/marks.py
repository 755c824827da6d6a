"""Entries of developer metadata: their ids, and the requests that create and delete them.

https://developers.google.com/workspace/sheets/api/guides/metadata
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
DELIVERY = "tallybook.delivery"
"""The key of the entry that names the delivery of a tab: "<book>/<delivery>#<tab>"."""


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """An entry that a batch leaves in the document, as proof that it was applied."""

    id: int
    """A number from 1 to 2**31 - 1. Repeating a batch uses the same id. Of two batches with one id, only the first is
    applied."""
    key: str
    value: str
    """A text that distinguishes this batch from another one with the same id."""
    sheet_id: int | None = None
    """The sheet of the entry; None: the document."""

    def request(self) -> Json:
        """The request that creates the entry."""
        place: Json = {"spreadsheet": True} if self.sheet_id is None else {"sheetId": self.sheet_id}
        return metadata_creation(place, self.key, self.value, metadata_id=self.id)


def metadata_id(*values: object) -> int:
    """A metadata id, 1 to 2**31 - 1, that depends only on the values."""
    digest = hashlib.blake2b(repr(values).encode(), digest_size=8).digest()
    return 1 + int.from_bytes(digest, "big") % (2**31 - 1)


def metadata_creation(location: Json, key: str, value: str, *, metadata_id: int | None = None) -> Json:
    """The request that creates an entry. Without an id, Google chooses one."""
    entry = {"metadataKey": key, "metadataValue": value, "location": location, "visibility": "DOCUMENT"}
    known = {"metadataId": metadata_id} if metadata_id is not None else {}
    return {"createDeveloperMetadata": {"developerMetadata": known | entry}}


def metadata_removal(metadata_id: int) -> Json:
    """The request that deletes an entry."""
    return {"deleteDeveloperMetadata": {"dataFilter": {"developerMetadataLookup": {"metadataId": metadata_id}}}}
