"""What Google's services answer when they do not do it, as our errors with the next step.

Sheets answers with google.rpc.Status (https://cloud.google.com/apis/design/errors), some of Drive's refusals come in
an older form, and the token endpoint with that of RFC 6749, section 5.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tallybook.core import DestinationError, DestinationRefused, DestinationUnavailable, SignInError
from tallybook.sheets import places

_BUSY = {"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"}
_SETUP = "`tallybook sheets setup` connects again"


@dataclass(frozen=True)
class Answer:
    """What came back: the status, the body where it is JSON, the headers in lower case."""

    status: int
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def error(self) -> Mapping[str, Any]:
        found = self.body.get("error")
        return found if isinstance(found, Mapping) else {}

    @property
    def message(self) -> str:
        return str(self.error.get("message") or f"HTTP {self.status}")

    @property
    def details(self) -> list[Mapping[str, Any]]:
        return [d for d in self.error.get("details", ()) if isinstance(d, Mapping)]

    @property
    def reasons(self) -> set[str]:
        """The words for programs, of both forms."""
        old = [e.get("reason") for e in self.error.get("errors", ()) if isinstance(e, Mapping)]
        return {str(reason) for reason in [*old, *(d.get("reason") for d in self.details)] if reason}

    @property
    def is_busy(self) -> bool:
        """A quota is used up; nothing was done."""
        return self.status == 429 or (self.status == 403 and bool(self.reasons & _BUSY))

    @property
    def retry_after(self) -> float | None:
        """Seconds, where the server says so in seconds (RFC 9110, section 10.2.3)."""
        said = self.headers.get("retry-after", "")
        return float(said) if said.isdigit() else None

    @property
    def quota(self) -> str:
        """The quota that was used up, as Google names it."""
        found: Mapping[str, Any] = next(
            (d["metadata"] for d in self.details if isinstance(d.get("metadata"), Mapping)), {}
        )
        value, limit = found.get("quota_limit_value"), found.get("quota_limit")
        return f"{limit} = {value}" if limit and value else self.message

    @property
    def activation(self) -> str:
        """Where a service is enabled that is not."""
        links = [d.get("metadata", {}).get("activationUrl") for d in self.details]
        links += [link.get("url") for d in self.details for link in d.get("links", ())]
        return next((str(link) for link in links if link), places.ENABLE)


def refusal(answer: Answer, *, document: str = "", account: str = "") -> DestinationError:
    """An answer that is no success as an error; `account` is the e-mail of a service account."""
    if answer.is_busy:
        return DestinationUnavailable(
            f"Google's quota is used up: {answer.quota}",
            hint="other programs of the same user spend it too; it is full again within a minute",
            retry_after=answer.retry_after,
        )
    if answer.status >= 500:
        return DestinationUnavailable(
            f"Google answers {answer.status}: {answer.message}",
            hint="try again; if it stays so: https://www.google.com/appsstatus",
            retry_after=answer.retry_after,
        )
    match answer.status:
        case 401:
            return SignInError(f"Google does not accept the token: {answer.message}", hint=_SETUP)
        case 403:
            return _forbidden(answer, document, account)
        case 404:
            return _not_found(document, account)
        case 400:
            return DestinationRefused(f"Google refused it: {answer.message}", hint=_hint_of_400(answer.message))
    return DestinationRefused(f"Google answers {answer.status}: {answer.message}")


def _forbidden(answer: Answer, document: str, account: str) -> DestinationError:
    if answer.reasons & {"SERVICE_DISABLED", "accessNotConfigured"}:
        return DestinationRefused(
            "the Google Sheets API is not enabled in the project of your client",
            hint=f"enable it, wait a minute, and try again: {answer.activation}",
        )
    if answer.reasons & {"ACCESS_TOKEN_SCOPE_INSUFFICIENT", "insufficientPermissions"}:
        return SignInError(
            "what was consented to does not reach so far",
            hint="`tallybook sheets setup` again, and tick the box for Google Sheets on Google's page",
        )
    if "storageQuotaExceeded" in answer.reasons or (account and not document):
        return cannot_own(account) if account else DestinationRefused(f"Google Drive is full: {answer.message}")
    hint = f"share it with {account}, as Editor" if account else "share it with the account that consented, as Editor"
    return DestinationRefused(
        f"there is no right to do this in document {document or '?'}: {answer.message}",
        hint=f"{hint}; a protected sheet or range needs its owner's leave",
    )


def cannot_own(account: str) -> DestinationError:
    """The trap of service accounts: they may write what is shared with them, and create nothing."""
    return DestinationRefused(
        f"a service account cannot own a file: it has no space in Google Drive ({account})",
        hint=f"create the document yourself, share it with {account} as Editor, and give its id: --document ID",
    )


def _not_found(document: str, account: str) -> DestinationError:
    if account:
        return DestinationRefused(
            f"there is no document {document}, or it is not shared with {account}",
            hint=f"open it, press Share, and add {account} as Editor",
        )
    return DestinationRefused(
        f"there is no document {document} that this account and consent can see",
        hint="is the id right? With the consent for files made here (drive.file) documents made elsewhere stay unseen:\n"
        f"`tallybook sheets setup --document {document}` asks for one that sees them",
    )


def _hint_of_400(message: str) -> str:
    said = message.lower()
    if "protected" in said:
        return "Data ▸ Protect sheets and ranges in the document: add the writer there, or lift it"
    if "10000000 cells" in said or "cells in the workbook" in said or "limit of" in said:
        return "a document holds 10 million cells: `tallybook sheets doctor --document ID` counts them"
    if "not supported for this document" in said:
        return "it is an Excel file in Google Drive: File ▸ Save as Google Sheets, and take the id of that"
    return ""


_TEMPORARY = {"temporarily_unavailable", "server_error", "internal_failure", "slow_down", "rate_limit_exceeded"}
"""Errors of the token server that say nothing about the keys."""


def token_answer_refusal(answer: Answer) -> DestinationUnavailable | None:
    """The error for an answer of the token server that decides nothing about the keys, or None.

    Only the two answers of RFC 6749 decide: a token (section 5.1), or an `error` in one word (section 5.2). A page of a
    proxy, half an answer, or an error of another service may be gone a minute later."""
    error = answer.body.get("error")
    if answer.status == 200 and _is_token(answer.body):
        return None
    if 400 <= answer.status < 500 and answer.status not in (408, 429) and isinstance(error, str):
        if error not in _TEMPORARY:
            return None
        said = f"answers {error}"
    elif answer.body and answer.status != 200:
        said = f"answers {answer.status}: {error if isinstance(error, str) else answer.message}"
    elif answer.status in (408, 429) or answer.status >= 500:
        said = f"answers {answer.status}"
    else:
        said = f"sent an answer that is not Google's (HTTP {answer.status}, no token in it)"
    return DestinationUnavailable(
        f"Google's token server {said}",
        hint="try again; if it stays so, a proxy or a sign-in page of the network answers instead of Google",
    )


def _is_token(body: Mapping[str, Any]) -> bool:
    lasts = str(body.get("expires_in", "0"))
    return isinstance(body.get("access_token"), str) and lasts.isascii() and lasts.isdigit()


def token_refusal(error: str, description: str, *, account: str = "", aged: str = "") -> SignInError:
    """What the token endpoint refuses. `aged` says what is known about the token's age."""
    said = f"{error}: {description}" if description else error
    if error in ("invalid_client", "unauthorized_client", "deleted_client"):
        return SignInError(
            f"Google does not know this client ({said})",
            hint=f"compare the client id and the client secret with {places.CLIENTS}; the client must be a Desktop app",
        )
    if account:
        return SignInError(
            f"Google does not accept the key of {account} ({said})",
            hint=f"was the key deleted, or is this machine's clock wrong? Keys: {places.SERVICE_ACCOUNTS}",
        )
    if error == "invalid_grant":
        return SignInError(
            f"the refresh token is revoked or expired ({said})" + (f"; {aged}" if aged else ""),
            hint=f"{_SETUP}. If it comes back every week: the app is in testing, where Google ends refresh tokens after\n"
            f"7 days; press Publish app at {places.AUDIENCE}, then connect again",
        )
    if error == "invalid_scope":
        return SignInError(f"Google does not grant what was asked for ({said})", hint=_SETUP)
    return SignInError(f"Google refused a token ({said})", hint=_SETUP)
