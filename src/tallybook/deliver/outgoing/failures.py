"""Classes of failure: what an answer, or the lack of one, means for the items of a request."""

from __future__ import annotations

import email.utils
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tallybook.core import DestinationUnavailable, OutcomeUnknown

ARRIVED, REJECTED, STOPPED, TRY_LATER, UNCERTAIN = "arrived", "rejected", "stopped", "try later", "uncertain"
"""Verdicts: the receiver has it; it will never accept this; it accepts nothing more from us; it accepted nothing now;
it is unknown whether it accepted it."""
REJECTING = frozenset((400, 405, 406, 411, 413, 414, 415, 422))
STOPPING = frozenset((401, 402, 407, 410))
UNCERTAIN_CODES = frozenset((500, 502, 504, 520, 522, 524))
"""Status codes that servers and proxies may send after a request that was carried out."""
MAX_RETRY_AFTER = 24 * 3600.0


@dataclass(frozen=True, kw_only=True)
class HttpReply:
    """A complete answer. Header names are in lower case. `body` may be only the beginning of the body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0
    reason: str = ""

    @property
    def is_html(self) -> bool:
        """Whether it is a page for people, such as firewalls and proxies send."""
        kind = self.headers.get("content-type", "").lower()
        return "html" in kind or self.body.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html"))

    @property
    def words(self) -> str:
        """The beginning of the body on one line, for messages. Empty for a page for people."""
        if self.is_html:
            return ""
        text = self.body[:300].decode("utf-8", "replace")
        return " ".join(re.sub(r"[^\x20-\x7e\u00a0-\ufffd]", " ", text).split())


@dataclass(frozen=True, kw_only=True)
class SendVerdict:
    """The outcome of a request. `said`: the reason, for people. `retry_after`: seconds that the receiver asks to wait.
    `refused`: items that the receiver did not accept from a request that arrived, each with the reason."""

    outcome: str
    said: str = ""
    status: int = 0
    retry_after: float | None = None
    seconds: float = 0.0
    refused: Mapping[str, str] = field(default_factory=dict)


def verdict_of(answer: HttpReply, now: datetime) -> SendVerdict:
    """The verdict on an answer by its status, for receivers that follow HTTP."""
    said = f"{answer.status}{f': {answer.words}' if answer.words else ''}"
    return SendVerdict(
        outcome=_outcome(answer),
        said=said,
        status=answer.status,
        retry_after=retry_after_of(answer, now),
        seconds=answer.seconds,
    )


def _outcome(answer: HttpReply) -> str:
    status = answer.status
    if 200 <= status < 300:
        return ARRIVED
    if status in STOPPING or (status == 403 and not answer.is_html):
        return STOPPED
    if status in REJECTING:
        return REJECTED
    return UNCERTAIN if status in UNCERTAIN_CODES else TRY_LATER


def verdict_without_answer(error: DestinationUnavailable) -> SendVerdict:
    """The verdict on a request that was not answered."""
    outcome = UNCERTAIN if isinstance(error, OutcomeUnknown) else TRY_LATER
    return SendVerdict(outcome=outcome, said=error.message, retry_after=error.retry_after)


def retry_after_of(answer: HttpReply, now: datetime) -> float | None:
    """The seconds to wait that an answer asks for, at most a day. None if it does not ask."""
    text = answer.headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", text, re.ASCII):
        return min(float(text), MAX_RETRY_AFTER)
    try:
        at = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max((at - now).total_seconds(), 0.0), MAX_RETRY_AFTER)
