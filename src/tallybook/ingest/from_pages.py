"""Checks events sent by a page with a browser key, which anyone can read. A page may send only declared events, and
only about the user and account that its signed identity names. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tallybook.core import Event, EventSettings, Rejection

ANYBODY = "anybody"


def page_rejections(
    events: list[tuple[int, Event]], page: Mapping[str, Any], settings: EventSettings
) -> Iterator[Rejection]:
    """A rejection for each event that the page may not send. `page` has the signed `user` and `account`, or `names:
    anybody`."""
    for index, event in events:
        wrong = _wrong(event, page, settings)
        if wrong is not None:
            field, reason = wrong
            yield Rejection(index=index, code="not_bound", field=field, reason=reason, id=event.id)


def _wrong(event: Event, page: Mapping[str, Any], settings: EventSettings) -> tuple[str, str] | None:
    """(field, reason) for content that a page may not send."""
    if event.name not in settings.declared:
        return "event", "a browser key sends only declared events: add [events.NAME] to tallybook.toml"
    if page.get("names") == ANYBODY:
        return None
    for field, sent in (("user", event.user), ("account", event.account)):
        if sent is not None and sent != page.get(field):
            reason = f"a browser key names this {field} only with its signed identity: tallybook.sign(user, account, …)"
            return field, reason
    return None
