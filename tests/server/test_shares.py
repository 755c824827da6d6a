"""A signed link shows one board or view within its filters, until it ends or is revoked; nothing else is let in."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tallybook.cli import invoke
from tallybook.server.shares import SHARED_DATA
from tests.server.served import Answer, Served, own

__all__ = ["own"]

BOARD = """
[boards.money]
title = "Money"
scope = "month"
last = "2 months"
views = [{ metrics = ["mrr"] }, { metrics = ["signups"], by = ["plan"] }]
"""


@pytest.fixture
def shared(own: Served) -> Served:
    file = own.project.folder / "tallybook.toml"
    file.write_text(file.read_text() + BOARD)
    own.peer = ("10.1.2.3", 1)
    return own


def run(served: Served, *words: str) -> tuple[int, Any, str]:
    out, err = io.StringIO(), io.StringIO()
    folder = ["--project", str(served.project.folder)]
    code = invoke(["shares", *words, *folder], stdout=out, stderr=err, now=lambda: served.project.now)
    served.keys.refresh()
    text = out.getvalue()
    return code, json.loads(text) if text.startswith("{") else text, err.getvalue()


def made(served: Served, *words: str) -> tuple[str, str]:
    """(id, signed text) of a new link."""
    if not served.keys.by_hash:
        served.key("share", "share")
    code, found, said = run(served, "create", *words, "--format", "json")
    assert code == 0, said
    return found["id"], found["link"].rpartition("/s/")[2]


def opened(served: Served, text: str) -> Answer:
    return served.ask("GET", f"{SHARED_DATA}{text}")


def signed(payload: dict[str, Any], secret: str) -> str:
    """As another program signs, by the documentation alone."""
    encoded = base64.urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=").decode()
    digest = hmac.new(secret.encode(), f"v1.{encoded}".encode(), hashlib.sha256).digest()
    return f"v1.{encoded}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def test_a_board_is_shared_within_its_filter_without_a_key(shared: Served) -> None:
    _, text = made(shared, "money", "--where", "plan=pro")
    answer = opened(shared, text)
    assert answer.status == 200, answer.body
    mrr, signups = answer.json["answers"]
    assert [row["mrr"] for row in mrr["rows"]] == [100, 100]
    assert {row["plan"] for row in signups["rows"]} == {"pro"}
    assert text not in json.dumps(shared.ask("GET", "/v1/status").json)


def test_a_view_is_shared_by_its_link(shared: Served) -> None:
    _, text = made(shared, "http://127.0.0.1:8321/q?metrics=mrr&scope=month&by=plan&chart=bar")
    (answer,) = opened(shared, text).json["answers"]
    assert [column["name"] for column in answer["columns"]] == ["period", "plan", "mrr"]


def test_a_link_opens_nothing_else(shared: Served) -> None:
    _, text = made(shared, "money")
    assert shared.ask("GET", "/v1/query?metrics=mrr", authorization=f"Bearer {text}").status == 401
    assert shared.ask("GET", "/v1/query?metrics=mrr", cookie=f"tallybook={text}").status == 401
    assert shared.ask("POST", f"{SHARED_DATA}{text}").status == 405


def test_what_is_forged_trimmed_or_stretched_is_refused(shared: Served) -> None:
    _, text = made(shared, "money", "--where", "plan=pro")
    version, payload, signature = text.split(".")
    said = json.loads(base64.urlsafe_b64decode(payload + "=="))
    wider = base64.urlsafe_b64encode(json.dumps({**said, "where": []}).encode()).rstrip(b"=").decode()
    changed = [
        f"{version}.{wider}.{signature}", f"{version}.{payload}.{signature[:-1]}", f"{version}.{payload}.",
        f"{version}.{payload}", f"{text}A", f"{text}=", f"{version}.{payload}=.{signature}", f"v2.{payload}.{signature}",
        f"{version}.{payload}.{signature}.{signature}", payload, "", "x", f"{version}.{payload}.{'A' * 43}",
        f" {text}", f"{version}.{payload}%00.{signature}", signed({**said, "where": []}, "another secret"),
    ]  # fmt: skip
    assert {opened(shared, one).status for one in changed} == {403}
    assert opened(shared, text).status == 200


def test_a_link_ends_with_whom_to_ask(shared: Served) -> None:
    _, text = made(shared, "money", "--until", "2d", "--by", "ada@acme.com")
    shared.project.at("2024-02-13T12:00")
    shared.keys.refresh()
    answer = opened(shared, text)
    assert (answer.status, answer.json["code"], answer.json["ask"]) == (410, "gone", "ada@acme.com")


def test_a_revoked_link_is_refused_at_once_and_stays_listed(shared: Served) -> None:
    share_id, text = made(shared, "money")
    assert opened(shared, text).status == 200
    assert run(shared, "revoke", share_id)[0] == 0
    assert opened(shared, text).status == 410
    (one,) = run(shared, "list", "--format", "json")[1]["shares"]
    assert (one["id"], one["board"], bool(one["seen"]), bool(one["revoked"])) == (share_id, "money", True, True)
    assert text not in run(shared, "list")[1]
    assert run(shared, "revoke", "unknown")[0] == 2


def test_another_program_signs_with_the_text_of_the_key_and_its_link_is_listed(shared: Served) -> None:
    secret = shared.key("portal", "share")
    until = int(datetime(2024, 3, 1, tzinfo=UTC).timestamp())
    payload = {"id": "acme-1", "until": until, "view": {"metrics": ["mrr"], "scope": "month"}, "where": ["account=a1"]}
    (answer,) = opened(shared, signed(payload, secret)).json["answers"]
    assert [row["mrr"] for row in answer["rows"]] == [50, 50]
    (one,) = run(shared, "list", "--format", "json")[1]["shares"]
    assert (one["id"], one["maker"], one["where"]) == ("acme-1", "elsewhere", ["account=a1"])
    assert run(shared, "revoke", "acme-1")[0] == 0
    assert opened(shared, signed(payload, secret)).status == 410


@pytest.mark.parametrize(
    "change",
    [{"until": None}, {"until": "2024-03-01"}, {"until": True}, {"until": 10**30}, {"view": None}, {"id": ""},
     {"board": "money"}, {"where": "plan=pro"}, {"where": ["plan"]}, {"view": {"metric": 1}}, {"scope": "admin"},
     {"view": {"metrics": ["mrr"], "within": []}}],
)  # fmt: skip
def test_a_signed_text_that_is_no_link_is_refused(shared: Served, change: dict[str, Any]) -> None:
    secret = shared.key("portal", "share")
    payload = {"id": "a", "until": 1709251200, "view": {"metrics": ["mrr"]}} | change
    assert opened(shared, signed(payload, secret)).status == 403


def test_a_link_of_nothing_shows_nothing(shared: Served) -> None:
    secret = shared.key("portal", "share")
    for view in ({}, {"metrics": []}, {"metrics": [""]}):
        answer = opened(shared, signed({"id": "a", "until": 1709251200, "view": view}, secret))
        assert answer.status in (400, 403)


def test_the_secret_of_a_key_that_was_rotated_signs_no_more(shared: Served) -> None:
    from tallybook.ingest import rotate_key

    _, text = made(shared, "money")
    new = rotate_key(shared.events, "share")
    shared.keys.refresh()
    assert opened(shared, text).status == 403
    assert opened(shared, made(shared, "money")[1]).status == 200
    assert new.startswith("tb_s_")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mony"], "did you mean 'money'?"), (["money", "--until", "2020-01-01"], "which is past"),
        (["money", "--where", "plan"], "--where 'plan' is not understood"), (["/q?metric=mrr&scoop=x"], "no option 'scoop'"),
    ],
)  # fmt: skip
def test_a_link_that_could_show_nothing_is_not_made(shared: Served, words: list[str], said: str) -> None:
    shared.key("share", "share")
    code, _, error = run(shared, "create", *words)
    assert code == 2
    assert said in error


def test_without_a_share_key_the_command_says_how_to_make_one(shared: Served) -> None:
    code, _, error = run(shared, "create", "money")
    assert code == 2
    assert "tallybook keys create share --scope share" in error
