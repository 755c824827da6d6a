"""Google credentials (keys): where they are stored, and how they become an access token.

They are stored in the `authorized_user` format of Google's own tools, in a file that only the owner can read (mode
0600), or in the system's keyring. The refresh token is a password: it is masked in all output."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tallybook.core import DeclarationError, DestinationUnavailable, SignInError
from tallybook.sheets.refusals import Answer, token_answer_refusal, token_refusal
from tallybook.sheets.service_urls import SERVICE_ACCOUNTS, ServiceUrls

if TYPE_CHECKING:
    import requests

FILES = "https://www.googleapis.com/auth/drive.file"
"""The narrowest scope, not sensitive: only documents that this client created."""
SPREADSHEETS = "https://www.googleapis.com/auth/spreadsheets"
"""All spreadsheets of the account. Documents created elsewhere need it."""
NAMES = {
    "client_id": "TALLYBOOK_GOOGLE_CLIENT_ID",
    "client_secret": "TALLYBOOK_GOOGLE_CLIENT_SECRET",
    "refresh_token": "TALLYBOOK_GOOGLE_REFRESH_TOKEN",
}
SERVICE_ACCOUNT = "TALLYBOOK_GOOGLE_SERVICE_ACCOUNT"
"""The environment variable with the key of a service account: the path of its file, or its JSON for hosts without a
disk."""
FILE = "TALLYBOOK_GOOGLE_FILE"
_RING = ("tallybook", "google")
_SETUP = "`tallybook sheets setup` gets them from Google"


def require_packages(name: str = "google.auth") -> None:
    """Raise DeclarationError if the optional packages are not installed."""
    import importlib

    try:
        importlib.import_module(name)
        importlib.import_module("requests")
    except ImportError as error:
        raise DeclarationError(
            f"Google Sheets needs packages that are not installed: {error.name}",
            hint="pip install 'tallybook[google]'",
        ) from None


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The credentials: a client with the refresh token of a user, or the key of a service account."""

    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    service_account: Mapping[str, str] = field(default_factory=dict, repr=False)
    scopes: tuple[str, ...] = ()
    since: datetime | None = None
    """The time of the consent."""
    until: datetime | None = None
    """When the refresh token expires, if Google reported it (for apps in testing)."""
    place: str = "given"
    """Their origin, for messages."""

    @property
    def account(self) -> str:
        """The e-mail of a service account; empty for a user."""
        return self.service_account.get("client_email", "")

    @property
    def secrets(self) -> dict[str, str]:
        """Texts that must not be shown, with their replacements."""
        hidden = (self.client_secret, self.refresh_token, self.service_account.get("private_key", ""))
        return {secret: "***" for secret in hidden if secret}

    def signer(self, places: ServiceUrls) -> Signer:
        """The signer of requests. Raises DeclarationError without the extra `google`, or for an invalid key."""
        require_packages()
        return Signer(self, places)

    def as_json(self) -> dict[str, Any]:
        """The `authorized_user` format, with scopes and times."""
        fields = {
            "type": "authorized_user",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "refresh_token": self.refresh_token,
            "scopes": list(self.scopes),
            "since": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
        }
        return {name: value for name, value in fields.items() if value}


def keys_of_user(values: Mapping[str, str], **more: Any) -> Keys:
    """The keys of a user, from three values by their NAMES."""
    client_id, client_secret, refresh_token = (values[name] for name in NAMES)
    return Keys(client_id=client_id, client_secret=client_secret, refresh_token=refresh_token, **more)


class Signer:
    """Adds an access token to each request (as `auth=` of requests), and renews it before it expires."""

    def __init__(self, keys: Keys, places: ServiceUrls) -> None:
        from importlib.metadata import version

        import google.auth.transport.requests
        import requests

        from tallybook.sheets.bounded import BoundedAdapter, token_session

        self.keys = keys
        self.http: requests.Session = requests.Session()
        for scheme in ("https://", "http://"):
            self.http.mount(scheme, BoundedAdapter())
        self.http.headers["User-Agent"] = f"tallybook/{version('tallybook')}"
        # Without an `auth`, requests would use ~/.netrc.
        self.http.auth = lambda request: request
        tokens = token_session()
        tokens.headers["User-Agent"], tokens.auth = self.http.headers["User-Agent"], self.http.auth
        self._transport = _reject_foreign_answers(google.auth.transport.requests.Request(tokens))
        self._credentials = _credentials(keys, places)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if not self._credentials.valid:
            self.renew()
        request.headers["Authorization"] = f"Bearer {self._credentials.token}"
        return request

    def renew(self) -> None:
        """Get a new access token. Raises SignInError for a permanent failure, DestinationUnavailable for a temporary
        one."""
        from google.auth import exceptions

        try:
            self._credentials.refresh(self._transport)
        except exceptions.RefreshError as error:
            raise self._refused(error) from None
        except exceptions.TransportError as error:
            raise _no_token_server(error) from None
        except exceptions.GoogleAuthError as error:
            raise SignInError(f"cannot get an access token: {error}", hint=_SETUP) from None

    def _refused(self, error: Any) -> SignInError:
        """The error for a documented refusal of the token server. Other responses are rejected earlier."""
        body = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], Mapping) else {}
        reason, why = str(body.get("error", "refused")), str(body.get("error_description", ""))
        if not body:
            why = str(error.args[0]) if error.args else ""
        return token_refusal(reason, why, account=self.keys.account, aged=_age(self.keys))

    @property
    def granted(self) -> tuple[str, ...]:
        """The scopes of the last token, as reported by Google."""
        scopes = getattr(self._credentials, "granted_scopes", None) or self.keys.scopes
        return tuple(scopes)


def _credentials(keys: Keys, places: ServiceUrls) -> Any:
    if keys.service_account:
        from google.oauth2 import service_account

        made: Any = service_account.Credentials
        info = dict(keys.service_account) | ({"token_uri": places.token} if places.api else {})
        scopes = list(keys.scopes or [SPREADSHEETS])
        try:
            return made.from_service_account_info(info, scopes=scopes)
        except (ValueError, KeyError) as error:
            raise _no_service_account(str(error)) from None
    from google.oauth2 import credentials

    # Without scopes: a refresh with scopes is refused if one of them was not granted.
    made = credentials.Credentials
    return made(
        None,
        refresh_token=keys.refresh_token,
        token_uri=places.token,
        client_id=keys.client_id,
        client_secret=keys.client_secret,
    )


def _reject_foreign_answers(transport: Any) -> Callable[..., Any]:
    """google-auth's transport, raising DestinationUnavailable for responses that RFC 6749 does not describe.

    google-auth would treat such a response as a refusal, or fail on its text."""

    def ask(*given: Any, **named: Any) -> Any:
        response = transport(*given, **named)
        try:
            body = json.loads(response.data)
        except ValueError:  # also for bytes that are not UTF-8
            body = None
        temporary = token_answer_refusal(Answer(response.status, body if isinstance(body, dict) else {}))
        if temporary is not None:
            raise temporary
        return response

    return ask


def _no_token_server(error: Exception) -> DestinationUnavailable:
    return DestinationUnavailable(
        f"Google's token server cannot be reached ({type(error).__name__})", hint="check the network, then try again"
    )


def _age(keys: Keys) -> str:
    if keys.until:
        return f"according to Google it expires on {keys.until:%Y-%m-%d %H:%M} UTC, because the app is in testing"
    return f"it is from {keys.since:%Y-%m-%d}" if keys.since else ""


# -- finding them ------------------------------------------------------------------------------------------------


def default_file(env: Mapping[str, str]) -> Path:
    """The file of the keys, in the user's folder instead of a project's, so that the keys do not get into a
    repository."""
    if env.get(FILE):
        return Path(env[FILE]).expanduser()
    home = env.get("XDG_CONFIG_HOME") or env.get("APPDATA") or str(Path("~").expanduser() / ".config")
    return Path(home) / "tallybook" / "google.json"


def find_keys(env: Mapping[str, str]) -> Keys:
    """The keys of the environment, else of the file. Raises DeclarationError without keys."""
    given = {name: env.get(variable, "") for name, variable in NAMES.items()}
    if env.get(SERVICE_ACCOUNT):
        return service_account(env[SERVICE_ACCOUNT])
    if all(given.values()):
        return keys_of_user(given, place="the environment")
    if any(given.values()):
        lacking = [variable for name, variable in NAMES.items() if not given[name]]
        raise DeclarationError(f"incomplete Google keys in the environment; missing: {', '.join(lacking)}", hint=_SETUP)
    return load(default_file(env))


def service_account(text: str) -> Keys:
    """The key of a service account, from its file or its JSON. Raises DeclarationError."""
    where = "the environment" if text.lstrip().startswith("{") else text
    info = _read_json(text) if where == "the environment" else _read_json(_read(Path(text).expanduser()), where)
    if info.get("type") != "service_account" or not info.get("private_key") or not info.get("client_email"):
        raise _no_service_account(f"{where} has the type {info.get('type', 'none')!r}")
    return Keys(service_account=info, scopes=(SPREADSHEETS,), place=where)


def _no_service_account(why: str) -> DeclarationError:
    return DeclarationError(
        f"not the key of a service account: {why}",
        hint=f"{SERVICE_ACCOUNTS} ▸ the account ▸ Keys ▸ Add key ▸ JSON",
    )


def load(path: Path) -> Keys:
    """The keys of a file. Raises DeclarationError if it is missing or has another format."""
    if not path.exists():
        raise DeclarationError(
            f"no Google keys in the environment or in {path}",
            hint=f"{_SETUP}; or set {', '.join(NAMES.values())}, or {SERVICE_ACCOUNT}",
        )
    kept = _read_json(_read(path), str(path))
    if kept.get("type") == "service_account":
        return replace(service_account(json.dumps(kept)), place=str(path))
    if kept.get("type") == "service_account_file":
        return service_account(str(kept.get("path")))
    if kept.get("keyring"):
        kept |= _from_keyring()
    if not all(kept.get(name) for name in NAMES):
        raise DeclarationError(f"{path} does not contain {', '.join(NAMES)}", hint=f"{_SETUP} again")
    return keys_of_user(
        {name: str(kept[name]) for name in NAMES},
        scopes=tuple(kept.get("scopes", ())),
        since=_instant(kept.get("since")),
        until=_instant(kept.get("until")),
        place=str(path),
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise DeclarationError(f"{path} cannot be read: {why}") from None


def _read_json(text: str, where: str = "the key") -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise DeclarationError(f"{where} is not JSON", hint="use the unchanged file from Google")
    return value


def _instant(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC) if text else None
    except ValueError:
        return None


# -- keeping them ------------------------------------------------------------------------------------------------


def save_keys(keys: Keys, path: Path, *, keyring: bool = False) -> None:
    """Replace the file in one step, readable only by its owner. With `keyring`, the secrets are stored in the keyring.

    For the key of a service account, only its path is stored."""
    kept = keys.as_json()
    if keys.service_account:
        kept = {"type": "service_account_file", "path": str(Path(keys.place).expanduser().absolute())}
    elif keyring:
        secret = {name: kept.pop(name) for name in ("client_secret", "refresh_token")}
        try:
            _ring().set_password(*_RING, json.dumps(secret))
        except Exception as error:  # noqa: BLE001  # keyring back ends raise exceptions of any class
            raise _no_ring(error) from None
        kept["keyring"] = True
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # mkstemp creates the file readable only by the owner.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps(kept, indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def key_variables(keys: Keys) -> dict[str, str]:
    """The keys as environment variables, for hosts without a disk."""
    if keys.service_account:
        return {SERVICE_ACCOUNT: json.dumps(dict(keys.service_account))}
    return {variable: getattr(keys, name) for name, variable in NAMES.items()}


def has_keyring() -> bool:
    """Whether the package keyring is installed."""
    from importlib.util import find_spec

    return find_spec("keyring") is not None


def _ring() -> Any:
    import importlib

    try:
        return importlib.import_module("keyring")
    except ImportError:
        raise DeclarationError("the package keyring is not installed", hint="pip install keyring") from None


def _no_ring(error: Exception) -> DeclarationError:
    if isinstance(error, DeclarationError):
        return error
    why = str(error) or type(error).__name__
    return DeclarationError(
        f"the system's keyring reported an error: {why}", hint="without --keyring the keys are stored in a file"
    )


def _from_keyring() -> dict[str, Any]:
    try:
        text = _ring().get_password(*_RING)
    except Exception as error:  # noqa: BLE001  # keyring back ends raise exceptions of any class
        raise _no_ring(error) from None
    if not text:
        raise DeclarationError("the system's keyring no longer contains the Google keys", hint=_SETUP)
    return _read_json(text, "the entry of the keyring")
