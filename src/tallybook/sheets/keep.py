"""Keys to Google: what proves who asks, where it is kept, and how it becomes an access token.

Kept is the `authorized_user` form of Google's own tools, readable by the owner only (mode 0600), or in the system's
keyring. The refresh token is a password: it is masked wherever it could be seen.
"""

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
from tallybook.sheets.places import SERVICE_ACCOUNTS, Places
from tallybook.sheets.refusals import Answer, token_answer_refusal, token_refusal

if TYPE_CHECKING:
    import requests

FILES = "https://www.googleapis.com/auth/drive.file"
"""Only documents that this client created: not sensitive, the narrowest there is."""
SPREADSHEETS = "https://www.googleapis.com/auth/spreadsheets"
"""All spreadsheets of the account: what a document made elsewhere needs."""
NAMES = {
    "client_id": "TALLYBOOK_GOOGLE_CLIENT_ID",
    "client_secret": "TALLYBOOK_GOOGLE_CLIENT_SECRET",
    "refresh_token": "TALLYBOOK_GOOGLE_REFRESH_TOKEN",
}
SERVICE_ACCOUNT = "TALLYBOOK_GOOGLE_SERVICE_ACCOUNT"
"""The environment variable of a service account's key: the file, or its JSON for hosts without a disk."""
FILE = "TALLYBOOK_GOOGLE_FILE"
_RING = ("tallybook", "google")
_SETUP = "`tallybook sheets setup` gets them from Google"


def extra(name: str = "google.auth") -> None:
    """Raises DeclarationError where the optional packages are not installed."""
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
    """A client with the refresh token of somebody who consented, or the key of a service account."""

    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    service_account: Mapping[str, str] = field(default_factory=dict, repr=False)
    scopes: tuple[str, ...] = ()
    since: datetime | None = None
    """When it was consented."""
    until: datetime | None = None
    """When Google ends the refresh token, where it said so: it does of apps in testing."""
    place: str = "given"
    """Where they were found, for people."""

    @property
    def account(self) -> str:
        """The e-mail of a service account; empty for people."""
        return self.service_account.get("client_email", "")

    @property
    def secrets(self) -> dict[str, str]:
        """What must not be seen, and what is shown instead."""
        hidden = (self.client_secret, self.refresh_token, self.service_account.get("private_key", ""))
        return {secret: "***" for secret in hidden if secret}

    def signer(self, places: Places) -> Signer:
        """Raises DeclarationError without the extra `google`, or for a key that is none."""
        extra()
        return Signer(self, places)

    def as_json(self) -> dict[str, Any]:
        """The `authorized_user` form, with what we know beside."""
        kept = {
            "type": "authorized_user",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "refresh_token": self.refresh_token,
            "scopes": list(self.scopes),
            "since": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
        }
        return {name: value for name, value in kept.items() if value}


def consented(words: Mapping[str, str], **more: Any) -> Keys:
    """The keys of a person, of the three words by their NAMES."""
    client_id, client_secret, refresh_token = (words[name] for name in NAMES)
    return Keys(client_id=client_id, client_secret=client_secret, refresh_token=refresh_token, **more)


class Signer:
    """Puts an access token on each request (as `auth=` of requests) and renews it before it ends."""

    def __init__(self, keys: Keys, places: Places) -> None:
        from importlib.metadata import version

        import google.auth.transport.requests
        import requests

        from tallybook.sheets.bounded import BoundedAdapter, token_session

        self.keys = keys
        self.http: requests.Session = requests.Session()
        for scheme in ("https://", "http://"):
            self.http.mount(scheme, BoundedAdapter())
        self.http.headers["User-Agent"] = f"tallybook/{version('tallybook')}"
        # Without `auth` of its own, requests would take that of ~/.netrc.
        self.http.auth = lambda request: request
        tokens = token_session()
        tokens.headers["User-Agent"], tokens.auth = self.http.headers["User-Agent"], self.http.auth
        self._transport = _checked(google.auth.transport.requests.Request(tokens))
        self._credentials = _credentials(keys, places)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if not self._credentials.valid:
            self.renew()
        request.headers["Authorization"] = f"Bearer {self._credentials.token}"
        return request

    def renew(self) -> None:
        """A new access token. Raises SignInError when there will be none, DestinationUnavailable for now."""
        from google.auth import exceptions

        try:
            self._credentials.refresh(self._transport)
        except exceptions.RefreshError as error:
            raise self._refused(error) from None
        except exceptions.TransportError as error:
            raise _no_token_server(error) from None
        except exceptions.GoogleAuthError as error:
            raise SignInError(f"no token could be had: {error}", hint=_SETUP) from None

    def _refused(self, error: Any) -> SignInError:
        """The documented refusal of the token server; `_checked` let nothing else through."""
        body = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], Mapping) else {}
        said, why = str(body.get("error", "refused")), str(body.get("error_description", ""))
        if not body:
            why = str(error.args[0]) if error.args else ""
        return token_refusal(said, why, account=self.keys.account, aged=_age(self.keys))

    @property
    def granted(self) -> tuple[str, ...]:
        """The scopes that Google said the last token has."""
        found = getattr(self._credentials, "granted_scopes", None) or self.keys.scopes
        return tuple(found)


def _credentials(keys: Keys, places: Places) -> Any:
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

    # No scopes: a refresh that names scopes is refused when one of them was not granted.
    made = credentials.Credentials
    return made(
        None,
        refresh_token=keys.refresh_token,
        token_uri=places.token,
        client_id=keys.client_id,
        client_secret=keys.client_secret,
    )


def _checked(transport: Any) -> Callable[..., Any]:
    """google-auth's transport, which raises DestinationUnavailable for every answer that RFC 6749 does not describe:
    google-auth would take such an answer for a refusal, or index its text."""

    def ask(*given: Any, **named: Any) -> Any:
        response = transport(*given, **named)
        try:
            body = json.loads(response.data)
        except ValueError:  # also bytes that are no UTF-8
            body = None
        temporary = token_answer_refusal(Answer(response.status, body if isinstance(body, dict) else {}))
        if temporary is not None:
            raise temporary
        return response

    return ask


def _no_token_server(error: Exception) -> DestinationUnavailable:
    return DestinationUnavailable(
        f"Google's token server cannot be reached ({type(error).__name__})", hint="is there a network? Try again"
    )


def _age(keys: Keys) -> str:
    if keys.until:
        return f"Google said that it ends on {keys.until:%Y-%m-%d %H:%M} UTC, as tokens of apps in testing do"
    return f"it is from {keys.since:%Y-%m-%d}" if keys.since else ""


# -- finding them ------------------------------------------------------------------------------------------------


def default_file(env: Mapping[str, str]) -> Path:
    """Where keys are kept: of the user, not of a project, so that no repository gets them."""
    if env.get(FILE):
        return Path(env[FILE]).expanduser()
    home = env.get("XDG_CONFIG_HOME") or env.get("APPDATA") or str(Path("~").expanduser() / ".config")
    return Path(home) / "tallybook" / "google.json"


def find(env: Mapping[str, str]) -> Keys:
    """The keys of the environment, else of the file. Raises DeclarationError where there are none."""
    given = {name: env.get(variable, "") for name, variable in NAMES.items()}
    if env.get(SERVICE_ACCOUNT):
        return service_account(env[SERVICE_ACCOUNT])
    if all(given.values()):
        return consented(given, place="the environment")
    if any(given.values()):
        lacking = [variable for name, variable in NAMES.items() if not given[name]]
        raise DeclarationError(f"of the keys to Google only some are set; missing: {', '.join(lacking)}", hint=_SETUP)
    return load(default_file(env))


def service_account(text: str) -> Keys:
    """From a key file, or from its JSON. Raises DeclarationError."""
    where = "the environment" if text.lstrip().startswith("{") else text
    info = _read_json(text) if where == "the environment" else _read_json(_read(Path(text).expanduser()), where)
    if info.get("type") != "service_account" or not info.get("private_key") or not info.get("client_email"):
        raise _no_service_account(f"{where} is of type {info.get('type', 'none')!r}")
    return Keys(service_account=info, scopes=(SPREADSHEETS,), place=where)


def _no_service_account(why: str) -> DeclarationError:
    return DeclarationError(
        f"this is not the key of a service account: {why}",
        hint=f"{SERVICE_ACCOUNTS} ▸ the account ▸ Keys ▸ Add key ▸ JSON",
    )


def load(path: Path) -> Keys:
    """Raises DeclarationError where there is no such file, or it is not ours."""
    if not path.exists():
        raise DeclarationError(
            f"there are no keys to Google: neither in the environment nor in {path}",
            hint=f"{_SETUP}; in the environment they are {', '.join(NAMES.values())}, or {SERVICE_ACCOUNT}",
        )
    kept = _read_json(_read(path), str(path))
    if kept.get("type") == "service_account":
        return replace(service_account(json.dumps(kept)), place=str(path))
    if kept.get("type") == "service_account_file":
        return service_account(str(kept.get("path")))
    if kept.get("keyring"):
        kept |= _from_keyring()
    if not all(kept.get(name) for name in NAMES):
        raise DeclarationError(f"{path} does not hold {', '.join(NAMES)}", hint=f"{_SETUP} anew")
    return consented(
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
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise DeclarationError(f"{where} is not JSON", hint="take the file as Google gave it")
    return found


def _instant(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC) if text else None
    except ValueError:
        return None


# -- keeping them ------------------------------------------------------------------------------------------------


def save(keys: Keys, path: Path, *, keyring: bool = False) -> None:
    """Write the file anew in one step, for its owner only. With `keyring` the secrets go there instead.

    Of a service account's key only the place is kept."""
    kept = keys.as_json()
    if keys.service_account:
        kept = {"type": "service_account_file", "path": str(Path(keys.place).expanduser().absolute())}
    elif keyring:
        secret = {name: kept.pop(name) for name in ("client_secret", "refresh_token")}
        try:
            _ring().set_password(*_RING, json.dumps(secret))
        except Exception as error:  # noqa: BLE001  # keyrings raise what they like
            raise _no_ring(error) from None
        kept["keyring"] = True
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # mkstemp makes it readable by the owner only, from its first byte on.
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


def variables(keys: Keys) -> dict[str, str]:
    """The same as environment variables, for hosts without a disk."""
    if keys.service_account:
        return {SERVICE_ACCOUNT: json.dumps(dict(keys.service_account))}
    return {variable: getattr(keys, name) for name, variable in NAMES.items()}


def has_keyring() -> bool:
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
        f"the system's keyring refused: {why}", hint="without --keyring the keys are kept in a file"
    )


def _from_keyring() -> dict[str, Any]:
    try:
        found = _ring().get_password(*_RING)
    except Exception as error:  # noqa: BLE001  # keyrings raise what they like
        raise _no_ring(error) from None
    if not found:
        raise DeclarationError("the system's keyring does not hold the keys to Google any more", hint=_SETUP)
    return _read_json(found, "what the keyring holds")
