"""`Emulator`: the one object that tests hold."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPConnection
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from tallybook_emulators.sheets.api import Api
from tallybook_emulators.sheets.assertions import ServiceAccount, key_pair
from tallybook_emulators.sheets.clock import Clock
from tallybook_emulators.sheets.contract import PACKAGE
from tallybook_emulators.sheets.control import handle
from tallybook_emulators.sheets.drive import FILE_SCOPE, ROOT, Store
from tallybook_emulators.sheets.faults import Fault, Faults, Seen
from tallybook_emulators.sheets.model import CELL_LIMIT, Json
from tallybook_emulators.sheets.oauth import Client, OAuth
from tallybook_emulators.sheets.people import Person
from tallybook_emulators.sheets.quotas import Limits, Quotas
from tallybook_emulators.sheets.server import Server
from tallybook_emulators.sheets.snapshot import Snapshot, taken

SPREADSHEETS = ROOT + "spreadsheets"
PROJECT = "123456789012"
GOOGLES_LIMITS = Limits()


@dataclass(frozen=True)
class Landing:
    """Where a browser ends after consent: the address it was sent to, and what it was shown there."""

    url: str
    status: int
    body: str


class Emulator:
    """A Google Sheets, Drive and OAuth server on localhost. All that it holds is in memory.

    `start` makes its clock stand still at that (aware) time until `clock.advance`; without it the clock runs with the
    machine's. `quotas=None` counts no requests. `port=0` takes a free one. `published` apps have refresh tokens that
    do not end after seven days. Google's documents do not say whether sorting takes the developer metadata of rows
    along, nor whether the copy of a tab has that of the original: `sort_moves_metadata` and `copies_take_metadata`
    choose, so that a test can ask whether a program stands both."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        start: datetime | None = None,
        quotas: Limits | None = GOOGLES_LIMITS,
        published: bool = False,
        cell_limit: int = CELL_LIMIT,
        sort_moves_metadata: bool = False,
        copies_take_metadata: bool = False,
        account: str = "ada@example.com",
    ) -> None:
        self.clock = Clock(start)
        self.account = account
        """The e-mail address of the person who consents in the browser, and owns what is created for them."""
        self.client = Client(
            f"{PROJECT}-{secrets.token_hex(8)}.apps.googleusercontent.com", "GOCSPX-" + secrets.token_hex(12), PROJECT
        )
        self._store = Store(
            self.clock.now,
            cell_limit=cell_limit,
            sort_moves_metadata=sort_moves_metadata,
            copies_take_metadata=copies_take_metadata,
        )
        self.oauth = OAuth(self.clock, lambda: self.url, published=published, clients={self.client.id: self.client})
        self.quotas = Quotas(self.clock, quotas)
        self.faults = Faults()
        self._api = Api(self.clock, self._store, self.oauth, self.quotas, self.faults)
        self._api.account = account
        self._api.control = lambda verb, path, body: handle(self, verb, path, body)
        self._server = Server(self._api, host, port)
        self._host = host

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def open(self) -> None:
        if not self.validated:
            logging.getLogger(__name__).warning("requests are not validated: pip install %s", PACKAGE)
        self._server.start()

    def close(self) -> None:
        self._server.stop()

    # --- where it is, and with what one gets in --------------------------------------------------------------

    @property
    def url(self) -> str:
        """The root of all APIs, without a slash at its end."""
        return f"http://{self._host}:{self._server.server_address[1]}"

    @property
    def auth_uri(self) -> str:
        return f"{self.url}/o/oauth2/v2/auth"

    @property
    def token_uri(self) -> str:
        return f"{self.url}/token"

    @property
    def client_id(self) -> str:
        return self.client.id

    @property
    def client_secret(self) -> str:
        return self.client.secret

    @property
    def client_secrets(self) -> Json:
        """The file that the console gives for a desktop app (client_secret.json)."""
        return {
            "installed": {
                "client_id": self.client.id,
                "client_secret": self.client.secret,
                "project_id": "emulated",
                "auth_uri": self.auth_uri,
                "token_uri": self.token_uri,
                "redirect_uris": ["http://localhost"],
            }
        }

    @property
    def validated(self) -> bool:
        """Whether bodies are held against Google's discovery documents (google-api-python-client is installed)."""
        return self._api.contracts["sheets"].checks

    def authorized_user(self, scopes: Iterable[str] = (SPREADSHEETS,), *, account: str = "") -> Json:
        """A person's consent as google-auth stores it: with a refresh token, without the walk through a browser.

        Mind that `Credentials.from_authorized_user_info` of google-auth ignores its `token_uri`; see `credentials`."""
        refresh = self.oauth.grant(self.client, account or self.account, scopes)
        return {
            "type": "authorized_user",
            "client_id": self.client.id,
            "client_secret": self.client.secret,
            "refresh_token": refresh.token,
            "token_uri": self.token_uri,
            "scopes": list(refresh.scopes),
        }

    def credentials(self, scopes: Iterable[str] = (SPREADSHEETS, ROOT + "drive"), *, account: str = "") -> Any:
        """google-auth's credentials of a person, for any of Google's clients. Needs google-auth (extra `google`)."""
        try:
            from google.oauth2.credentials import Credentials
        except ImportError:
            raise ImportError("credentials need google-auth: pip install 'google-auth[requests]' cryptography") from None

        info = self.authorized_user(scopes, account=account)
        return Credentials(None, **{name: value for name, value in info.items() if name != "type"})  # type: ignore[no-untyped-call]

    def token(self, scopes: Iterable[str] = (SPREADSHEETS, FILE_SCOPE, ROOT + "drive"), *, account: str = "") -> str:
        """An access token of a person, at once."""
        refresh = self.oauth.grant(self.client, account or self.account, scopes)
        return self.oauth.access_of(refresh).token

    def service_account(self, name: str = "robot") -> Json:
        """The key file of a service account. Needs cryptography (extra `google`)."""
        public, pem = key_pair()
        email = f"{name}@emulated.iam.gserviceaccount.com"
        known = self.oauth.services.setdefault(
            email, ServiceAccount(email, str(10**20 + len(self.oauth.services)), PROJECT, secrets.token_hex(20), public)
        )
        return {
            "type": "service_account",
            "project_id": "emulated",
            "private_key_id": known.key_id,
            "private_key": pem,
            "client_email": email,
            "client_id": known.client_id,
            "auth_uri": self.auth_uri,
            "token_uri": self.token_uri,
            "universe_domain": "googleapis.com",
        }

    def visit(
        self, url: str, *, approve: bool = True, scopes: Sequence[str] | None = None, follow: bool = True
    ) -> Landing:
        """Play the browser: open a consent page, answer it, and go where it sends (to a listener on loopback).

        `scopes` are those that the person leaves ticked. With `follow` false the browser stays where it is: the
        address is what a person pastes who has no listener. Raises ConnectionError where nobody listens."""
        query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
        shown = _fetched(url)
        if shown.status != 200:
            return shown
        form = query | {"decision": "approve" if approve else "refuse"}
        form |= {} if scopes is None else {"granted": " ".join(scopes)}
        sent = _fetched(self.auth_uri, form)
        return _fetched(sent.url) if follow and sent.status == 302 else sent

    # --- documents ------------------------------------------------------------------------------------------

    def create(
        self,
        title: str = "Metrics",
        *,
        tabs: Sequence[str] = ("Sheet1",),
        locale: str = "en_US",
        time_zone: str = "Etc/GMT",
        owner: str = "",
        share_with: Iterable[str] = (),
        rows: int = 1000,
        columns: int = 26,
    ) -> str:
        """A spreadsheet that a person made by hand; its id. `share_with` are e-mail addresses of writers."""
        grid = {"rowCount": rows, "columnCount": columns}
        given: Json = {
            "properties": {"title": title, "locale": locale, "timeZone": time_zone},
            "sheets": [{"properties": {"title": tab, "gridProperties": grid}} for tab in tabs],
        }
        with self._api.lock:
            file = self._store.create(owner or self.account, title, given=given)
        for whom in share_with:
            self.share(file.id, whom)
        return file.id

    def share(self, document_id: str, account: str, role: str = "writer") -> None:
        """Let somebody else read ("reader") or write ("writer") a file."""
        with self._api.lock:
            file = self._store.files[document_id]
            one = {"kind": "drive#permission", "id": account, "type": "user", "role": role, "emailAddress": account}
            file.permissions = [p for p in file.permissions if p.get("emailAddress") != account] + [one]
            self._api.drive.update_editors(file)

    def pick(self, document_id: str, app: str = "") -> None:
        """Give a file to an app, as a person does in Google's file picker: drive.file then reaches it."""
        self._store.files[document_id].apps.add(app or self.client.id)

    @property
    def document_ids(self) -> list[str]:
        """Every spreadsheet, in the order in which they were made."""
        return [number for number, file in self._store.files.items() if file.document is not None]

    def document(self, document_id: str) -> Snapshot:
        """What the spreadsheet holds now: values, formats, metadata, everything attached. It does not change."""
        with self._api.lock:
            document = self._store.files[document_id].document
            assert document, "no spreadsheet"
            return taken(document, self.clock.now())

    def person(self, document_id: str, account: str = "") -> Person:
        """Somebody at work in the spreadsheet with mouse and keyboard; its owner unless said."""
        file = self._store.files[document_id]
        return Person(self._api, file, account or file.owner)

    # --- what came, and what is to go wrong ------------------------------------------------------------------

    @property
    def requests(self) -> list[Seen]:
        """Every request so far, in the order of the answers."""
        return list(self._api.log)

    def calls(self) -> Mapping[str, int]:
        """How many requests each method had, by its id in the discovery documents."""
        counts: dict[str, int] = {}
        for seen in self.requests:
            counts[seen.method] = counts.get(seen.method, 0) + bool(seen.method)
        return {name: count for name, count in counts.items() if name}

    def forget_requests(self) -> None:
        with self._api.lock:
            self._api.log.clear()

    @property
    def mistakes(self) -> list[Exception]:
        """Errors of the emulator itself: an empty list, unless it is wrong."""
        return list(self._server.mistakes)

    def fault(self, answer: int | None = None, **rule: Any) -> Fault:
        """Add a rule; its fields are those of `Fault`. `google.fault(503, after=True, path=":batchUpdate")`."""
        return self.faults.add(Fault(answer, **rule))


def _fetched(url: str, form: Mapping[str, str] | None = None) -> Landing:
    """One request as a browser makes it; a redirect is reported, not followed."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port or 80, timeout=30)
    try:
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        if form is None:
            connection.request("GET", path)
        else:
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST", path, urlencode(form), kind)
        answer = connection.getresponse()
        body = answer.read().decode("utf-8", "replace")
        return Landing(answer.headers.get("Location", url), answer.status, body)
    finally:
        connection.close()
