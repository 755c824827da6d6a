"""Requests to Google Sheets: authorized, paced, and retried only where that is safe.

    api = Api(keys, ServiceUrls())
    api.read(document_id, fields="sheets.properties")
    api.batch_update(document_id, requests, Stamp(id=…, key="tallybook.…", value=…))

Reads are retried. A write is one `spreadsheets.batchUpdate`, which Google applies as a whole or not at all. It carries
a stamp: an entry of developer metadata with an id that we choose. When the response is lost, the stamp is looked up,
and the batch is sent again only if it is missing. A delayed first batch is then refused, because metadata ids are
unique in a document. `values.append` cannot carry a stamp, so it is not used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tallybook.core import DestinationError, DestinationUnavailable, OutcomeUnknown, Overtaken
from tallybook.sheets.marks import Json, Stamp
from tallybook.sheets.pace import Bucket, Patience
from tallybook.sheets.refusals import Answer, refusal

if TYPE_CHECKING:
    import requests

    from tallybook.sheets.credentials import Keys
    from tallybook.sheets.service_urls import ServiceUrls

TIMEOUT_SECONDS = (10.0, 185.0)
"""For the connection and for the response. Google itself aborts requests after 180 s."""


@dataclass
class Traffic:
    """Counts of requests so far."""

    reads: int = 0
    writes: int = 0
    refused: list[str] = field(default_factory=list)
    """The exhausted quotas, by Google's names."""


class _Lost(Exception):
    """No response to a request. `sent` is False if it certainly was not sent."""

    def __init__(self, why: str, *, sent: bool, failure: DestinationUnavailable | None = None) -> None:
        super().__init__(why)
        self.sent = sent
        self.failure = failure or DestinationUnavailable(
            f"Google cannot be reached: {why}", hint="check the network, then try again"
        )


class Api:
    """Google Sheets for one user. Each instance has its own pace, so share one instance per user."""

    def __init__(
        self,
        keys: Keys,
        places: ServiceUrls,
        *,
        patience: Patience | None = None,
        reads: Bucket | None = None,
        writes: Bucket | None = None,
    ) -> None:
        self.keys, self.places = keys, places
        self.patience = patience or Patience()
        self.reads, self.writes = reads or Bucket(), writes or Bucket()
        self.traffic = Traffic()
        self._signer = keys.signer(places)

    def renew(self) -> None:
        """Get a new access token. Raises SignInError, or DestinationUnavailable for a temporary failure."""
        self._signer.renew()

    @property
    def granted(self) -> tuple[str, ...]:
        """The known scopes of the token."""
        return self._signer.granted

    # -- reads -----------------------------------------------------------------------------------------------

    def read(self, document: str, *, fields: str, ranges: Sequence[Json] = ()) -> dict[str, Any]:
        """The `fields` of a document (a Spreadsheet of the API reference); with `ranges` (DataFilters), only those.

        Raises DestinationRefused, SignInError, or DestinationUnavailable when the retries are used up."""
        if ranges:
            return self._ask("POST", f"{document}:getByDataFilter", document, fields, {"dataFilters": list(ranges)})
        return self._ask("GET", document, document, fields)

    def stamped(self, document: str, stamp: int) -> str | None:
        """The value of the stamp with the id `stamp`; None if it is missing."""
        body = {"dataFilters": [{"developerMetadataLookup": {"metadataId": stamp}}]}
        found = self._ask("POST", f"{document}/developerMetadata:search", document, "", body)
        entries = [match["developerMetadata"] for match in found.get("matchedDeveloperMetadata", ())]
        return next((str(e.get("metadataValue", "")) for e in entries if e.get("metadataId") == stamp), None)

    def _ask(self, verb: str, path: str, document: str, fields: str, body: Json | None = None) -> dict[str, Any]:
        waiting = self.patience.start()
        while True:
            self.reads.take()
            self.traffic.reads += 1
            try:
                answer = self._send(verb, path, fields, body)
            except _Lost as lost:
                failure: Exception = lost.failure
                retry_after = None
            else:
                if answer.status == 200:
                    return dict(answer.body)
                failure = refusal(answer, document=document, account=self.keys.account)
                if not isinstance(failure, DestinationUnavailable):
                    raise failure
                self._note(answer, self.reads)
                retry_after = failure.retry_after
            if not waiting.again(retry_after):
                raise failure

    # -- writes ----------------------------------------------------------------------------------------------

    def batch_update(self, document: str, requests: Sequence[Json], stamp: Stamp) -> list[dict[str, Any]] | None:
        """Apply `requests` and the stamp, all or none of them, exactly once.

        Returns Google's replies; None if the response was lost and the batch turned out to be applied.

        Raises Overtaken if another batch with the id of the stamp was first: read again, and make another batch.
        DestinationRefused and SignInError: nothing was written. DestinationUnavailable: no write was observed.
        OutcomeUnknown: the outcome is unknown. After the last two, send the same stamp again, never another."""
        body = {"requests": [*requests, stamp.request()]}
        waiting = self.patience.start()
        while True:
            failure: DestinationUnavailable
            try:
                answer = self._write(f"{document}:batchUpdate", body)
            except _Lost as lost:
                failure, known = lost.failure, not lost.sent
            else:
                if answer.status == 200:
                    return list(answer.body.get("replies", ()))
                refused = refusal(answer, document=document, account=self.keys.account)
                if answer.status in (400, 409) and self._is_applied(document, stamp):
                    return None
                if not isinstance(refused, DestinationUnavailable):
                    raise refused
                self._note(answer, self.writes)
                failure, known = refused, answer.is_busy
            if not known and self._is_applied(document, stamp):
                return None
            if not waiting.again(failure.retry_after):
                raise failure

    def create(self, title: str, *, like: Json | None = None) -> dict[str, Any]:
        """A new document: its `spreadsheetId`, `spreadsheetUrl` and `sheets`. Sent once, because it cannot be stamped.
        `like`: properties with the locale and time zone to use.

        Raises OutcomeUnknown if the response is lost; otherwise as `read`."""
        same = {name: like[name] for name in ("locale", "timeZone") if like and name in like}
        try:
            answer = self._write("", {"properties": {"title": title} | same})
        except _Lost as lost:
            if not lost.sent:
                raise lost.failure from None
            raise _maybe_created(title) from None
        if answer.status >= 500:
            raise _maybe_created(title)
        if answer.status != 200:
            raise refusal(answer, account=self.keys.account)
        return dict(answer.body)

    def _write(self, path: str, body: Json) -> Answer:
        self.writes.take()
        self.traffic.writes += 1
        return self._send("POST", path, "", body)

    def _is_applied(self, document: str, stamp: Stamp) -> bool:
        """Whether the stamp is in the document. Raises Overtaken if another batch has its id."""
        try:
            found = self.stamped(document, stamp.id)
        except DestinationError as error:
            raise OutcomeUnknown(
                f"cannot tell whether a batch for document {document} was written: no response, and the look-up failed:"
                f" {error.message}",
                hint="trying again is safe: it looks the batch up first",
                retry_after=getattr(error, "retry_after", None),
            ) from None
        if found is not None and found != stamp.value:
            raise Overtaken(f"another writer was first in document {document}", hint="read it again, then write")
        return found is not None

    def _note(self, answer: Answer, bucket: Bucket) -> None:
        if answer.is_busy:
            self.traffic.refused.append(answer.quota)
            bucket.empty()

    # -- one request -----------------------------------------------------------------------------------------

    def _send(self, verb: str, path: str, fields: str, body: Json | None) -> Answer:
        """One request. If the token is rejected, nothing was done: get a new token and try once more."""
        try:
            answer = self._send_signed(verb, path, fields, body)
            if answer.status == 401:
                self._signer.renew()
                answer = self._send_signed(verb, path, fields, body)
        except DestinationUnavailable as no_token:
            raise _Lost(no_token.message, sent=False, failure=no_token) from None
        return answer

    def _send_signed(self, verb: str, path: str, fields: str, body: Json | None) -> Answer:
        import requests

        url = f"{self.places.spreadsheets}/{path}" if path else self.places.spreadsheets
        parameters = {"fields": fields} if fields else {}
        try:
            # Sheets sends no redirects. Following one would send the token to another server.
            response = self._signer.http.request(
                verb,
                url,
                params=parameters,
                json=body,
                auth=self._signer,
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
            )
            return _answer(response)
        except requests.RequestException as error:
            raise _Lost(_why(error), sent=not _never_left(error)) from None


def _answer(response: requests.Response) -> Answer:
    """The response. Raises _Lost for a success without JSON: a proxy's page, or a truncated response."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    try:
        body = response.json()
    except ValueError:
        body = None
    if isinstance(body, dict):
        return Answer(response.status_code, body, headers)
    if response.status_code == 200:
        raise _Lost("the response is not from Google", sent=True)
    return Answer(response.status_code, {}, headers)


def _never_left(error: requests.RequestException) -> bool:
    """Whether no connection was made, so that nothing was done."""
    import requests
    from urllib3.exceptions import MaxRetryError, NewConnectionError

    if isinstance(error, requests.ConnectTimeout):
        return True
    inner = error.args[0] if error.args else None
    return isinstance(inner, MaxRetryError) and isinstance(inner.reason, NewConnectionError)


def _why(error: requests.RequestException) -> str:
    """A short reason, without memory addresses."""
    inner: object = error.args[0] if error.args else error
    reason = getattr(inner, "reason", None) or inner
    text = str(reason).partition("object at 0x")
    return (text[2].partition(": ")[2] if text[1] else text[0]) or type(error).__name__


def _maybe_created(title: str) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"cannot tell whether the document {title!r} was created: no response from Google",
        hint="check https://drive.google.com before you try again",
    )
