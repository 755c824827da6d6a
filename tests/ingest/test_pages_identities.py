"""What a page may send with a browser key: declared events, about nobody but whom its signed identity names."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import tallybook
from tallybook.core import EventDeclaration, EventRules, EventSettings, IdentityRefused, ServeSettings, verify_identity
from tallybook.server.clients import DoorPolicy
from tallybook.server.entities import EntityDoor
from tallybook.storage import EntityLedger
from tests.ingest.doors import NOW, HttpDoor

SECRET, OTHER = "a secret of 24 characters", "another secret that is long"
ORIGIN = "https://app.acme.com"
SCRIPT = Path(tallybook.__file__).parent / "server" / "static" / "tallybook.js"
SOON = NOW + timedelta(hours=1)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[HttpDoor]:
    made = HttpDoor(tmp_path / "book")
    ready_for_pages(made)
    yield made
    made.commit.close()
    made.events.close()


def ready_for_pages(made: HttpDoor) -> None:
    """Two declared events, an origin, secrets, and a browser key: `page`."""
    made.app.entities = EntityDoor(EntityLedger(made.events.ledger), lambda: made.now)
    declared = {name: EventDeclaration(name=name) for name in ("signup", "click")}
    made.app.set_rules(EventRules(settings=EventSettings(declared=declared)))
    policy(made)
    made.page = made.new_key("page", scopes=("browser",))  # type: ignore[attr-defined]
    made.keys.refresh()


def counted(door: HttpDoor) -> int:
    """How many events are stored, compacted by the rules of the door."""
    door.compact(settings=door.app.rules.settings)
    return sum(file.rows for file in door.events.snapshot().files if file.event)


def policy(door: HttpDoor, *, identities: str = "signed") -> None:
    settings = ServeSettings(origins=(ORIGIN,), identity_secrets=(OTHER, SECRET), identities=identities)
    door.app.policy = DoorPolicy.of(settings, needs_proxy=False)


def sent(door: HttpDoor, *events: dict[str, Any], identity: str | None = None) -> list[str]:
    """The code and field of each rejection of a page's request, or the code of its refusal."""
    headers = {"X_Tallybook_Identity": identity} if identity is not None else {}
    answer = door.ask("POST", "/v1/events", list(events), door.page, Origin=ORIGIN, **headers)  # type: ignore[attr-defined]
    if "rejected" not in answer.json:
        return [f"{answer.status} {answer.json['code']}"]
    assert answer.json["stored"] == len(events) - len(answer.json["rejected"])
    return [f"{one['index']} {one['code']} {one['field']}" for one in answer.json["rejected"]]


def test_the_signature_is_the_one_that_any_language_makes() -> None:
    payload = base64.urlsafe_b64encode(b'{"user":"u-1","account":"acme","until":1772370000}').rstrip(b"=").decode()
    digest = hmac.new(SECRET.encode(), f"v1.{payload}".encode(), hashlib.sha256).digest()
    until = datetime(2026, 3, 1, 13, tzinfo=UTC)
    text = tallybook.sign("u-1", "acme", until, SECRET)
    assert text == f"v1.{payload}." + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    found = verify_identity(text, [OTHER, SECRET], until - timedelta(seconds=1))
    assert (found.user, found.account, found.until) == ("u-1", "acme", until)
    with pytest.raises(IdentityRefused, match="valid until 2026-03-01T13:00:00Z"):
        verify_identity(text, [SECRET], until)


@pytest.mark.parametrize("user", ["u-1", 4711, 'Zoë/東京 "x"', None])
def test_what_is_signed_is_read_back(user: str | int | None) -> None:
    text = tallybook.sign(user, "acme", SOON, SECRET)
    found = verify_identity(text, [SECRET], NOW)
    assert (found.user, found.account) == (None if user is None else str(user), "acme")


def forged(said: object, secret: str = SECRET) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode()
    digest = hmac.new(secret.encode(), f"v1.{payload}".encode(), hashlib.sha256).digest()
    return f"v1.{payload}." + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


WRONG = {
    "another secret": tallybook.sign("u-1", "acme", SOON, "a secret that nobody knows"),
    "another payload": "v1." + forged({"user": "u-2"}).split(".")[1] + "." + forged({"user": "u-1"}).split(".")[2],
    "no longer valid": tallybook.sign("u-1", "acme", NOW, SECRET),
    "nobody": forged({"until": SOON.timestamp()}),
    "no end": forged({"user": "u-1"}),
    "an endless number": forged({"user": "u-1", "until": 1e300}),
    "a list": forged(["u-1"]),
    "a user that is a list": forged({"user": ["u-1"], "until": SOON.timestamp()}),
    "no signature": "v1.e30",
    "empty": "",
    "another version": tallybook.sign("u-1", "acme", SOON, SECRET).replace("v1.", "v2."),
    "too long": "v1." + "a" * 5000 + ".b",
    "not base64": "v1.é.é",
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_a_forged_identity_is_refused_and_nothing_is_stored(door: HttpDoor, text: str) -> None:
    assert sent(door, {"event": "signup", "user": "u-1"}, identity=text) == ["403 identity"]
    assert sent(door, {"event": "signup"}, identity=text) == ["403 identity"]
    assert counted(door) == 0


def test_a_page_names_only_the_user_and_account_that_are_signed(door: HttpDoor) -> None:
    identity = tallybook.sign("u-1", "acme", SOON, SECRET)
    events = [
        {"event": "signup"},
        {"event": "signup", "user": "u-1", "account": "acme"},
        {"event": "signup", "user": "u-2"},
        {"event": "signup", "user": "u-1", "account": "other"},
        {"event": "undeclared", "user": "u-1"},
    ]
    assert sent(door, *events, identity=identity) == ["2 not_bound user", "3 not_bound account", "4 not_bound event"]
    assert sent(door, *events) == ["1 not_bound user", "2 not_bound user", "3 not_bound user", "4 not_bound event"]
    assert counted(door) == 3


def test_replaying_rejected_events_of_a_page_lets_no_forged_user_in(door: HttpDoor) -> None:
    assert sent(door, {"event": "signup", "user": "boss"}) == ["0 not_bound user"]
    assert counted(door) == 0
    assert door.ask("POST", "/v1/rejected/replay", key=door.writer).status == 200
    assert counted(door) == 0


def test_an_open_door_believes_pages_but_takes_only_declared_events(door: HttpDoor) -> None:
    policy(door, identities="open")
    assert sent(door, {"event": "click", "user": "anybody"}, {"event": "undeclared"}) == ["1 not_bound event"]
    wrong = tallybook.sign("u-1", "acme", SOON, "a secret that nobody knows")
    assert sent(door, {"event": "click"}, identity=wrong) == ["403 identity"]


def test_keys_that_are_not_for_pages_need_no_identity(door: HttpDoor) -> None:
    assert door.post({"event": "undeclared", "user": "anybody"}).json["stored"] == 1


def test_a_page_changes_attributes_of_nobody_but_whom_it_is_signed_for(door: HttpDoor) -> None:
    identity = {"X_Tallybook_Identity": tallybook.sign("u-1", "acme", SOON, SECRET)}
    body, page = {"attributes": {"role": "admin"}}, door.page  # type: ignore[attr-defined]

    def put(path: str, **headers: str) -> int:
        return door.ask("PUT", path, body, page, Origin=ORIGIN, **headers).status

    assert [put(f"/v1/{path}", **identity) for path in ("users/u-1", "accounts/acme")] == [200, 200]
    assert [put(f"/v1/{path}", **identity) for path in ("users/u-2", "accounts/u-1", "users/acme")] == [403] * 3
    assert put("/v1/users/u-1") == 403
    assert door.ask("PUT", "/v1/users/u-1", body, page, Origin="https://evil.example", **identity).status == 403
    assert door.ask("DELETE", "/v1/users/u-1", None, page, Origin=ORIGIN, **identity).status == 403
    assert door.ask("GET", "/v1/users/u-1", None, page, Origin=ORIGIN, **identity).status == 403
    asked = door.ask("OPTIONS", "/v1/users/u-1", Origin=ORIGIN)
    assert asked.status == 204
    assert "x-tallybook-identity" in asked.headers["access-control-allow-headers"]
    assert "PUT" in asked.headers["access-control-allow-methods"]


@pytest.mark.parametrize(
    "values",
    [("u", "a", SOON, "short"), ("u", "a", SOON.replace(tzinfo=None), SECRET), (None, "", SOON, SECRET)],
)
def test_what_could_never_be_accepted_is_not_signed(values: Any) -> None:
    with pytest.raises(tallybook.DeclarationError):
        tallybook.sign(*values)


def test_secrets_of_identities_come_from_the_environment_and_are_never_shown(tmp_path: Path) -> None:
    toml = '[book]\nname = "Acme"\nstart = "2026-01-01"\n[serve]\nidentity_secrets = ["${IDENTITY}", "${OLD:-}"]\n'
    (tmp_path / "tallybook.toml").write_text(toml)
    for _ in range(2):  # read, and from the cache
        with tallybook.open(tmp_path, env={"IDENTITY": SECRET}) as book:
            assert book.project.catalog.serve.identity_secrets == (SECRET,)
            book.store  # noqa: B018  # makes the book, and with it the place of the cache
            assert SECRET in book.project.secrets
    cached = list((tmp_path / "book" / "cache").glob("*"))
    assert cached
    assert all(SECRET.encode() not in path.read_bytes() for path in cached)
    with pytest.raises(tallybook.DeclarationError) as raised:
        tallybook.open(tmp_path, env={"IDENTITY": "too-short"})
    assert "identity_secrets has a secret that is too short" in str(raised.value)
    assert "too-short" not in str(raised.value)


# --- what pages include and send ------------------------------------------------------------------------------------


def test_the_script_is_small_public_and_cached(door: HttpDoor) -> None:
    answer = door.ask("GET", "/tallybook.js")
    assert (answer.status, answer.json) == (200, SCRIPT.read_text())
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert len(gzip.compress(SCRIPT.read_bytes())) <= 6_000
    assert not any(word in SCRIPT.read_text() for word in ("eval(", "new Function", "innerHTML", "document.cookie"))
    again = door.ask("GET", "/tallybook.js", If_None_Match=answer.headers["etag"])
    assert (again.status, again.json) == (304, None)
    assert door.ask("POST", "/tallybook.js").status == 405


def test_a_beacon_stores_with_the_key_and_signature_in_its_body(door: HttpDoor) -> None:
    page = door.page  # type: ignore[attr-defined]

    def beacon(origin: str = ORIGIN, **body: Any) -> tuple[int, Any]:
        text = json.dumps({"key": page, "events": [{"event": "signup", "id": "1"}], **body}).encode()
        answer = door.ask("POST", "/v1/beacon", text, Origin=origin, Content_Type="text/plain")
        return answer.status, answer.json

    status, said = beacon(events=[{"event": "signup", "id": "1", "user": "u-1"}, {"event": "signup", "user": "u-2"}],
                          identity=tallybook.sign("u-1", None, SOON, SECRET))  # fmt: skip
    assert (status, said["stored"], said["rejected"][0]["code"]) == (200, 1, "not_bound")
    assert beacon(origin="https://evil.example")[0] == 403
    assert beacon(key="tb_b_wrong")[0] == 401
    assert beacon(key=door.writer)[0] == 403
    assert beacon(identity="v1.x.y")[0] == 403
    assert [door.ask("POST", "/v1/beacon", text).status for text in (b"", b"[]", b'{"key": 1}', b"\xff")] == [400] * 4
    assert beacon(events=[{"event": "signup", "properties": {"a": "x" * 71_000}}])[0] == 413
    assert counted(door) == 1
    assert page.encode() not in b"".join(path.read_bytes() for path in (door.folder / "events").rglob("*.sqlite*"))
