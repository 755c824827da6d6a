"""Answers a request in steps: route, faults, caller, scopes, quotas, validation, and then the method."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tallybook_emulators.sheets import answers, masks
from tallybook_emulators.sheets.clock import Clock
from tallybook_emulators.sheets.contract import Contract, without_nulls
from tallybook_emulators.sheets.drive import FILE_SCOPE, ROOT, Drive, Store
from tallybook_emulators.sheets.errors import GoogleError, OAuthError, bad_field
from tallybook_emulators.sheets.faults import Fault, Faults, Seen
from tallybook_emulators.sheets.oauth import AccessToken, OAuth
from tallybook_emulators.sheets.quotas import READ, WRITE, Quotas
from tallybook_emulators.sheets.service import METHODS, Call, Sheets

Json = dict[str, Any]
JSON_TYPE = "application/json; charset=UTF-8"
WRITERS = frozenset({ROOT + "drive", FILE_SCOPE, ROOT + "spreadsheets"})
READERS = WRITERS | {ROOT + "drive.readonly", ROOT + "spreadsheets.readonly"}
DRIVE_WRITERS = frozenset({ROOT + "drive", FILE_SCOPE})
DRIVE_READERS = DRIVE_WRITERS | {ROOT + "drive.readonly", ROOT + "drive.metadata.readonly"}


@dataclass(frozen=True)
class Route:
    """A method of an API: HTTP verb, path, id in the discovery document, and the quota it counts against (`kind`)."""

    verb: str
    path: re.Pattern[str]
    method: str
    kind: str


def _route(verb: str, path: str, method: str, kind: str = WRITE) -> Route:
    pattern = path.replace("{id}", r"(?P<spreadsheetId>[^/:]+)").replace("{range}", r"(?P<range>[^/]+)")
    return Route(verb, re.compile(pattern + r"\Z"), method, kind)


SHEETS = "sheets.spreadsheets"
ROOT_PATH = "/v4/spreadsheets"
ROUTES = (
    _route("POST", ROOT_PATH, f"{SHEETS}.create"),
    _route("GET", ROOT_PATH + "/{id}", f"{SHEETS}.get", READ),
    _route("POST", ROOT_PATH + "/{id}:batchUpdate", f"{SHEETS}.batchUpdate"),
    _route("POST", ROOT_PATH + "/{id}:getByDataFilter", f"{SHEETS}.getByDataFilter", READ),
    _route("POST", ROOT_PATH + r"/{id}/sheets/(?P<sheetId>\d+):copyTo", f"{SHEETS}.sheets.copyTo"),
    _route("GET", ROOT_PATH + r"/{id}/developerMetadata/(?P<metadataId>\d+)", f"{SHEETS}.developerMetadata.get", READ),
    _route("POST", ROOT_PATH + "/{id}/developerMetadata:search", f"{SHEETS}.developerMetadata.search", READ),
    _route("GET", ROOT_PATH + "/{id}/values:batchGet", f"{SHEETS}.values.batchGet", READ),
    _route("POST", ROOT_PATH + "/{id}/values:batchGetByDataFilter", f"{SHEETS}.values.batchGetByDataFilter", READ),
    _route("POST", ROOT_PATH + "/{id}/values:batchUpdate", f"{SHEETS}.values.batchUpdate"),
    _route("POST", ROOT_PATH + "/{id}/values:batchUpdateByDataFilter", f"{SHEETS}.values.batchUpdateByDataFilter"),
    _route("POST", ROOT_PATH + "/{id}/values:batchClear", f"{SHEETS}.values.batchClear"),
    _route("POST", ROOT_PATH + "/{id}/values:batchClearByDataFilter", f"{SHEETS}.values.batchClearByDataFilter"),
    _route("POST", ROOT_PATH + "/{id}/values/{range}:append", f"{SHEETS}.values.append"),
    _route("POST", ROOT_PATH + "/{id}/values/{range}:clear", f"{SHEETS}.values.clear"),
    _route("GET", ROOT_PATH + "/{id}/values/{range}", f"{SHEETS}.values.get", READ),
    _route("PUT", ROOT_PATH + "/{id}/values/{range}", f"{SHEETS}.values.update"),
    _route("POST", "/drive/v3/files", "drive.files.create"),
    _route("GET", "/drive/v3/files", "drive.files.list", READ),
    _route("GET", "/drive/v3/files/(?P<fileId>[^/]+)", "drive.files.get", READ),
    _route("PATCH", "/drive/v3/files/(?P<fileId>[^/]+)", "drive.files.update"),
    _route("DELETE", "/drive/v3/files/(?P<fileId>[^/]+)", "drive.files.delete"),
    _route("POST", "/drive/v3/files/(?P<fileId>[^/]+)/copy", "drive.files.copy"),
    _route("GET", "/drive/v3/files/(?P<fileId>[^/]+)/export", "drive.files.export", READ),
    _route("GET", "/drive/v3/files/(?P<fileId>[^/]+)/comments", "drive.comments.list", READ),
    _route("POST", "/drive/v3/files/(?P<fileId>[^/]+)/permissions", "drive.permissions.create"),
    _route("GET", "/drive/v3/files/(?P<fileId>[^/]+)/permissions", "drive.permissions.list", READ),
    _route(
        "DELETE", "/drive/v3/files/(?P<fileId>[^/]+)/permissions/(?P<permissionId>[^/]+)", "drive.permissions.delete"
    ),
)
DRIVE: dict[str, Callable[[Drive, Call], Any]] = {
    "drive.files.create": lambda drive, call: drive.create(call.caller, call.query, call.body),
    "drive.files.list": lambda drive, call: drive.list(call.caller, call.query),
    "drive.files.get": lambda drive, call: drive.get(call.caller, call.path["fileId"], call.query),
    "drive.files.update": lambda drive, call: drive.update(call.caller, call.path["fileId"], call.query, call.body),
    "drive.files.delete": lambda drive, call: drive.delete(call.caller, call.path["fileId"]),
    "drive.files.copy": lambda drive, call: drive.copy(call.caller, call.path["fileId"], call.query, call.body),
    "drive.files.export": lambda drive, call: drive.export(call.caller, call.path["fileId"], call.query),
    "drive.comments.list": lambda drive, call: drive.comments(call.caller, call.path["fileId"]),
    "drive.permissions.create": lambda drive, call: drive.share(
        call.caller, call.path["fileId"], call.query, call.body
    ),
    "drive.permissions.list": lambda drive, call: drive.permissions(call.caller, call.path["fileId"], call.query),
    "drive.permissions.delete": lambda drive, call: drive.unshare(
        call.caller, call.path["fileId"], call.path["permissionId"]
    ),
}


@dataclass
class Answer:
    """An HTTP answer. `cut` closes the connection instead of answering, `reset` closes it with a TCP reset."""

    status: int
    body: bytes = b""
    content_type: str = JSON_TYPE
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    reset: bool = False


def in_json(status: int, body: Any, headers: dict[str, str] | None = None) -> Answer:
    # Without spaces, a hundred thousand cells take a third of the time.
    return Answer(status, json.dumps(body, separators=(",", ":")).encode(), headers=dict(headers or {}))


class Api:
    """Answers HTTP requests, without the socket. Requests are applied one at a time."""

    def __init__(self, clock: Clock, store: Store, oauth: OAuth, quotas: Quotas, faults: Faults) -> None:
        self.clock, self.store, self.oauth, self.quotas, self.faults = clock, store, oauth, quotas, faults
        self.sheets, self.drive = Sheets(store), Drive(store)
        self.contracts = {name: Contract(name) for name in ("sheets", "drive")}
        self.lock = threading.RLock()
        self.log: list[Seen] = []
        self.control: Callable[[str, str, bytes], Json] | None = None
        """Answers the paths below /emulator, given verb, path and body."""
        self.account = ""
        """The person at the browser: their e-mail address."""

    def handle(self, verb: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """Answer one request."""
        if headers.get("x-http-method-override") == "GET":
            verb, target, body = "GET", f"{target}?{body.decode()}", b""
        if self.control is not None and target.startswith("/emulator"):
            return self._control_answer(verb, urlsplit(target).path, body)
        seen = Seen(verb, target, body, headers, self.clock.timestamp())
        route, path = self._route_of(verb, urlsplit(target).path)
        seen = replace(seen, method=route.method if route else "")
        fault = self.faults.due(seen)
        if fault is not None:
            answer = self._faulty_answer(fault, seen, route, path)
        else:
            answer = self._answer(seen, route, path)
        with self.lock:
            status = 0 if answer.cut or answer.reset else answer.status
            self.log.append(replace(seen, status=status, fault=fault is not None))
        return answer

    def _control_answer(self, verb: str, path: str, body: bytes) -> Answer:
        """Answer one of the emulator's own paths. Faults and quotas do not apply to them, and they are not recorded."""
        assert self.control is not None
        try:
            return in_json(200, self.control(verb, path, body))
        except GoogleError as error:
            return in_json(error.code, error.body())

    def _route_of(self, verb: str, path: str) -> tuple[Route | None, dict[str, str]]:
        for route in ROUTES:
            if route.verb == verb and (match := route.path.match(path)):
                return route, {name: unquote(value) for name, value in match.groupdict().items()}
        return None, {}

    def _faulty_answer(self, fault: Fault, seen: Seen, route: Route | None, path: dict[str, str]) -> Answer:
        """The answer to a request on which a fault acts."""
        applied = None
        if fault.after or not (fault.answer or fault.cut or fault.reset):
            applied = self._answer(seen, route, path)
        if fault.delay:
            time.sleep(fault.delay)
        if fault.cut or fault.reset:
            return Answer(0, cut=fault.cut, reset=fault.reset)
        if fault.answer or applied is None:
            error = fault.error()
            return in_json(error.code, error.body(), error.headers)
        return applied

    def _answer(self, seen: Seen, route: Route | None, path: dict[str, str]) -> Answer:
        with self.lock:
            try:
                if route is None:
                    return self._oauth_answer(seen)
                return self._method_answer(seen, route, path)
            except GoogleError as error:
                return in_json(error.code, error.body(), error.headers)
            except OAuthError as refused:
                return in_json(refused.code, refused.body())

    # --- methods of the APIs --------------------------------------------------------------------------------

    def _method_answer(self, seen: Seen, route: Route, path: dict[str, str]) -> Answer:
        is_sheets = route.method.startswith("sheets.")
        given = parse_qs(urlsplit(seen.path).query, keep_blank_values=True)
        token = (given.get("access_token") or given.get("oauth_token") or [""])[-1]
        caller = self.oauth.caller(seen.headers.get("authorization", ""), token)
        check_scopes(caller, route)
        if is_sheets:
            self.quotas.take(route.kind, caller.project, caller.account)
        contract = self.contracts["sheets" if is_sheets else "drive"]
        query = contract.query(route.method, given) if is_sheets else _lenient(given)
        body = _json_body(seen.body)
        call = Call(caller, path, query, contract.request(route.method, body) if is_sheets else without_nulls(body))
        if not is_sheets:
            return self._drive_answer(route, call)
        answer = answers.answer(route.method, METHODS[route.method](self.sheets, call))
        contract.answer(route.method, answer)
        if query.get("fields"):
            answer = masks.select_fields(answer, contract.mask(route.method, query["fields"]))
        return in_json(200, answer)

    def _drive_answer(self, route: Route, call: Call) -> Answer:
        answer = DRIVE[route.method](self.drive, call)
        if answer is None:
            return Answer(204)
        if isinstance(answer, tuple):
            return Answer(200, answer[1], content_type=answer[0])
        self.contracts["drive"].answer(route.method, answer)
        return in_json(200, answer)

    # --- the token server -----------------------------------------------------------------------------------

    def _oauth_answer(self, seen: Seen) -> Answer:
        """The answer to a request that is not a method of an API: the OAuth server."""
        path, text = urlsplit(seen.path).path, urlsplit(seen.path).query
        query = {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}
        form = {
            n: values[-1]
            for n, values in parse_qs(seen.body.decode("utf-8", "replace"), keep_blank_values=True).items()
        }
        match seen.verb, path:
            case "GET", "/o/oauth2/v2/auth" | "/o/oauth2/auth":
                return Answer(200, self.oauth.page(query).encode(), "text/html; charset=utf-8")
            case "POST", "/o/oauth2/v2/auth":
                return self._consent_answer(form)
            case "POST", "/token" | "/o/oauth2/token" | "/oauth2/v4/token":
                return in_json(200, self.oauth.token(_basic(seen.headers) | form))
            case "GET" | "POST", "/tokeninfo" | "/oauth2/v3/tokeninfo" | "/oauth2/v1/tokeninfo":
                return in_json(200, self.oauth.info((query | form).get("access_token", "")))
            case "GET" | "POST", "/revoke" | "/o/oauth2/revoke":
                self.oauth.revoke((query | form).get("token", ""))
                return in_json(200, {})
        raise GoogleError(404, f"{seen.verb} {path} is not emulated")

    def _consent_answer(self, form: dict[str, str]) -> Answer:
        approve = form.pop("decision", "") == "approve"
        granted = form.pop("granted", None)
        target = self.oauth.redirect_after_consent(
            form,
            approve=approve,
            account=form.get("login_hint") or self.account,
            scopes=None if granted is None else granted.split(),
        )
        return Answer(302, headers={"Location": target})


def check_scopes(caller: AccessToken, route: Route) -> None:
    """Raise GoogleError 403 if no scope of the token allows the method."""
    if route.method.startswith("sheets."):
        read = route.kind == READ and route.verb == "GET"
        wanted = READERS if read else WRITERS
    else:
        wanted = DRIVE_READERS if route.kind == READ else DRIVE_WRITERS
    if wanted & set(caller.scopes):
        return
    service = f"{route.method.partition('.')[0]}.googleapis.com"
    raise GoogleError(
        403,
        "Request had insufficient authentication scopes.",
        details=[
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
                "domain": "googleapis.com",
                "metadata": {"service": service, "method": route.method},
            }
        ],
        headers={
            "WWW-Authenticate": 'Bearer realm="https://accounts.google.com/", error="insufficient_scope", '
            f'scope="{" ".join(sorted(wanted))}"',
        },
    )


def _basic(headers: Mapping[str, str]) -> dict[str, str]:
    """The client credentials of HTTP basic authentication, RFC 6749 section 2.3.1. Empty without them."""
    kind, _, coded = headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return {}
    try:
        number, _, secret = base64.b64decode(coded).decode().partition(":")
    except ValueError:
        raise OAuthError("invalid_client", "The OAuth client was not found.", code=401) from None
    return {"client_id": unquote(number), "client_secret": unquote(secret)}


def _lenient(given: dict[str, list[str]]) -> Json:
    """Query parameters as they were sent. Drive accepts unknown ones."""
    return {name: values[-1] for name, values in given.items()}


def _json_body(body: bytes) -> Any:
    if not body.strip():
        return {}
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except ValueError as error:
        raise bad_field("", f"Invalid JSON payload received. {error}") from None


def _refuse_constant(word: str) -> Any:
    """Refuse NaN and Infinity: Python's json module accepts them, but they are not JSON."""
    raise ValueError(f"Unexpected token. {word}")
