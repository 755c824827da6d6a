"""The wizard of Google Sheets: `sheets setup`. It says every step, asks what it was not given, and ends with code."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tallybook.cli.options import TABLE_OR_JSON, gathered, verb
from tallybook.cli.sheets import API, clock, described, environment, tell_worksheets, worksheets_of
from tallybook.cli.terminal import Terminal
from tallybook.core import DONE, DeclarationError

if TYPE_CHECKING:
    from tallybook.sheets import Client, ConsentRequest, Keys, Places


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What was given on the command line."""

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
        return any((self.client_id, self.client_secret, self.client_file, self.refresh_token))


@verb(
    click.option("--client-id", metavar="ID", help="Of an OAuth client of the type Desktop app."),
    click.option(
        "--client-secret",
        metavar="SECRET",
        help="Its secret; TALLYBOOK_GOOGLE_CLIENT_SECRET keeps it out of the shell's history.",
    ),
    click.option(
        "--client-file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Both, in the JSON that Google offers for download.",
    ),
    click.option(
        "--service-account",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="The key of a service account, instead of a client and a person's consent.",
    ),
    click.option(
        "--refresh-token",
        metavar="TOKEN",
        help="One that was granted before, as on another host: no consent is asked for.",
    ),
    click.option("--document", metavar="ID|URL", help="The document to write into."),
    click.option(
        "--create",
        metavar="TITLE",
        help="Make a new document instead. The consent then covers nothing but documents made here.",
    ),
    click.option("--again", is_flag=True, help="Ask for consent also when there are keys already."),
    click.option(
        "--browser/--no-browser", default=True, help="Without: open the page elsewhere, paste the address back."
    ),
    click.option(
        "--port",
        metavar="N",
        type=click.IntRange(0, 65535),
        default=0,
        help="Where the browser comes back to; any free port unless given.",
    ),
    click.option(
        "--wait",
        metavar="SECONDS",
        type=click.FloatRange(1, 3600),
        default=300.0,
        help="For the browser to come back; 300 unless given.",
    ),
    click.option(
        "--save",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Where to keep the keys; ~/.config/tallybook/google.json unless given.",
    ),
    click.option(
        "--keyring", is_flag=True, help="Keep the secrets in the system's keyring (needs the package keyring)."
    ),
    click.option(
        "--print-env",
        is_flag=True,
        help="Keep nothing; print the keys as environment variables, for a host without a disk.",
    ),
    API,
    TABLE_OR_JSON,
)
@gathered(Wishes)
def setup(terminal: Terminal, wishes: Wishes, form: str) -> int:
    """Connect Google Sheets: which client to create and where, the consent, a document, and the code for each worksheet.

    \b
      tallybook sheets setup                                    asks for everything
      tallybook sheets setup --client-file client.json --create Metrics
      tallybook sheets setup --client-id ID --client-secret SECRET --document URL
      tallybook sheets setup --no-browser                       on a server: paste the address back
      tallybook sheets setup --service-account key.json --document URL
      tallybook sheets setup --print-env --again >> .env

    The refresh token is kept in a file that only you can read. Keys that are there are used again; --again asks anew.
    What is asked and told goes to stderr; stdout has the result."""
    _check(wishes, form)
    said = _Setup(terminal, wishes).run()
    if form == "json":
        terminal.json(said)
    elif said.get("worksheets"):
        tell_worksheets(said, terminal, terminal.err if wishes.print_env else terminal.out)
    return DONE


def _check(wishes: Wishes, form: str) -> None:
    """Raises DeclarationError for wishes that cannot both be."""
    if wishes.document and wishes.create:
        raise DeclarationError("--document and --create both say which document", hint="give one of them")
    if wishes.service_account and wishes.names_a_client:
        raise DeclarationError(
            "a service account needs no client", hint="give --service-account, or the client's flags"
        )
    if wishes.service_account and wishes.create:
        from tallybook.sheets import cannot_own, service_account

        raise cannot_own(service_account(str(wishes.service_account)).account)
    if wishes.print_env and form == "json":
        raise DeclarationError("--print-env prints lines of NAME=value", hint="leave out --format json")
    if wishes.print_env and (wishes.save or wishes.keyring):
        raise DeclarationError("--print-env keeps nothing", hint="leave out --save and --keyring, or --print-env")


CLIENT = """\
Google Sheets knows programs by a client that you create, once:

  1. A project: https://console.cloud.google.com/projectcreate     any name; one that is there will do
  2. The API:   {enable}     Enable
  3. Who may consent: {audience}
       Get started; any name and your address; Internal where your organisation has Workspace, else External.
       External: press Publish app. Google ends the tokens of an app in testing after 7 days.
  4. The client: {clients}     Create client, type Desktop app
       Download the JSON, or leave the window open: the secret is shown this once.
"""
SERVICE = """\
{account} is a service account. It owns no files and can create none: make the document yourself,
press Share in it, and add this address as Editor:

    {account}
"""
UNVERIFIED = "Google may say that it has not verified the app. It is yours: Advanced, then Go to …, then Continue."


class _Setup:
    """One conversation, from what was given to what was asked for."""

    def __init__(self, terminal: Terminal, wishes: Wishes) -> None:
        from tallybook.sheets import Places

        self.terminal, self.wishes = terminal, wishes
        self.env = dict(environment(terminal))
        if wishes.save:
            from tallybook.sheets import FILE

            self.env[FILE] = str(wishes.save)
        self.places: Places = Places.of(wishes.api, self.env)
        self.document, self.create = wishes.document, wishes.create

    def run(self) -> dict[str, Any]:
        from tallybook.sheets import document as named, extra

        extra()
        if self.document:
            named(self.document)  # a mistyped one is told before anything else is asked
        keys = self.keys()
        kept = self.keep(keys)
        place = self.place(keys)
        said: dict[str, Any] = {"keys": kept, "account": keys.account} if keys.account else {"keys": kept}
        if place is None:
            self.tell(
                f"\nConnected. Next: tallybook sheets list DOCUMENT, or share one with {keys.account}"
                if keys.account
                else "\nConnected. Next: tallybook sheets list DOCUMENT"
            )
            return said
        return said | described(self.terminal, place, worksheets_of(keys, self.places, place), self.places)

    def tell(self, text: str) -> None:
        self.terminal.err(text)

    # -- keys ------------------------------------------------------------------------------------------------

    def keys(self) -> Keys:
        """Given, found, or consented now; hidden from all output."""
        from tallybook.sheets import service_account

        if self.wishes.service_account:
            keys = service_account(str(self.wishes.service_account))
        else:
            keys = self.found() or self.consented()
        self.terminal.hide(keys.secrets)
        if keys.account:
            self.tell(SERVICE.format(account=keys.account))
        return keys

    def found(self) -> Keys | None:
        """Keys that are there and reach as far as is needed, unless others are asked for."""
        from tallybook.sheets import FILES, SPREADSHEETS, find

        if self.wishes.again or self.wishes.names_a_client:
            return None
        try:
            keys = find(self.env)
        except DeclarationError:
            return None
        needed = FILES if self.create else SPREADSHEETS
        reach = keys.account or not keys.scopes or {needed, SPREADSHEETS} & set(keys.scopes)
        if not reach or not self.hold(keys):
            return None
        self.tell(f"The keys of {keys.place} are used; --again connects anew.")
        return keys

    def hold(self, keys: Keys) -> bool:
        """Whether Google accepts them; those of a person can be had anew."""
        from tallybook.core import SignInError

        self.terminal.hide(keys.secrets)
        try:
            keys.signer(self.places).renew()
        except SignInError as error:
            if keys.account:
                raise
            self.tell(f"{error.message}: connecting anew.")
            return False
        return True

    def consented(self) -> Keys:
        """Of a person, now; or with the token that was given."""
        from tallybook.sheets import FILES, SPREADSHEETS, Keys, answered

        client = self.client()
        self.terminal.hide({client.secret: "***"})
        if self.wishes.refresh_token:
            self.terminal.hide({self.wishes.refresh_token: "***"})
            return Keys(client_id=client.id, client_secret=client.secret, refresh_token=self.wishes.refresh_token)
        self.ask_for_document()
        scopes = [FILES] if self.create else [SPREADSHEETS]
        asked, url = self.sent_to_google(client, scopes)
        return answered(asked, url, self.places, now=clock(self.terminal))

    def client(self) -> Client:
        """From a file, from flags and the environment, or asked for."""
        from tallybook.sheets import AUDIENCE, CLIENTS, ENABLE, NAMES, Client, client_file

        if self.wishes.client_file:
            return client_file(self.wishes.client_file)
        name = self.wishes.client_id or self.env.get(NAMES["client_id"], "")
        secret = self.wishes.client_secret or self.env.get(NAMES["client_secret"], "")
        if not name and not secret and (known := self.known_client()):
            return known
        if not name and self.terminal.can_ask:
            steps = CLIENT.format(enable=ENABLE, audience=AUDIENCE, clients=CLIENTS)
            self.tell(steps)
            name = self.terminal.ask("Client id, or the downloaded file")
            if name.endswith(".json"):
                return client_file(Path(name))
        if name and not secret and self.terminal.can_ask:
            secret = self.terminal.ask("Client secret (it is not shown)", secret=True)
        if not name or not secret:
            raise DeclarationError(
                "there is no client to connect with",
                hint="--client-file FILE, or --client-id ID and --client-secret SECRET; in a terminal it is asked for",
            )
        return Client(name, secret)

    def known_client(self) -> Client | None:
        """That of the keys that are there."""
        from tallybook.sheets import Client, find

        try:
            keys = find(self.env)
        except DeclarationError:
            return None
        if keys.account:
            return None
        self.tell(f"The client of {keys.place} is used; another: --client-id and --client-secret, or --client-file.")
        return Client(keys.client_id, keys.client_secret)

    def ask_for_document(self) -> None:
        """Before the consent, because what it must cover depends on it."""
        from tallybook.sheets import document as named

        if self.document or self.create or not self.terminal.can_ask:
            return
        said = self.terminal.ask("Document: its address or id; empty makes a new one")
        if said:
            named(said)
            self.document = said
        else:
            self.create = self.terminal.ask("Title of the new document [Metrics]") or "Metrics"

    # -- consent ---------------------------------------------------------------------------------------------

    def sent_to_google(self, client: Client, scopes: list[str]) -> tuple[ConsentRequest, str]:
        """The request for consent, and the address to which Google sent the browser back."""
        from tallybook.sheets import RedirectListener, ask

        if not self.wishes.browser or (self.terminal.can_ask and not has_browser(self.env)):
            return self.pasted(client, scopes)
        with RedirectListener(self.wishes.port) as back:
            asked = ask(client, scopes, self.places, redirect=back.redirect)
            self.tell(f"\nConsent in the browser. If it does not open by itself:\n\n{asked.url}\n\n{UNVERIFIED}\n")
            if has_browser(self.env):
                open_browser(asked.url)
            return asked, back.wait(self.wishes.wait, asked.state)

    def pasted(self, client: Client, scopes: list[str]) -> tuple[ConsentRequest, str]:
        from secrets import randbelow

        from tallybook.sheets import ask

        # Nobody listens there, and need not: the address that the browser fails to open holds the code.
        port = self.wishes.port or 49152 + randbelow(16384)
        asked = ask(client, scopes, self.places, redirect=f"http://127.0.0.1:{port}")
        self.tell(
            f"\nOpen this in a browser on any machine, and consent:\n\n{asked.url}\n\n{UNVERIFIED}\n"
            f"The browser then fails to open an address that begins with {asked.redirect}.\n"
            "That is right: copy the whole address.\n"
        )
        return asked, self.terminal.ask("The address")

    # -- what is kept ----------------------------------------------------------------------------------------

    def keep(self, keys: Keys) -> str:
        """Save the keys, or print them; says where they are."""
        from tallybook.sheets import default_file, has_keyring, save, variables

        if self.wishes.print_env:
            self.print_env(variables(keys))
            return "printed"
        if keys.place not in ("given", str(self.wishes.service_account)):
            return keys.place
        file = default_file(self.env)
        save(keys, file, keyring=self.wishes.keyring)
        where = f"the system's keyring, the rest in {file}" if self.wishes.keyring else str(file)
        self.tell(f"The keys are kept in {where}; only you can read them.")
        if has_keyring() and not (self.wishes.keyring or keys.account):
            self.tell("The package keyring is installed: --keyring keeps the secrets in the system's keyring instead.")
        if self.wishes.save:
            self.tell(f"Programs find them there by: export TALLYBOOK_GOOGLE_FILE='{file.absolute()}'")
        if keys.until:
            self.tell(
                f"\nGoogle ends this token on {keys.until:%Y-%m-%d %H:%M} UTC, because the app is in testing.\n"
                "Publish it (3. above), then: tallybook sheets setup --again"
            )
        return where

    def print_env(self, values: Mapping[str, str]) -> None:
        """The one place where secrets are shown, because they were asked for."""
        from shlex import quote

        self.terminal.data("".join(f"{name}={quote(value)}\n" for name, value in values.items()))
        self.tell("These are secrets: set them on the host, put them into no repository.")

    # -- the document ----------------------------------------------------------------------------------------

    def place(self, keys: Keys) -> str | None:
        """The id of the document, created if that was wished; None where none was."""
        from tallybook.sheets import Session, document as named, link

        if keys.account and not self.document and self.terminal.can_ask:
            self.document = self.terminal.ask("Document that is shared with it: its address or id") or None
        elif not keys.account:
            self.ask_for_document()
        if self.create:
            made = Session(keys=keys, api=self.places.api, env={}).create(self.create)
            self.tell(f"The document {self.create!r} is made: {link(made)}")
            return made
        return named(self.document).id if self.document else None


def has_browser(env: Mapping[str, str]) -> bool:
    """Whether a window can be opened here; a browser of letters would take the terminal."""
    if env.get("BROWSER"):
        return True
    if sys.platform in ("darwin", "win32") or os.name == "nt":
        return not env.get("SSH_CONNECTION")
    return bool(env.get("DISPLAY") or env.get("WAYLAND_DISPLAY"))


def open_browser(url: str) -> bool:
    import webbrowser

    return webbrowser.open(url)
