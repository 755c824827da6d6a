"""Pages of a list. The first request freezes the list, so that pages neither repeat nor skip records that change
meanwhile.

The list of users returns the same scroll id on every page and advances by itself. The other lists return a new scroll
id each time. The last page has a scroll id too. Clients of PX have reported both."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tallybook_emulators.gainsight_px.contract import CAPS
from tallybook_emulators.gainsight_px.errors import PxError

MAX_SCROLLS = 1000


@dataclass
class _Scroll:
    records: Sequence[Mapping[str, Any]]
    start: int


@dataclass
class Scrolls:
    """The lists that are being paged through."""

    _scrolls: dict[str, _Scroll] = field(default_factory=dict)

    def first(self, key: str, records: Sequence[Mapping[str, Any]], size: int) -> dict[str, Any]:
        """The first page of a list."""
        return self._page(key, str(uuid.uuid4()), records, 0, size)

    def next(self, key: str, scroll_id: str, size: int) -> dict[str, Any]:
        """The page after the one that returned this scroll id. Raises PxError 400 for an unknown id."""
        scroll = self._scrolls.get(scroll_id)
        if scroll is None:
            raise PxError(400, "Unknown scrollId")
        new_id = scroll_id if key == "users" else str(uuid.uuid4())
        return self._page(key, new_id, scroll.records, scroll.start, size)

    def _page(
        self, key: str, scroll_id: str, records: Sequence[Mapping[str, Any]], start: int, size: int
    ) -> dict[str, Any]:
        end = min(start + size, len(records))
        self._scrolls[scroll_id] = _Scroll(records, end)
        while len(self._scrolls) > MAX_SCROLLS:
            del self._scrolls[next(iter(self._scrolls))]
        return {key: list(records[start:end]), "totalHits": len(records), "scrollId": scroll_id}


def page_size(text: str) -> int:
    """The value of the parameter `pageSize`. Raises PxError 400 outside of 1 to 1000."""
    if not text:
        return CAPS["page_size_default"]
    if not text.isdecimal() or not 1 <= int(text) <= CAPS["page_size"]:
        raise PxError(400, f"pageSize must be between 1 and {CAPS['page_size']}", details=[f"pageSize is {text}"])
    return int(text)
