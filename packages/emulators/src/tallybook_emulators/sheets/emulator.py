"""`Emulator`: the object that tests use."""

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
from tallybook_emulators.sheets.snapshot import Snapshot, snapshot_of

SPREADSHEETS = ROOT + "spreadsheets"
PROJECT = "123456789012"
GOOGLES_LIMITS = Limits()


@dataclass(frozen=True)
class Landing:
    """The page on which the browser ends after consent: address, status and body."""

    url: str
    status: int
    body: str


class Emulator:
    """A Google Sheets, Drive and OAuth server on localhost. It keeps everything in memory.

    `start` (a datetime with a time zone) stops its clock at that time until `clock.advance`. Without it the clock
    follows the machine's. `quotas=None` turns quotas off. `port=0` takes a free port. If `published`, refresh tokens
    do not expire after seven days. Google's documents do not say whether sorting moves the developer metadata of rows,
    nor whether the copy of a tab gets the metadata of the original: `sort_moves_metadata` and `copies_take_metadata`
    choose, so that a test can check both."""

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
        """The e-mail address of the person who consents in the browser and owns the created files."""
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

    # --- addresses and credentials ---------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The root of all APIs, without a trailing slash."""
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
        """The content of client_secret.json, which the Cloud console offers for a desktop app."""
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
        """Whether bodies are validated: google-api-python-client, with Google's discovery documents, is installed."""
        return self._api.contracts["sheets"].checks

    def authorized_user(self, scopes: Iterable[str] = (SPREADSHEETS,), *, account: str = "") -> Json:
        """A person's credentials as google-auth stores them, with a refresh token. No browser is involved.

        Note that `Credentials.from_authorized_user_info` of google-auth ignores its `token_uri`; see `credentials`."""
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
        """A google-auth `Credentials` of a person, for any of Google's clients. Needs google-auth (extra `google`)."""
        try:
            from google.oauth2.credentials import Credentials
        except ImportError:
            raise ImportError(
                "credentials need google-auth: pip install 'google-auth[requests]' cryptography"
            ) from None

        info = self.authorized_user(scopes, account=account)
        del info["type"]
        return Credentials(None, **info)  # type: ignore[no-untyped-call]

    def token(self, scopes: Iterable[str] = (SPREADSHEETS, FILE_SCOPE, ROOT + "drive"), *, account: str = "") -> str:
        """A new access token of a person."""
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
        """Act as the browser: open a consent page, submit it, and follow the redirect to the loopback address.

        `scopes` are those that the person leaves checked. If `follow` is False, the redirect is returned and not
        followed: its address is what a person without a listener pastes. Raises ConnectionError if nothing listens."""
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
        """Create a spreadsheet as a person, and return its id. `share_with` are e-mail addresses of writers."""
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
        """Give another account the role "reader" or "writer" on a file."""
        with self._api.lock:
            file = self._store.files[document_id]
            one = {"kind": "drive#permission", "id": account, "type": "user", "role": role, "emailAddress": account}
            file.permissions = [p for p in file.permissions if p.get("emailAddress") != account] + [one]
            self._api.drive.update_editors(file)

    def pick(self, document_id: str, app: str = "") -> None:
        """Give a file to an app, as Google's file picker does: the scope drive.file then covers it."""
        self._store.files[document_id].apps.add(app or self.client.id)

    @property
    def document_ids(self) -> list[str]:
        """The ids of all spreadsheets, in the order of creation."""
        return [number for number, file in self._store.files.items() if file.document is not None]

    def document(self, document_id: str) -> Snapshot:
        """The current content of a spreadsheet: values, formats, metadata, attached objects. It never changes."""
        with self._api.lock:
            document = self._store.files[document_id].document
            assert document, f"{document_id} is not a spreadsheet"
            return snapshot_of(document, self.clock.now())

    def person(self, document_id: str, account: str = "") -> Person:
        """A person who edits the spreadsheet in the browser. The default is its owner."""
        file = self._store.files[document_id]
        return Person(self._api, file, account or file.owner)

    # --- requests and faults ---------------------------------------------------------------------------------

    @property
    def requests(self) -> list[Seen]:
        """Every request so far, in the order of the answers."""
        return list(self._api.log)

    def calls(self) -> Mapping[str, int]:
        """The number of requests by method id, as in the discovery documents."""
        counts: dict[str, int] = {}
        for seen in self.requests:
            counts[seen.method] = counts.get(seen.method, 0) + bool(seen.method)
        return {name: count for name, count in counts.items() if name}

    def forget_requests(self) -> None:
        with self._api.lock:
            self._api.log.clear()

    @property
    def mistakes(self) -> list[Exception]:
        """Exceptions inside the emulator. If there are any, the emulator has a bug."""
        return list(self._server.mistakes)

    def fault(self, answer: int | None = None, **rule: Any) -> Fault:
        """Add a rule; its fields are those of `Fault`. `google.fault(503, after=True, path=":batchUpdate")`."""
        return self.faults.add(Fault(answer, **rule))


def _fetched(url: str, form: Mapping[str, str] | None = None) -> Landing:
    """Send one request as a browser does. A redirect is returned, not followed."""
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
