"""Hands a message to an address: a webhook by what Python has, mail and chat by Apprise. The one place in this package
that talks to the world.

Nothing is tried twice here: who did not get it gets it with the next look. What Apprise says in an error may hold parts of
an address: who shows it masks it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tallybook.alerts.message import Message
from tallybook.config.urls import WEBHOOKS
from tallybook.errors import DestinationError, DestinationRefused, DestinationUnavailable

if TYPE_CHECKING:
    from http.client import HTTPMessage
    from urllib.request import OpenerDirector, Request

SECONDS = 10.0
"""So long an address may take to answer."""
CHATS = {
    "hooks.slack.com": "text", "chat.googleapis.com": "text", "discord.com": "content", "discordapp.com": "content",
}  # fmt: skip
"""Webhooks of chats take a text under this key, and nothing else."""
FAILS = ("hc-ping.com", "uptime.betterstack.com")
"""Services that want to hear of a failure too, under /fail."""
AGENT = "tallybook"


def send(address: str, message: Message) -> None:
    """Hand it over. Raises DestinationUnavailable or DestinationRefused, when it is not known to have arrived."""
    if urlsplit(address).scheme.lower() in WEBHOOKS:
        _post(address, json.dumps(payload(address, message), ensure_ascii=False).encode())
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
        _get(address)
    elif (where.hostname or "") in FAILS or "/ping/" in where.path:
        _get(where._replace(path=where.path.rstrip("/") + "/fail").geturl())
    else:
        return False
    return True


# --- webhooks


def _post(address: str, body: bytes) -> None:
    _open(address, body, {"Content-Type": "application/json; charset=utf-8"}, follow=False)


def _get(address: str) -> None:
    _open(address, None, {}, follow=True)


def _open(address: str, body: bytes | None, headers: Mapping[str, str], *, follow: bool) -> None:
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request

    try:
        request = Request(_without_user(address), body, {"User-Agent": AGENT, **_authorization(address), **headers})
        with _opener(follow=follow).open(request, timeout=SECONDS) as answer:
            answer.read()
    except HTTPError as error:
        refused = 400 <= error.code < 500 and error.code not in (408, 429)
        kind = DestinationRefused if refused or 300 <= error.code < 400 else DestinationUnavailable
        raise kind(f"it answered {error.code} {error.reason}") from None
    except URLError as error:
        raise DestinationUnavailable(f"it cannot be reached: {_words(error.reason)}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise DestinationUnavailable(f"it did not answer: {_words(error)}") from None


def _opener(*, follow: bool) -> OpenerDirector:
    """What a redirect makes of a POST is a GET that says nothing: it is not followed."""
    from urllib.request import HTTPRedirectHandler, build_opener

    class Stay(HTTPRedirectHandler):
        def redirect_request(
            self, req: Request, fp: Any, code: int, msg: str, headers: HTTPMessage, newurl: str
        ) -> None:
            return None

    return build_opener() if follow else build_opener(Stay)


def _without_user(address: str) -> str:
    where = urlsplit(address)
    return where._replace(netloc=where.netloc.rpartition("@")[2]).geturl()


def _authorization(address: str) -> dict[str, str]:
    from base64 import b64encode
    from urllib.parse import unquote

    user, at, _ = urlsplit(address).netloc.rpartition("@")
    return {"Authorization": f"Basic {b64encode(unquote(user).encode()).decode()}"} if at else {}


def _words(error: object) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(said.split()) or type(error).__name__


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
        done = service.notify(body=message.text, title=message.title, notify_type=kind, body_format=text)
    if not done:
        raise DestinationUnavailable(f"Apprise could not send it: {'; '.join(said) or 'it does not say why'}")


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What Apprise complains about, instead of it being printed."""
    said: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(_words(record.getMessage()))

    logger, listener = logging.getLogger("apprise"), Listener(level=logging.WARNING)
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(listener)
    try:
        yield said
    finally:
        logger.removeHandler(listener)
        logger.propagate = propagated
