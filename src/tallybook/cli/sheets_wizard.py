"""The steps of `sheets setup`. It asks for missing options, and ends with code to paste."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tallybook.cli.sheets import clock, described, environment, worksheets_of
from tallybook.cli.terminal import Terminal
from tallybook.core import DeclarationError

if TYPE_CHECKING:
    from tallybook.sheets import ConsentRequest, Keys, OAuthClient, ServiceUrls


@dataclass(frozen=True, kw_only=True)
class SetupOptions:
    """The options of `sheets setup`."""

    client_id: str | None
    client_secret: str | None
    client_file: Path | None
    service_account: Path | None
    refresh_token: str | None
    document: str | None
    create: str | None
    again: bool
    browser: bool
    port: int
    wait: float
    save: Path | None
    keyring: bool
    print_env: bool
    api: str | None

    @property
    def names_a_client(self) -> bool:
        """Whether any option about the OAuth client is given."""
        return any((self.client_id, self.client_secret, self.client_file, self.refresh_token))


CLIENT = """\
Google identifies programs by an OAuth client, which you create once:

  1. A project: https://console.cloud.google.com/projectcreate     any name; an existing project is fine, too
  2. The API:   {enable}     Enable
  3. Who may consent: {audience}
       Get started; any name and your address; Internal if your organization has Workspace, otherwise External.
       External: press Publish app. Tokens of an app in testing expire after 7 days.
  4. The client: {clients}     Create client, type Desktop app
       Download the JSON file, or leave the window open: the secret is shown only once.
"""
SERVICE = """\
{account} is a service account. It cannot create files. Create the document yourself, press Share,
and add this address as Editor:

    {account}
"""
UNVERIFIED = (
    "Google may warn that the app is not verified. It is your own app: press Advanced, then Go to …, then Continue."
)


class SheetsWizard:
    """The steps of `sheets setup`: keys, consent, document."""

    def __init__(self, terminal: Terminal, options: SetupOptions) -> None:
        from tallybook.sheets import ServiceUrls

        self.terminal, self.options = terminal, options
        self.env = dict(environment(terminal))
        if options.save:
            from tallybook.sheets import FILE

            self.env[FILE] = str(options.save)
        self.places: ServiceUrls = ServiceUrls.of(options.api, self.env)
        self.document, self.create = options.document, options.create

    def run(self) -> dict[str, Any]:
        """Connect, and return the result for `--format json`."""
        from tallybook.sheets import document as named, require_packages

        require_packages()
        if self.document:
            named(self.document)  # reports a mistyped document before anything is asked
        keys = self.keys()
        kept = self.keep(keys)
        place = self.place(keys)
        result: dict[str, Any] = {"keys": kept, "account": keys.account} if keys.account else {"keys": kept}
        if place is None:
            self.print(
                f"\nConnected. Next: tallybook sheets list DOCUMENT, or share one with {keys.account}"
                if keys.account
                else "\nConnected. Next: tallybook sheets list DOCUMENT"
            )
            return result
        return result | described(self.terminal, place, worksheets_of(keys, self.places, place), self.places)

    def print(self, text: str) -> None:
        """Print on stderr."""
        self.terminal.err(text)

    # -- keys ------------------------------------------------------------------------------------------------

    def keys(self) -> Keys:
        """The keys: given, stored, or obtained by consent now. They are masked in all output."""
        from tallybook.sheets import service_account

        if self.options.service_account:
            keys = service_account(str(self.options.service_account))
        else:
            keys = self.stored() or self.consented()
        self.terminal.hide(keys.secrets)
        if keys.account:
            self.print(SERVICE.format(account=keys.account))
        return keys

    def stored(self) -> Keys | None:
        """Stored keys with the needed scope, unless the options ask for others."""
        from tallybook.sheets import FILES, SPREADSHEETS, find_keys

        if self.options.again or self.options.names_a_client:
            return None
        try:
            keys = find_keys(self.env)
        except DeclarationError:
            return None
        needed = FILES if self.create else SPREADSHEETS
        reach = keys.account or not keys.scopes or {needed, SPREADSHEETS} & set(keys.scopes)
        if not reach or not self.accepted(keys):
            return None
        self.print(f"Using the keys of {keys.place}; --again replaces them.")
        return keys

    def accepted(self, keys: Keys) -> bool:
        """Whether Google accepts the keys. Raises SignInError for keys of a service account, which cannot be
        renewed."""
        from tallybook.core import SignInError

        self.terminal.hide(keys.secrets)
        try:
            keys.signer(self.places).renew()
        except SignInError as error:
            if keys.account:
                raise
            self.print(f"{error.message}: connecting again.")
            return False
        return True

    def consented(self) -> Keys:
        """Keys of a person: by consent now, or with the given token."""
        from tallybook.sheets import FILES, SPREADSHEETS, Keys, exchange_answer

        client = self.client()
        self.terminal.hide({client.secret: "***"})
        if self.options.refresh_token:
            self.terminal.hide({self.options.refresh_token: "***"})
            return Keys(client_id=client.id, client_secret=client.secret, refresh_token=self.options.refresh_token)
        self.ask_for_document()
        scopes = [FILES] if self.create else [SPREADSHEETS]
        request, url = self.redirected(client, scopes)
        return exchange_answer(request, url, self.places, now=clock(self.terminal))

    def client(self) -> OAuthClient:
        """The client: from a file, from options and the environment, or typed by a person."""
        from tallybook.sheets import AUDIENCE, CLIENTS, ENABLE, NAMES, OAuthClient, client_file

        if self.options.client_file:
            return client_file(self.options.client_file)
        name = self.options.client_id or self.env.get(NAMES["client_id"], "")
        secret = self.options.client_secret or self.env.get(NAMES["client_secret"], "")
        if not name and not secret and (known := self.known_client()):
            return known
        if not name and self.terminal.can_ask:
            steps = CLIENT.format(enable=ENABLE, audience=AUDIENCE, clients=CLIENTS)
            self.print(steps)
            name = self.terminal.ask("Client id, or the downloaded file")
            if name.endswith(".json"):
                return client_file(Path(name))
        if name and not secret and self.terminal.can_ask:
            secret = self.terminal.ask("Client secret (it is not shown)", secret=True)
        if not name or not secret:
            raise DeclarationError(
                "no OAuth client given",
                hint=(
                    "--client-file FILE, or --client-id ID and --client-secret SECRET; in a terminal setup asks "
                    "for them"
                ),
            )
        return OAuthClient(name, secret)

    def known_client(self) -> OAuthClient | None:
        """The client of the stored keys."""
        from tallybook.sheets import OAuthClient, find_keys

        try:
            keys = find_keys(self.env)
        except DeclarationError:
            return None
        if keys.account:
            return None
        self.print(f"Using the client of {keys.place}; for another: --client-id and --client-secret, or --client-file.")
        return OAuthClient(keys.client_id, keys.client_secret)

    def ask_for_document(self) -> None:
        """Ask for the document before the consent, because the scope depends on the document."""
        from tallybook.sheets import document as named

        if self.document or self.create or not self.terminal.can_ask:
            return
        answer = self.terminal.ask("Document: its address or id (empty: create a new one)")
        if answer:
            named(answer)
            self.document = answer
        else:
            self.create = self.terminal.ask("Title of the new document [Metrics]") or "Metrics"

    # -- consent ---------------------------------------------------------------------------------------------

    def redirected(self, client: OAuthClient, scopes: list[str]) -> tuple[ConsentRequest, str]:
        """The request for consent, and the address to which Google redirected the browser."""
        from tallybook.sheets import RedirectListener, request_consent

        if not self.options.browser or (self.terminal.can_ask and not has_browser(self.env)):
            return self.pasted(client, scopes)
        with RedirectListener(self.options.port) as listener:
            request = request_consent(client, scopes, self.places, redirect=listener.redirect)
            self.print(f"\nConsent in the browser. If it does not open by itself:\n\n{request.url}\n\n{UNVERIFIED}\n")
            if has_browser(self.env):
                open_browser(request.url)
            return request, listener.wait(self.options.wait, request.state)

    def pasted(self, client: OAuthClient, scopes: list[str]) -> tuple[ConsentRequest, str]:
        """The request for consent, and the address that a person pasted."""
        from secrets import randbelow

        from tallybook.sheets import request_consent

        # Nothing listens on this port. The browser fails to open the address, which contains the code.
        port = self.options.port or 49152 + randbelow(16384)
        request = request_consent(client, scopes, self.places, redirect=f"http://127.0.0.1:{port}")
        self.print(
            f"\nOpen this in a browser on any machine, and consent:\n\n{request.url}\n\n{UNVERIFIED}\n"
            f"The browser then fails to open an address that begins with {request.redirect}.\n"
            "That is expected: copy the whole address.\n"
        )
        return request, self.terminal.ask("The address")

    # -- storing ---------------------------------------------------------------------------------------------

    def keep(self, keys: Keys) -> str:
        """Store the keys, or print them. Returns where they are."""
        from tallybook.sheets import default_file, has_keyring, key_variables, save_keys

        if self.options.print_env:
            self.print_env(key_variables(keys))
            return "printed"
        if keys.place not in ("given", str(self.options.service_account)):
            return keys.place
        file = default_file(self.env)
        save_keys(keys, file, keyring=self.options.keyring)
        where = f"the system keyring, the rest in {file}" if self.options.keyring else str(file)
        self.print(f"Stored the keys in {where}; only you can read them.")
        if has_keyring() and not (self.options.keyring or keys.account):
            self.print("The package keyring is installed: --keyring stores the secrets in the system keyring instead.")
        if self.options.save:
            self.print(f"For programs: export TALLYBOOK_GOOGLE_FILE='{file.absolute()}'")
        if keys.until:
            self.print(
                f"\nThis token expires on {keys.until:%Y-%m-%d %H:%M} UTC, because the app is in testing.\n"
                "Publish the app (step 3 above), then: tallybook sheets setup --again"
            )
        return where

    def print_env(self, values: Mapping[str, str]) -> None:
        """Print the secrets. Only this method does so, because --print-env asks for them."""
        from shlex import quote

        self.terminal.data("".join(f"{name}={quote(value)}\n" for name, value in values.items()))
        self.print("These are secrets: set them on the host, and keep them out of repositories.")

    # -- the document ----------------------------------------------------------------------------------------

    def place(self, keys: Keys) -> str | None:
        """The id of the document, created if requested. None without a document."""
        from tallybook.sheets import Session, document as named, link

        if keys.account and not self.document and self.terminal.can_ask:
            self.document = self.terminal.ask("A document that is shared with it: its address or id") or None
        elif not keys.account:
            self.ask_for_document()
        if self.create:
            made = Session(keys=keys, api=self.places.api, env={}).create(self.create)
            self.print(f"Created the document {self.create!r}: {link(made)}")
            return made
        return named(self.document).id if self.document else None


def has_browser(env: Mapping[str, str]) -> bool:
    """Whether a browser window can be opened. A text browser would occupy the terminal."""
    if env.get("BROWSER"):
        return True
    if sys.platform in ("darwin", "win32") or os.name == "nt":
        return not env.get("SSH_CONNECTION")
    return bool(env.get("DISPLAY") or env.get("WAYLAND_DISPLAY"))


def open_browser(url: str) -> bool:
    """Open an address in the browser. Returns whether that worked."""
    import webbrowser

    return webbrowser.open(url)
