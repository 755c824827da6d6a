"""Sends a message to an address: to webhooks with the standard library, to mail and chat with Apprise. Only this module
and `exchange` use the network.

Nothing is retried here, because the next run sends what did not arrive. An error from Apprise may contain parts of an
address, so callers mask it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from tallybook.config import WEBHOOKS
from tallybook.core import DestinationError, DestinationRefused, DestinationUnavailable
from tallybook.deliver import bounded_answers, fetch, post, within, words_of
from tallybook.monitor.alerts.message import Message

APPRISE_SECONDS = 30.0
"""Deadline for mail and chat. Mail servers delay unknown senders on purpose."""
CHATS = {
    "hooks.slack.com": "text",
    "chat.googleapis.com": "text",
    "discord.com": "content",
    "discordapp.com": "content",
}
"""Chat webhooks, with the only key under which each accepts a text."""
FAILURE_AWARE = ("hc-ping.com", "uptime.betterstack.com")
"""Services that also accept failures, under /fail."""


def send(address: str, message: Message) -> None:
    """Send a message. Raises DestinationUnavailable or DestinationRefused unless it is known to have arrived."""
    if urlsplit(address).scheme.lower() in WEBHOOKS:
        post(address, json.dumps(payload(address, message), ensure_ascii=False).encode())
    else:
        _notify(address, message)


def payload(address: str, message: Message) -> dict[str, Any]:
    """The JSON for a webhook. A chat gets the text under its key; other webhooks also get the plain values."""
    text = f"{message.title}\n\n{message.text}"
    key = CHATS.get(urlsplit(address).hostname or "")
    return {key: text} if key else {"text": text, **message.plain}


def beat(address: str, *, well: bool) -> bool:
    """Call the heartbeat after a successful run. After a failed run, call it only if the service accepts failures.
    Returns whether it was called. Raises like `send`."""
    where = urlsplit(address)
    if well:
        fetch(address)
    elif (where.hostname or "") in FAILURE_AWARE or "/ping/" in where.path:
        fetch(where._replace(path=where.path.rstrip("/") + "/fail").geturl())
    else:
        return False
    return True


# --- mail and chat


def _notify(address: str, message: Message) -> None:
    try:
        import apprise
    except ImportError:
        raise DestinationError(
            "cannot send to mail and chat: the package apprise is not installed", hint="pip install 'tallybook[alerts]'"
        ) from None
    with _captured_log() as lines:
        service = apprise.Apprise.instantiate(address, suppress_exceptions=True)
        if service is None:
            raise DestinationRefused(
                f"Apprise cannot read this URL{': ' if lines else ''}{'; '.join(lines)}",
                hint="supported URLs: https://github.com/caronc/apprise/wiki",
            )
        kind = apprise.NotifyType.SUCCESS if message.well else apprise.NotifyType.FAILURE
        text = apprise.NotifyFormat.TEXT
        done: list[bool] = []

        def notify() -> None:
            with bounded_answers():
                made = service.notify(body=message.text, title=message.title, notify_type=kind, body_format=text)
            done.append(bool(made))

        within(APPRISE_SECONDS, notify)
    if done != [True]:
        raise DestinationUnavailable(f"Apprise could not send the message: {'; '.join(lines) or 'it gives no reason'}")


@contextmanager
def _captured_log() -> Iterator[list[str]]:
    """Collects the warnings of Apprise, which are not printed while this is active."""
    lines: list[str] = []

    class LogListener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(words_of(record.getMessage()))

    logger, listener = logging.getLogger("apprise"), LogListener(level=logging.WARNING)
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(listener)
    try:
        yield lines
    finally:
        logger.removeHandler(listener)
        logger.propagate = propagated
