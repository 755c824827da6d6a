"""Connecting Google Sheets: consent, keys, and every way in which it can go wrong, each with its next step."""

from __future__ import annotations

import io
import json
import os
import re
import sys
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tallybook.cli import invoke
from tallybook.core.errors import DeclarationError, DestinationRefused, SignInError
from tallybook.deliver.destinations.google_sheets.onward import continue_elsewhere
from tallybook.deliver.destinations.google_sheets.tab import OVERVIEW
from tallybook.sheets import credentials
from tallybook.sheets.api import Api
from tallybook.sheets.consent import ConsentRequest, OAuthClient, client_file, code_in, exchange_answer, request_consent
from tallybook.sheets.credentials import FILES, SPREADSHEETS, Keys
from tallybook.sheets.marks import DELIVERY
from tallybook.sheets.pace import Patience
from tallybook.sheets.refusals import Answer, refusal
from tallybook.sheets.service_urls import ServiceUrls
from tallybook.sheets.session import Session
from tallybook_emulators.sheets import Emulator

NOW = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
CLIENT = OAuthClient("id.apps.googleusercontent.com", "GOCSPX-secret")
KEYS = Keys(client_id="id", client_secret="a-client-secret", refresh_token="1//a-refresh-token", scopes=(SPREADSHEETS,))

# --- the request and its answer -------------------------------------------------------------------------------


def asked() -> Any:
    return request_consent(CLIENT, [FILES], ServiceUrls(), redirect="http://127.0.0.1:5000")


def test_the_request_has_what_rfc_8252_and_google_want() -> None:
    request = asked()
    said = {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}
    assert request.url.startswith("https://accounts.google.com/o/oauth2/v2/auth?")
    assert said["redirect_uri"] == "http://127.0.0.1:5000"
    assert said["code_challenge_method"] == "S256"
    assert said["scope"] == FILES
    assert (said["access_type"], said["prompt"]) == ("offline", "consent")
    assert 43 <= len(request.verifier) <= 128
    assert request.verifier not in request.url
    assert CLIENT.secret not in request.url
    assert asked().state != request.state


def test_the_code_is_taken_out_of_the_address() -> None:
    request = asked()
    assert code_in(request, f" http://127.0.0.1:5000/?state={request.state}&code=4/0abc&scope=x\n") == "4/0abc"


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://127.0.0.1:5000/?state={state}&error=access_denied", "refused on Google's page"),
        ("http://127.0.0.1:5000/?state=other&code=4/0abc", "another request"),
        ("http://127.0.0.1:5000/?code=4/0abc", "another request"),
        ("http://127.0.0.1:5000/?state=zustä€nd&code=4/0abc", "another request"),
        ("http://127.0.0.1:5000/?state=%ff&code=4/0abc", "another request"),
        ("http://127.0.0.1:5000/?state={state}&error=invalid_scope", "invalid_scope"),
        ("4/0abc", "not the address"),
        ("", "not the address"),
    ],
)
def test_a_wrong_address_is_told_with_the_next_step(address: str, told: str) -> None:
    request = asked()
    with pytest.raises(SignInError, match=told) as raised:
        code_in(request, address.format(state=request.state))
    assert "tallybook sheets setup" in raised.value.hint


def test_secrets_are_in_no_repr() -> None:
    for held in (KEYS, CLIENT, asked()):
        for secret in ("secret", "a-refresh-token"):
            assert secret not in repr(held)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ({"web": {"client_id": "a", "client_secret": "b"}}, "type 'web'"),
        ({"type": "service_account"}, "not the JSON of an OAuth client"),
        ([], "not the JSON"),
        ("{", "not the JSON"),
    ],
)
def test_a_wrong_client_file_is_told(tmp_path: Path, written: Any, told: str) -> None:
    file = tmp_path / "client.json"
    file.write_text(written if isinstance(written, str) else json.dumps(written))
    with pytest.raises(DeclarationError, match=told) as raised:
        client_file(file)
    assert "console.cloud.google.com" in raised.value.hint


def test_id_and_secret_that_changed_places_are_noticed() -> None:
    with pytest.raises(DeclarationError, match="the client id is a client secret"):
        OAuthClient("GOCSPX-abc", "id.apps.googleusercontent.com")


# --- keeping keys ---------------------------------------------------------------------------------------------


def test_keys_are_kept_for_their_owner_only_and_come_back_the_same(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "google.json"
    keys = Keys(**{**vars(KEYS), "since": NOW, "until": NOW})
    credentials.save_keys(keys, file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]
    assert credentials.load(file) == Keys(**{**vars(keys), "place": str(file)})
    assert json.loads(file.read_text())["type"] == "authorized_user"


def test_a_save_that_fails_leaves_the_old_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "google.json"
    credentials.save_keys(KEYS, file)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        credentials.save_keys(Keys(client_id="x", client_secret="y", refresh_token="z"), file)
    assert credentials.load(file).refresh_token == KEYS.refresh_token
    assert list(tmp_path.iterdir()) == [file]


def test_the_environment_counts_before_the_file(tmp_path: Path) -> None:
    credentials.save_keys(KEYS, tmp_path / "tallybook" / "google.json")
    env = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert credentials.find_keys(env).refresh_token == KEYS.refresh_token
    words = credentials.key_variables(Keys(client_id="a", client_secret="b", refresh_token="c"))
    assert credentials.find_keys(env | words).client_id == "a"
    del words[credentials.NAMES["client_secret"]]
    with pytest.raises(DeclarationError, match="TALLYBOOK_GOOGLE_CLIENT_SECRET"):
        credentials.find_keys(env | words)


def test_a_keyring_holds_the_secrets_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring: dict[tuple[str, str], str] = {}
    module: Any = types.ModuleType("keyring")
    module.set_password = lambda service, user, text: ring.update({(service, user): text})
    module.get_password = lambda service, user: ring.get((service, user))
    monkeypatch.setitem(sys.modules, "keyring", module)
    credentials.save_keys(KEYS, tmp_path / "google.json", keyring=True)
    assert KEYS.refresh_token not in (tmp_path / "google.json").read_text()
    assert credentials.load(tmp_path / "google.json").refresh_token == KEYS.refresh_token
    ring.clear()
    with pytest.raises(DeclarationError, match="no longer contains"):
        credentials.load(tmp_path / "google.json")
    module.get_password = lambda service, user: 1 / 0
    with pytest.raises(DeclarationError, match="keyring reported an error"):
        credentials.load(tmp_path / "google.json")


@pytest.mark.parametrize("written", ["", "[]", '{"client_id": "x"}', '{"type": "service_account"}'])
def test_a_file_that_is_not_ours_is_told(tmp_path: Path, written: str) -> None:
    (tmp_path / "google.json").write_text(written)
    with pytest.raises(DeclarationError):
        credentials.load(tmp_path / "google.json")


# --- refusals -------------------------------------------------------------------------------------------------


def answer(status: int, message: str = "said", reason: str = "", **metadata: str) -> Answer:
    detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "metadata": metadata}
    return Answer(status, {"error": {"code": status, "message": message, "details": [detail]}})


@pytest.mark.parametrize(
    ("given", "account", "message", "hint"),
    [
        (answer(403, reason="SERVICE_DISABLED", activationUrl="https://on.example/x"), "", "not enabled", "https://on.example/x"),
        (answer(403, reason="ACCESS_TOKEN_SCOPE_INSUFFICIENT"), "", "consent does not cover", "tick the box"),
        (answer(403), "", "no permission", "share it with the account"),
        (answer(403), "robot@x.iam", "no permission", "share it with robot@x.iam"),
        (answer(404), "", "document DOC", "sheets setup --document DOC"),
        (answer(404), "robot@x.iam", "not shared with robot@x.iam", "add robot@x.iam as Editor"),
        (answer(400, "You are trying to edit a protected cell or object."), "", "protected", "Protect sheets and ranges"),
        (answer(429, quota_limit="WritesPerMinute", quota_limit_value="60"), "", "WritesPerMinute = 60", "in a minute"),
        (answer(503), "", "responds with 503", "try again"),
        (answer(401), "", "token", "sheets setup"),
        (Answer(302), "", "responds with 302", ""),
    ],
)  # fmt: skip
def test_every_refusal_says_the_next_step(given: Answer, account: str, message: str, hint: str) -> None:
    told = refusal(given, document="DOC", account=account)
    assert message in told.message
    assert hint in told.hint


def test_the_older_form_of_refusals_is_understood() -> None:
    full = Answer(403, {"error": {"message": "full", "errors": [{"reason": "storageQuotaExceeded"}]}})
    assert "cannot create a document" in refusal(full, account="robot@x.iam").message
    assert "Drive is full" in refusal(full).message
    busy = Answer(
        403, {"error": {"message": "slow", "errors": [{"reason": "userRateLimitExceeded"}]}}, {"retry-after": "7"}
    )
    assert busy.is_busy
    assert getattr(refusal(busy), "retry_after") == 7  # noqa: B009


# --- the command, against an emulator of Google -------------------------------------------------------------------

TOML = """
[book]
timezone = "UTC"

[sources.app]
url = "sqlite:///app.db"

[metrics.signups]
table = "users"
time = "created_at"
measure = "count(*)"

[deliveries.daily]
to = "csv"
path = "daily.csv"
metrics = ["signups"]
"""


@pytest.fixture
def google() -> Iterator[Emulator]:
    with Emulator(start=NOW, quotas=None) as emulator:
        yield emulator
        assert emulator.mistakes == []


class Person(io.StringIO):
    """Somebody at the keyboard, who answers the questions one after the other; an answer may look at the screen."""

    def __init__(self, command: Command, answers: list[Any]) -> None:
        super().__init__()
        self.command, self.answers = command, answers

    def isatty(self) -> bool:
        return True

    def readline(self, size: int = -1, /) -> str:
        if not self.answers:
            return ""
        said = self.answers.pop(0)
        return (said(self.command.screen.getvalue()) if callable(said) else said) + "\n"


class Command:
    """`tallybook sheets …` in a folder of its own, with a browser that somebody uses."""

    def __init__(self, folder: Path, google: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.google = folder, google
        self.approve, self.ticked = True, None
        self.out = self.err = ""
        self.code = -1
        self.screen = io.StringIO()
        self.file = folder / "config" / "tallybook" / "google.json"
        self.env = {"XDG_CONFIG_HOME": str(folder / "config"), "DISPLAY": ":0"}
        monkeypatch.setattr("webbrowser.open", self.browse)

    def browse(self, url: str) -> bool:
        """The browser goes to Google's page, and from there to where it is sent, meanwhile."""
        go = {"approve": self.approve, "scopes": self.ticked}
        threading.Thread(target=self.google.visit, args=(url,), kwargs=go, daemon=True).start()
        return True

    def __call__(self, *argv: str, answers: list[Any] | None = None, **env: str) -> Command:
        out = io.StringIO()
        self.screen = io.StringIO()
        person = Person(self, answers or []) if answers is not None else io.StringIO()
        self.code = invoke(
            ["sheets", *argv, "--project", str(self.folder)], now=lambda: NOW, stdout=out, stderr=self.screen,
            stdin=person, env=self.env | {"TALLYBOOK_GOOGLE_API": self.google.url} | env,
        )  # fmt: skip
        self.out, self.err = out.getvalue(), self.screen.getvalue()
        return self

    @property
    def client(self) -> list[str]:
        return ["--client-id", self.google.client_id, "--client-secret", self.google.client_secret]

    def connect(self, *argv: str) -> Command:
        return self("setup", *self.client, *argv)

    @property
    def keys(self) -> Any:
        return json.loads(self.file.read_text())


@pytest.fixture
def run(tmp_path: Path, google: Emulator, monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(tmp_path, google, monkeypatch)


def test_the_wizard_from_nothing_to_code_that_writes_a_row(run: Command, google: Emulator) -> None:
    document = google.create("Metrics", tabs=["Daily", "Übersicht 2"])
    (run.folder / "tallybook.toml").write_text(TOML)
    run(
        "setup",
        answers=[google.client_id, google.client_secret, f"https://docs.google.com/spreadsheets/d/{document}/edit"],
    )
    assert run.code == 0
    for step in ("projectcreate", "sheets.googleapis.com", "Desktop app", "Publish app"):
        assert step in run.err
    assert f'worksheet = session.worksheet("{document}", 0)   # Daily' in run.out
    assert "1,000 × 26" in run.out
    assert "[deliveries.daily_2]" in run.out
    assert "[deliveries.ubersicht_2]" in run.out
    assert 'metrics = ["signups"]' in run.out
    assert run.keys["scopes"] == [SPREADSHEETS]
    assert run.file.stat().st_mode & 0o777 == 0o600

    code = re.sub(
        r"^    ",
        "",
        run.out.partition("In Python, with the line of one worksheet:\n")[2].partition("In tallybook.toml")[0],
        flags=re.MULTILINE,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", run.env["XDG_CONFIG_HOME"])
        exec(code, {})  # what is printed is pasted
    assert google.document(document).tabs[1].values == [[1, 2, 5]]


def test_the_wizard_makes_a_document_with_the_narrowest_consent(run: Command, google: Emulator) -> None:
    run("setup", answers=[google.client_id, google.client_secret, "", "Our numbers"])
    assert run.code == 0, run.err
    assert run.keys["scopes"] == [FILES]
    made = re.search(r'session\.worksheet\("([\w-]+)", 0\)', run.out)
    assert made
    assert google.document(made[1]).title == "Our numbers"


def test_everything_can_be_given_and_no_terminal_is_needed(run: Command, google: Emulator) -> None:
    (run.folder / "client.json").write_text(json.dumps(google.client_secrets))
    run("setup", "--client-file", str(run.folder / "client.json"), "--create", "Metrics", "--format", "json")
    assert run.code == 0
    said = json.loads(run.out)
    assert said["keys"] == str(run.file)
    assert said["worksheets"][0]["python"] == f'worksheet = session.worksheet("{said["document"]}", 0)'
    assert said["worksheets"][0]["delivery"].startswith("[deliveries.sheet1]")


def test_on_a_server_the_address_is_pasted_back(run: Command, google: Emulator) -> None:
    document = google.create("Metrics")

    def address(screen: str) -> str:
        found = re.search(r"http\S+/o/oauth2/\S+", screen)
        assert found
        return google.visit(found[0], follow=False).url

    run("setup", "--no-browser", "--document", document, *run.client, answers=[address])
    assert run.code == 0, run.err
    assert "fails to open" in run.err
    assert document in run.out
    del run.env["DISPLAY"]
    run("setup", "--again", "--document", document, *run.client, answers=[address])
    assert run.code == (0 if sys.platform == "linux" else run.code), run.err


def test_keys_that_are_there_are_used_again(run: Command, google: Emulator) -> None:
    document = google.create("Metrics")
    assert run.connect("--document", document).code == 0
    consents = len(google.oauth.refreshes)
    assert run("setup", "--document", document).code == 0
    assert "--again" in run.err
    assert len(google.oauth.refreshes) == consents
    assert run.connect("--again", "--document", document).code == 0
    assert len(google.oauth.refreshes) == consents + 1


def test_a_document_made_elsewhere_needs_a_wider_consent_than_one_made_here(run: Command, google: Emulator) -> None:
    assert run.connect("--create", "Ours").code == 0
    theirs = google.create("Theirs")
    assert run("list", theirs).code == 2
    assert "setup --document" in run.err
    assert run("setup", "--document", theirs).code == 0
    assert "Using the client of" in run.err
    assert run.keys["scopes"] == [SPREADSHEETS]


def test_keys_for_a_host_without_a_disk(run: Command, google: Emulator) -> None:
    document = google.create("Metrics")
    run.connect("--print-env", "--document", document)
    assert run.code == 0
    assert not run.file.exists()
    lines = dict(line.split("=", 1) for line in run.out.splitlines())
    assert set(lines) == set(credentials.NAMES.values())
    token = lines[credentials.NAMES["refresh_token"]]
    assert token in google.oauth.refreshes
    assert token not in run.err
    with Session(env=lines | {"TALLYBOOK_GOOGLE_API": google.url}) as session:
        session.worksheet(document).append(1).save_row()
    assert google.document(document).tabs[0].values == [[1]]


def test_a_token_that_was_granted_before_needs_no_consent(run: Command, google: Emulator) -> None:
    document = google.create("Metrics")
    token = google.authorized_user()["refresh_token"]
    assert run.connect("--refresh-token", token, "--document", document).code == 0
    assert document in run.out
    assert token not in run.out + run.err


def test_no_secret_is_shown(run: Command, google: Emulator) -> None:
    document = google.create("Metrics")
    run.connect("--document", document)
    run("doctor", "--document", document, TALLYBOOK_DEBUG="1")
    for secret in (run.keys["refresh_token"], google.client_secret):
        assert secret not in run.out + run.err


# --- service accounts -------------------------------------------------------------------------------------------


@pytest.fixture
def robot(run: Command, google: Emulator) -> Path:
    file = run.folder / "robot.json"
    file.write_text(json.dumps(google.service_account()))
    return file


def test_a_service_account_is_told_its_trap_before_it_bites(run: Command, google: Emulator, robot: Path) -> None:
    email = google.service_account()["client_email"]
    run("setup", "--service-account", str(robot))
    assert run.code == 0
    assert "cannot create files" in run.err
    assert email in run.err
    assert "PRIVATE" not in run.file.read_text()
    run("setup", "--service-account", str(robot), "--create", "Metrics")
    assert run.code == 2
    assert "cannot create a document" in run.err
    assert [seen for seen in google.requests if seen.method.endswith("create")] == []


def test_a_service_account_writes_what_is_shared_with_it(run: Command, google: Emulator, robot: Path) -> None:
    email = google.service_account()["client_email"]
    document = google.create("Metrics", tabs=["Daily"])
    run("setup", "--service-account", str(robot), "--document", document)
    assert run.code == 2
    assert f"share it with {email}" in run.err or f"add {email} as Editor" in run.err
    google.share(document, email, "reader")
    assert run("setup", "--service-account", str(robot), "--document", document).code == 0
    session = Session(env=run.env | {"TALLYBOOK_GOOGLE_API": google.url})
    sheet = session.worksheet(document).append(1)
    with pytest.raises(DestinationRefused, match="no permission") as raised:
        sheet.save_row()
    assert email in raised.value.hint
    google.share(document, email)
    session.close()
    assert google.document(document)["Daily"].values == [[1]]
    with pytest.raises(DestinationRefused, match="cannot create a document"):
        session.create("Mine")


def test_who_cannot_create_documents_says_in_which_a_full_one_goes_on(
    run: Command, google: Emulator, robot: Path
) -> None:
    email = google.service_account()["client_email"]
    full, new, other = (google.create(title, share_with=[email]) for title in ("Metrics", "Next", "Other"))
    run("setup", "--service-account", str(robot), "--document", full)
    assert run("continue", full, "--in", new).code == 0
    assert run.out == f"New rows of {full} go to 'Next': https://docs.google.com/spreadsheets/d/{new}/edit\n"
    assert run("continue", full, "--in", new).code == 0, "said again, it is the same"
    assert run("continue", full, "--in", other).code == 2
    assert f"is continued by {new} already" in run.err
    assert f"tallybook sheets continue {new} --in {other}" in run.err
    assert run("continue", full, "--in", full).code == 2
    api = Api(Keys(service_account=google.service_account()), ServiceUrls(google.url))
    with pytest.raises(DestinationRefused, match="cannot create the next") as refused:
        continue_elsewhere(api, api.read(other, fields=OVERVIEW), other)
    assert refused.value.hint == f"create one, share it with {email}, then: tallybook sheets continue {other} --in DOC"


def test_the_key_of_a_service_account_may_be_in_the_environment(run: Command, google: Emulator, robot: Path) -> None:
    document = google.create("Metrics", share_with=[google.service_account()["client_email"]])
    run("setup", "--service-account", str(robot), "--print-env")
    name, _, text = run.out.strip().partition("=")
    assert name == "TALLYBOOK_GOOGLE_SERVICE_ACCOUNT"
    run.file.unlink(missing_ok=True)
    assert run("list", document, TALLYBOOK_GOOGLE_SERVICE_ACCOUNT=text.strip("'").replace("'\"'\"'", "'")).code == 0
    run("list", document, TALLYBOOK_GOOGLE_SERVICE_ACCOUNT=str(robot))
    assert run.code == 0
    google.oauth.services.clear()
    run("list", document, TALLYBOOK_GOOGLE_SERVICE_ACCOUNT=str(robot))
    assert run.code == 2
    assert "does not accept the key" in run.err


# --- every mistake, with its next step ----------------------------------------------------------------------------


def test_a_client_that_google_does_not_know(run: Command, google: Emulator) -> None:
    run("setup", "--client-id", google.client_id, "--client-secret", "wrong", "--create", "X")
    assert run.code == 2
    assert "does not know this client" in run.err
    assert "console.cloud.google.com/auth/clients" in run.err
    assert "wrong" not in run.err
    assert not run.file.exists()


def test_a_consent_that_is_refused(run: Command) -> None:
    run.approve = False
    run.connect("--create", "X")
    assert run.code == 2
    assert "refused on Google's page" in run.err
    assert "tallybook sheets setup" in run.err


def test_a_box_that_was_not_ticked(run: Command) -> None:
    run.ticked = ["openid"]
    run.connect("--create", "X")
    assert run.code == 2
    assert "does not cover drive.file" in run.err


def test_a_browser_that_does_not_come_back(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webbrowser.open", lambda url: True)
    run.connect("--create", "X", "--wait", "1")
    assert run.code == 2
    assert "no redirect from the browser within 1 seconds" in run.err
    assert "--no-browser" in run.err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda url: re.sub(r"code=[^&]+", "code=4%2F0wrong", url), "does not accept the code"),
        (lambda url: re.sub(r"state=[^&]+", "state=other", url), "another request"),
        (lambda url: "4/0abc", "not the address"),
    ],
)
def test_a_wrong_code_or_state_is_told(run: Command, google: Emulator, change: Any, told: str) -> None:
    def address(screen: str) -> str:
        found = re.search(r"http\S+/o/oauth2/\S+", screen)
        assert found
        return str(change(google.visit(found[0], follow=False).url))

    run("setup", "--no-browser", "--create", "X", *run.client, answers=[address])
    assert run.code == 2
    assert told in run.err
    assert not run.file.exists()


def test_a_code_holds_once(run: Command, google: Emulator) -> None:
    request = request_consent(
        OAuthClient(google.client_id, google.client_secret),
        [FILES],
        ServiceUrls(google.url),
        redirect="http://127.0.0.1:5000",
    )
    url = google.visit(request.url, follow=False).url
    assert exchange_answer(request, url, ServiceUrls(google.url), now=NOW).refresh_token
    with pytest.raises(SignInError, match="does not accept the code"):
        exchange_answer(request, url, ServiceUrls(google.url), now=NOW)
    other = request_consent(request.client, [FILES], ServiceUrls(google.url), redirect=request.redirect)
    url = google.visit(request.url, follow=False).url
    with pytest.raises(SignInError, match="does not accept the code"):  # the verifier is not the one of the request
        exchange_answer(
            ConsentRequest(**{**vars(request), "verifier": other.verifier}), url, ServiceUrls(google.url), now=NOW
        )


def test_a_revoked_token(run: Command, google: Emulator) -> None:
    document = google.create("Metrics")
    run.connect("--document", document)
    google.oauth.revoke(run.keys["refresh_token"])
    for verb in (["list", document], ["doctor"]):
        run(*verb)
        assert run.code in (2, 4)
        assert "revoked or expired" in run.out + run.err
        assert "tallybook sheets setup" in run.out + run.err
    assert run("setup", "--document", document).code == 0
    assert "connecting again" in run.err
    assert run("list", document).code == 0


def test_a_token_of_an_app_in_testing_ends_after_seven_days(run: Command, google: Emulator) -> None:
    document = google.create("Metrics")
    run.connect("--document", document)
    assert "This token expires on 2026-03-17" in run.err
    assert "expires in 7.0 days" in run("doctor").out
    assert run.code == 0
    google.clock.advance(days=8)
    run("list", document)
    assert run.code == 2
    assert "according to Google it expires on 2026-03-17" in run.err
    assert "Publish app" in run.err


def test_a_token_of_a_published_app_does_not_end(run: Command, google: Emulator) -> None:
    google.oauth.published = True
    run.connect("--create", "Metrics")
    assert "Google ends this token" not in run.err
    assert "expires only when revoked" in run("doctor").out


def test_no_network(run: Command, google: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("tallybook.sheets.api.Patience", partial(Patience, sleep=waits.append))
    document = google.create("Metrics")
    run.connect("--document", document)
    run("list", document, "--api", "http://127.0.0.1:9")
    assert run.code == 4
    assert "check the network" in run.err
    assert len(waits) > 3


def test_an_api_that_is_not_enabled(run: Command, google: Emulator) -> None:
    document = google.create("Metrics")
    run.connect("--document", document)
    disabled = {
        "error": {
            "code": 403, "message": "Google Sheets API has not been used in project 1 before or it is disabled.",
            "status": "PERMISSION_DENIED",
            "details": [{
                "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED", "domain": "googleapis.com",
                "metadata": {"activationUrl": "https://console.developers.google.com/apis/api/sheets.googleapis.com/overview?project=1"},
            }],
        }
    }  # fmt: skip
    with answering(403, disabled) as api:
        run("doctor", "--document", document, TALLYBOOK_GOOGLE_API=api)
    assert run.code == 4
    assert "is not enabled" in run.out
    assert "overview?project=1" in run.out


@contextmanager
def answering(status: int, body: Any) -> Iterator[str]:
    """A server that gives tokens and answers everything else in the same way."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.say(200, {"access_token": "x", "expires_in": 3600, "token_type": "Bearer"})

        def do_GET(self) -> None:
            self.say(status, body)

        def say(self, code: int, what: Any) -> None:
            text = json.dumps(what).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_document_that_is_not_there_or_not_shared(run: Command, google: Emulator) -> None:
    theirs = google.create("Theirs", owner="boss@example.com")
    run.connect("--document", theirs)
    assert run.code == 2
    assert "no permission" in run.err or "no document" in run.err
    assert run.file.exists()  # the consent holds, only the document is wrong
    run("list", "1_is_not_there")
    assert run.code == 2
    assert "1_is_not_there" in run.err


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["setup"], "no OAuth client given"),
        (["setup", "--document", "a b"], "neither the id nor the URL"),
        (["setup", "--document", "abcdef", "--create", "X"], "exclude each other"),
        (["setup", "--service-account", "x", "--client-id", "y"], "exclude each other"),
        (["setup", "--service-account", "nowhere.json"], "nowhere.json cannot be read"),
        (["setup", "--client-file", "nowhere.json"], "nowhere.json cannot be read"),
        (["setup", "--print-env", "--keyring"], "stores nothing"),
        (["setup", "--api", "localhost"], "not the URL of a service"),
        (["list"], "DOCUMENT"),
        (["list", "abcdef"], "no Google keys"),
        (["doctor"], "no Google keys"),
        (["dctor"], "did you mean 'doctor'?"),
    ],
)
def test_a_mistyped_command_is_told(run: Command, argv: list[str], told: str) -> None:
    assert run(*argv).code == 2
    assert told in run.err
    assert run.out == ""


def test_a_stopped_wizard_keeps_nothing(run: Command, google: Emulator) -> None:
    assert run("setup", answers=[google.client_id]).code == 130
    assert not run.file.exists()


# --- list and doctor ----------------------------------------------------------------------------------------------


def test_worksheets_are_listed_with_their_code(run: Command, google: Emulator) -> None:
    document = google.create("Metrics", tabs=["Only"], rows=7, columns=3)
    run.connect("--document", document)
    run("list", f"https://docs.google.com/spreadsheets/d/{document}/edit#gid=0", "--format", "json")
    assert run.code == 0
    (only,) = json.loads(run.out)["worksheets"]
    assert (only["id"], only["title"], only["rows"], only["columns"]) == (0, "Only", 7, 3)
    # Pointed elsewhere by the environment, what is pasted says so.
    assert f'api = "{google.url}"' in only["delivery"]


def test_a_worksheet_that_a_delivery_keeps_gets_no_second_delivery(run: Command, google: Emulator) -> None:
    document = google.create("Metrics", tabs=["Kept", "Declared", "Free"])
    run.connect("--document", document)
    person = google.person(document)
    person.request(
        "createDeveloperMetadata",
        developerMetadata={"metadataKey": DELIVERY, "metadataValue": "Acme/board#Daily", "visibility": "DOCUMENT",
                           "location": {"sheetId": google.document(document)["Kept"].id}},
    )  # fmt: skip
    run.folder.joinpath("tallybook.toml").write_text(
        f'[book]\nname = "Acme"\n[sources.app]\nurl = "sqlite:///app.db"\n[metrics.n]\ntable = "t"\ntime = "at"\nmeasure = "count(*)"\n'
        f'[deliveries.other]\nto = "google_sheets"\nspreadsheet = "{document}"\ntab = "declared"\nmetrics = ["n"]\n'
    )
    run("list", document, "--format", "json")
    listed = {sheet["title"]: sheet for sheet in json.loads(run.out)["worksheets"]}
    assert [(t, s["kept_by"], bool(s["delivery"])) for t, s in listed.items()] == [
        ("Kept", "Acme/board", False), ("Declared", "Acme/other", False), ("Free", "", True),
    ]  # fmt: skip
    assert "# 'Kept' is written by the delivery 'Acme/board'." in run("list", document).out


def test_the_doctor_says_how_everything_is(run: Command, google: Emulator) -> None:
    document = google.create("Metrics", rows=100_000, columns=26)
    run.connect("--document", document)
    said = run("doctor", "--document", document).out
    assert run.code == 0
    for line in ("✓ keys", "✓ token     valid, for spreadsheets", "✓ api", "2,600,000 cells of 10,000,000, 7,400,000 left",
                 "60 reads and 60 writes"):  # fmt: skip
        assert line in said
    run.file.chmod(0o644)
    assert f"chmod 600 '{run.file}'" in run("doctor").out
    full = google.create("Full", rows=370_000, columns=26)
    assert "delete empty rows" in run("doctor", "--document", full).out
    google.fault(429, path="v4", times=None)
    assert "quota" in run("doctor").out
    assert run.code == 4
    found = json.loads(run("doctor", "--format", "json").out)
    assert found["well"] is False


def test_help_has_examples_and_the_group_knows_the_project(run: Command) -> None:
    for verb in ("setup", "list", "doctor"):
        assert run(verb, "--help").code == 0
        assert f"tallybook sheets {verb}" in run.out


def test_without_the_packages_it_is_told_what_to_install(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.auth", None)
    run("setup", *run.client, "--create", "X")
    assert run.code == 2
    assert "pip install 'tallybook[google]'" in run.err
