"""Hands a message to an address: a webhook by what Python has, mail and chat by Apprise. Only this module and
`exchange` use the network.

Nothing is tried twice here: who did not get it gets it with the next look. What Apprise says in an error may hold parts of
an address: who shows it masks it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from tallybook.config import WEBHOOKS
from tallybook.core import DestinationError, DestinationRefused, DestinationUnavailable
from tallybook.deliver import fetch, post, within, words_of
from tallybook.monitor.alerts.bounded import bounded_answers
from tallybook.monitor.alerts.message import Message

APPRISE_SECONDS = 30.0
"""Deadline for mail and chat. Mail servers delay strangers on purpose."""
CHATS = {
    "hooks.slack.com": "text",
    "chat.googleapis.com": "text",
    "discord.com": "content",
    "discordapp.com": "content",
}
"""Webhooks of chats take a text under this key, and nothing else."""
FAILS = ("hc-ping.com", "uptime.betterstack.com")
"""Services that want to hear of a failure too, under /fail."""


def send(address: str, message: Message) -> None:
    """Hand it over. Raises DestinationUnavailable or DestinationRefused, when it is not known to have arrived."""
    if urlsplit(address).scheme.lower() in WEBHOOKS:
        post(address, json.dumps(payload(address, message), ensure_ascii=False).encode())
    else:
        _notify(address, message)


def payload(address: str, message: Message) -> dict[str, Any]:
    """What a webhook gets: of a chat the text in its form, else everything in plain values too."""
    text = f"{message.title}\n\n{message.text}"
    key = CHATS.get(urlsplit(address).hostname or "")
    return {key: text} if key else {"text": text, **message.plain}


def beat(address: str, *, well: bool) -> bool:
    """Give a sign of life after a run that went well; after another one only where that is understood. Says whether it
    did. Raises as `send`."""
    where = urlsplit(address)
    if well:
        fetch(address)
    elif (where.hostname or "") in FAILS or "/ping/" in where.path:
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
            "mail and chat are sent by Apprise, which is not installed", hint="pip install 'tallybook[alerts]'"
        ) from None
    with _heard() as said:
        service = apprise.Apprise.instantiate(address, suppress_exceptions=True)
        if service is None:
            raise DestinationRefused(
                f"Apprise cannot read this URL{': ' if said else ''}{'; '.join(said)}",
                hint="its forms: https://github.com/caronc/apprise/wiki",
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
        raise DestinationUnavailable(f"Apprise could not send it: {'; '.join(said) or 'it does not say why'}")


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What Apprise complains about, instead of it being printed."""
    said: list[str] = []

    class LogListener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(words_of(record.getMessage()))

    logger, listener = logging.getLogger("apprise"), LogListener(level=logging.WARNING)
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(listener)
    try:
        yield said
    finally:
        logger.removeHandler(listener)
        logger.propagate = propagated
