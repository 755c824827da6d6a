"""Translates refusals of Google's services into errors with the next step.

Sheets responds with google.rpc.Status (https://cloud.google.com/apis/design/errors), some of Drive's refusals have
an older form, and the token endpoint uses that of RFC 6749, section 5.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tallybook.core import DestinationError, DestinationRefused, DestinationUnavailable, SignInError
from tallybook.sheets import service_urls

_BUSY = {"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"}
_SETUP = "`tallybook sheets setup` connects again"


@dataclass(frozen=True)
class Answer:
    """A response: its status, its body if it is JSON, and its headers in lower case."""

    status: int
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def error(self) -> Mapping[str, Any]:
        """The error in the body; empty without an error."""
        error = self.body.get("error")
        return error if isinstance(error, Mapping) else {}

    @property
    def message(self) -> str:
        """The message for people."""
        return str(self.error.get("message") or f"HTTP {self.status}")

    @property
    def details(self) -> list[Mapping[str, Any]]:
        """The details of the error."""
        return [d for d in self.error.get("details", ()) if isinstance(d, Mapping)]

    @property
    def reasons(self) -> set[str]:
        """The reasons for programs, in both error forms."""
        old = [e.get("reason") for e in self.error.get("errors", ()) if isinstance(e, Mapping)]
        return {str(reason) for reason in [*old, *(d.get("reason") for d in self.details)] if reason}

    @property
    def is_busy(self) -> bool:
        """Whether a quota is exhausted. In that case nothing was done."""
        return self.status == 429 or (self.status == 403 and bool(self.reasons & _BUSY))

    @property
    def retry_after(self) -> float | None:
        """The value of Retry-After if it is given in seconds (RFC 9110, section 10.2.3)."""
        seconds = self.headers.get("retry-after", "")
        return float(seconds) if seconds.isdigit() else None

    @property
    def quota(self) -> str:
        """The exhausted quota, by Google's name."""
        metadata: Mapping[str, Any] = next(
            (d["metadata"] for d in self.details if isinstance(d.get("metadata"), Mapping)), {}
        )
        value, limit = metadata.get("quota_limit_value"), metadata.get("quota_limit")
        return f"{limit} = {value}" if limit and value else self.message

    @property
    def activation(self) -> str:
        """The URL at which a disabled service is enabled."""
        links = [d.get("metadata", {}).get("activationUrl") for d in self.details]
        links += [link.get("url") for d in self.details for link in d.get("links", ())]
        return next((str(link) for link in links if link), service_urls.ENABLE)


def refusal(answer: Answer, *, document: str = "", account: str = "") -> DestinationError:
    """The error for an unsuccessful response. `account`: the e-mail of a service account."""
    if answer.is_busy:
        return DestinationUnavailable(
            f"Google's quota is used up: {answer.quota}",
            hint="other programs of the same user share it; try again in a minute",
            retry_after=answer.retry_after,
        )
    if answer.status >= 500:
        return DestinationUnavailable(
            f"Google responds with {answer.status}: {answer.message}",
            hint="try again; if it persists, see https://www.google.com/appsstatus",
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
            return DestinationRefused(
                f"Google refused the request: {answer.message}", hint=_hint_of_400(answer.message)
            )
    return DestinationRefused(f"Google responds with {answer.status}: {answer.message}")


def _forbidden(answer: Answer, document: str, account: str) -> DestinationError:
    if answer.reasons & {"SERVICE_DISABLED", "accessNotConfigured"}:
        return DestinationRefused(
            "the Google Sheets API is not enabled in the project of your client",
            hint=f"enable it, wait a minute, and try again: {answer.activation}",
        )
    if answer.reasons & {"ACCESS_TOKEN_SCOPE_INSUFFICIENT", "insufficientPermissions"}:
        return SignInError(
            "the consent does not cover this",
            hint="`tallybook sheets setup` again, and tick the box for Google Sheets on Google's page",
        )
    if "storageQuotaExceeded" in answer.reasons or (account and not document):
        return no_drive_space(account) if account else DestinationRefused(f"Google Drive is full: {answer.message}")
    hint = f"share it with {account}, as Editor" if account else "share it with the account that consented, as Editor"
    return DestinationRefused(
        f"no permission for document {document or '?'}: {answer.message}",
        hint=f"{hint}; a protected sheet or range needs the permission of its owner",
    )


def no_drive_space(account: str) -> DestinationError:
    """The error for a service account that is asked to create a document: it can only write to documents shared with
    it."""
    return DestinationRefused(
        f"a service account cannot create a document, because it has no space in Google Drive ({account})",
        hint=f"create the document yourself, share it with {account} as Editor, and give its id: --document ID",
    )


def _not_found(document: str, account: str) -> DestinationError:
    if account:
        return DestinationRefused(
            f"document {document} does not exist, or is not shared with {account}",
            hint=f"open it, press Share, and add {account} as Editor",
        )
    return DestinationRefused(
        f"document {document} does not exist, or this account and consent cannot see it",
        hint="check the id. The consent drive.file covers only documents that Tallybook created:\n"
        f"`tallybook sheets setup --document {document}` asks for one that covers this document",
    )


def _hint_of_400(message: str) -> str:
    text = message.lower()
    if "protected" in text:
        return "Data ▸ Protect sheets and ranges in the document: add the writer there, or remove the protection"
    if "10000000 cells" in text or "cells in the workbook" in text or "limit of" in text:
        return "a document can have 10 million cells: `tallybook sheets doctor --document ID` counts them"
    if "not supported for this document" in text:
        return "it is an Excel file in Google Drive: use File ▸ Save as Google Sheets, and the id of the result"
    return ""


_TEMPORARY = {"temporarily_unavailable", "server_error", "internal_failure", "slow_down", "rate_limit_exceeded"}
"""Temporary errors of the token server, which are not about the keys."""


def token_answer_refusal(answer: Answer) -> DestinationUnavailable | None:
    """The error for a response of the token server that does not concern the keys; None for one that does.

    Only the two responses of RFC 6749 concern the keys: a token (section 5.1) and an `error` of one word (section
    5.2). A proxy's page, a truncated response or an error of another service may be gone a minute later."""
    error = answer.body.get("error")
    if answer.status == 200 and _is_token(answer.body):
        return None
    if 400 <= answer.status < 500 and answer.status not in (408, 429) and isinstance(error, str):
        if error not in _TEMPORARY:
            return None
        problem = f"responds with {error}"
    elif answer.body and answer.status != 200:
        problem = f"responds with {answer.status}: {error if isinstance(error, str) else answer.message}"
    elif answer.status in (408, 429) or answer.status >= 500:
        problem = f"responds with {answer.status}"
    else:
        problem = f"sent a response that is not from Google (HTTP {answer.status}, no token)"
    return DestinationUnavailable(
        f"Google's token server {problem}",
        hint="try again; if it persists, a proxy or a sign-in page of the network responds instead of Google",
    )


def _is_token(body: Mapping[str, Any]) -> bool:
    lasts = str(body.get("expires_in", "0"))
    return isinstance(body.get("access_token"), str) and lasts.isascii() and lasts.isdigit()


def token_refusal(error: str, description: str, *, account: str = "", aged: str = "") -> SignInError:
    """The error for a refusal of the token endpoint. `aged`: a text about the age of the token."""
    reason = f"{error}: {description}" if description else error
    if error in ("invalid_client", "unauthorized_client", "deleted_client"):
        return SignInError(
            f"Google does not know this client ({reason})",
            hint=f"compare the client id and secret with {service_urls.CLIENTS}; the client must be a Desktop app",
        )
    if account:
        return SignInError(
            f"Google does not accept the key of {account} ({reason})",
            hint=f"check that the key exists, and the clock of this machine: {service_urls.SERVICE_ACCOUNTS}",
        )
    if error == "invalid_grant":
        return SignInError(
            f"the refresh token is revoked or expired ({reason})" + (f"; {aged}" if aged else ""),
            hint=f"{_SETUP}. If it recurs every week, the app is in testing, where refresh tokens expire after\n"
            f"7 days: press Publish app at {service_urls.AUDIENCE}, then connect again",
        )
    if error == "invalid_scope":
        return SignInError(f"Google does not grant the requested scopes ({reason})", hint=_SETUP)
    return SignInError(f"Google issued no token ({reason})", hint=_SETUP)
