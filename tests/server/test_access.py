"""Nobody reads without a key or a login, except at this machine; keys see only what they are bound to."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tallybook.cli import invoke
from tallybook.core import ServeSettings
from tallybook.server.audit_log import AuditFiles, AuditLog, AuditTable, audited
from tallybook.server.clients import DoorPolicy
from tallybook.server.queries import without_folders
from tallybook.server.sessions import safe_next
from tallybook.storage import AuditLines, BookLocation
from tests.ledgers import LEDGERS
from tests.server.served import Answer, Served, own, served

__all__ = ["own", "served"]

QUERY = "/v1/query?metrics=mrr&scope=month"


def read(served: Served, **headers: str) -> int:
    return served.ask("GET", QUERY, **headers).status


def as_peer(served: Served, peer: tuple[str, int] | None, **headers: str) -> int:
    before, served.peer = served.peer, peer
    try:
        return read(served, **headers)
    finally:
        served.peer = before


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8321", "[::1]:8321", "metrics.localhost:1"])
def test_a_person_at_this_machine_needs_no_key(served: Served, host: str) -> None:
    assert read(served, host=host) == 200


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        (("10.1.2.3", 1), {}),
        (None, {}),
        (("127.0.0.1", 1), {"host": "evil.example"}),
        (("127.0.0.1", 1), {"host": "127.0.0.1.evil.example"}),
        (("127.0.0.1", 1), {"host": "localhost.evil.example:8321"}),
        (("127.0.0.1", 1), {"host": ""}),
        *((("127.0.0.1", 1), {name: "127.0.0.1"}) for name in (
            "x-forwarded-for", "x-forwarded-host", "x-forwarded-anything", "forwarded", "via", "x-real-ip",
        )),
    ],
)  # fmt: skip
def test_others_rebound_names_and_proxies_need_one(served: Served, peer: Any, headers: dict[str, str]) -> None:
    assert as_peer(served, peer, **headers) == 401


def test_a_named_proxy_and_local_false_need_one_even_here(own: Served) -> None:
    for settings in (ServeSettings(proxies=("127.0.0.1",)), ServeSettings(local=False)):
        own.app.policy = DoorPolicy.of(settings, needs_proxy=False)
        assert read(own) == 401


def test_a_read_key_reads_and_others_do_not(own: Served) -> None:
    own.peer = ("10.1.2.3", 1)
    reader, writer, share = own.key("r"), own.key("w", "write"), own.key("s", "share")
    assert [own.ask("GET", QUERY, key=key).status for key in (reader, writer, share)] == [200, 403, 403]


# --- keys that are bound --------------------------------------------------------------------------------------------


def rows(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.json["rows"]
    return found


def test_a_key_of_a_plan_sees_only_that_plan(own: Served) -> None:
    key = own.key("pro", where=("plan=pro",))
    january = {"scope": "month", "to": "2024-01-31"}
    assert [row["mrr"] for row in rows(own.query(key, metrics=["mrr"], **january))] == [100]
    by_plan = rows(own.query(key, metrics=["mrr"], by=["plan"], totals=True, **january))
    assert {(row["plan"], row["mrr"]) for row in by_plan} == {("pro", 100), (None, 100)}
    assert "plan is 'pro'" in own.query(key, metrics=["mrr"], **january).json["explain"]


@pytest.mark.parametrize("where", [["plan=free"], ["plan=pro", "plan=free"], [" plan=free"], ["Plan=free"]])
def test_a_filter_never_opens_what_a_key_may_not_see(own: Served, where: list[str]) -> None:
    key = own.key("pro", where=("plan=pro",))
    answer = own.query(key, metrics=["mrr"], where=where, scope="all", show="last")
    assert answer.status in (400, 403)
    assert b"10" not in answer.body.replace(b"2010", b"").partition(b'"rows"')[2]


def test_excluding_filters_narrow_a_bound_key_further(own: Served) -> None:
    key = own.key("two", where=("plan=pro", "plan=free"))
    found = rows(own.query(key, metrics=["mrr"], where=["plan!=free"], scope="month", to="2024-01-31"))
    assert [row["mrr"] for row in found] == [100]
    found = rows(own.query(key, metrics=["mrr"], scope="month", to="2024-01-31"))
    assert [row["mrr"] for row in found] == [110]


def test_a_key_of_some_metrics_does_not_know_the_others(own: Served) -> None:
    key = own.key("signups", metrics=("signups",))
    assert own.query(key, metrics=["signups"]).status == 200
    hidden = own.query(key, metrics=["mrr"])
    assert (hidden.status, hidden.json["message"]) == (400, "there is no metric 'mrr'")
    assert "hint" not in own.query(key, metrics=["mrr_per_signu"]).json
    assert own.query(key, event="login", count=True).status == 403


def test_a_filter_that_a_metric_cannot_have_refuses_it(own: Served) -> None:
    key = own.key("one", where=("account=a0",))
    assert own.query(key, metrics=["mrr"]).status == 200
    refused = own.query(key, metrics=["signups"])
    assert (refused.status, refused.json["code"]) == (403, "not_bound")
    assert own.query(key, metrics=["mrr", "signups"]).status == 403
    assert own.query(key, metrics=["mrr_per_signup"]).status == 403


def test_a_key_of_an_account_reads_metrics_of_that_account(own: Served) -> None:
    key = own.key("acme", accounts=("a1",))
    assert [row["mrr"] for row in rows(own.query(key, metrics=["mrr"], scope="month", to="2024-01-31"))] == [50]
    assert own.query(key, metrics=["signups"]).status == 403


def test_two_readers_share_a_tag_only_where_they_see_the_same(own: Served) -> None:
    keys = [own.key(name, where=where) for name, where in (("a", ()), ("b", ()), ("c", ("plan=pro",)))]
    tags = [own.query(key, metrics=["mrr"]).headers["etag"] for key in (None, *keys)]
    assert tags[0] == tags[1] == tags[2] != tags[3]
    assert own.ask("POST", "/v1/query", {"metrics": ["mrr"]}, keys[2], if_none_match=tags[0]).status == 200


def test_a_warning_to_a_bound_key_names_no_value_it_may_not_see(own: Served) -> None:
    key = own.key("pro", where=("plan=pro",))
    assert b"did you mean 'a1'?" in own.query(metrics=["mrr"], where=["account=a11"]).body
    assert b"did you mean" not in own.query(key, metrics=["mrr"], where=["account=a11"]).body


# --- signing in -----------------------------------------------------------------------------------------------------


def signed_in(served: Served, form: str, **headers: str) -> Answer:
    return served.ask("POST", "/login", form.encode(), content_type="application/x-www-form-urlencoded", **headers)


def cookie_of(answer: Answer) -> str:
    return answer.headers["set-cookie"].partition(";")[0]


def test_a_key_signs_a_person_in_and_the_cookie_is_not_the_key(own: Served) -> None:
    own.peer, key = ("10.1.2.3", 1), own.key("ada")
    answer = signed_in(own, f"key={key}&next=/m/mrr?scope=week")
    assert (answer.status, answer.headers["location"]) == (303, "/m/mrr?scope=week")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= {*answer.headers["set-cookie"].split("; ")}
    assert key not in answer.headers["set-cookie"]
    assert read(own, cookie=cookie_of(answer)) == 200
    assert read(own, authorization=f"Bearer {cookie_of(answer).partition('=')[2]}") == 401


def test_a_session_ends_with_its_key_and_after_two_weeks(own: Served) -> None:
    from tallybook.ingest import revoke_key, rotate_key

    own.peer = ("10.1.2.3", 1)
    cookies = [cookie_of(signed_in(own, f"key={own.key(name)}")) for name in ("a", "b", "c")]
    assert [read(own, cookie=one) for one in cookies] == [200, 200, 200]
    revoke_key(own.events, "a", now=own.project.now)
    rotate_key(own.events, "b")
    own.keys.refresh()
    assert [read(own, cookie=one) for one in cookies] == [401, 401, 200]
    own.project.at("2024-02-25T12:00")
    own.keys.refresh()
    assert read(own, cookie=cookies[2]) == 401


@pytest.mark.parametrize("change", ["", "x", "tallybook=", "v1.e30.x"])
def test_a_cookie_that_was_changed_is_none(own: Served, change: str) -> None:
    own.peer = ("10.1.2.3", 1)
    cookie = cookie_of(signed_in(own, f"key={own.key('ada')}"))
    head, payload, signature = cookie.split(".")
    forged = [
        f"{head}.{payload}.{signature[:-1]}",
        f"{head}.{payload}A.{signature}",
        f"{cookie}A",
        f"{cookie}.{change}",
    ]
    forged += [f"tallybook={change}", f"{head}.{payload}.", f"{head}.{payload}.{signature}="]
    assert {read(own, cookie=one) for one in forged} == {401}


def test_a_wrong_key_goes_back_to_the_form(own: Served) -> None:
    answer = signed_in(own, "key=tb_r_wrong&next=https://evil.example")
    assert (answer.status, "set-cookie" in answer.headers) == (303, False)
    assert parse_qs(urlsplit(answer.headers["location"]).query) == {"failed": ["key"], "next": ["/"]}


@pytest.mark.parametrize(
    "text",
    ["https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil", "javascript:alert(1)", "/a\r\nx: y", "/ a",
     "", "m/mrr", "/" + "a" * 3000],
)  # fmt: skip
def test_nobody_is_sent_on_to_another_site(text: str) -> None:
    assert safe_next(text) == "/"


def test_over_tls_the_cookie_is_secure_and_belongs_to_the_host(own: Served) -> None:
    own.app.policy = DoorPolicy.of(ServeSettings(proxies=("10.0.0.0/8",)), needs_proxy=False)
    own.peer = ("10.1.2.3", 1)
    answer = signed_in(own, f"key={own.key('ada')}", x_forwarded_proto="https")
    assert answer.headers["set-cookie"].startswith("__Host-tallybook=")
    assert "Secure" in answer.headers["set-cookie"]


def test_signing_out_takes_the_cookie_away(own: Served) -> None:
    answer = own.ask("POST", "/logout")
    assert (answer.status, answer.headers["location"]) == (303, "/login")
    assert "Max-Age=0" in answer.headers["set-cookie"]


def test_an_invitation_works_once_and_in_time(own: Served) -> None:
    def invited(*words: str) -> str:
        out = io.StringIO()
        folder = ["--project", str(own.project.folder), "--format", "json"]
        assert invoke(["keys", "invite", *words, *folder], stdout=out, now=lambda: own.project.now) == 0
        return parse_qs(urlsplit(json.loads(out.getvalue())["link"]).query)["invite"][0]

    own.peer = ("10.1.2.3", 1)
    text = invited("ada", "--where", "plan=pro")
    own.keys.refresh()
    assert own.ask("GET", QUERY, key=text).status == 401
    first = signed_in(own, f"invite={text}")
    assert own.ask("GET", QUERY, cookie=cookie_of(first)).json["rows"][0]["mrr"] == 100
    again = signed_in(own, f"invite={text}")
    assert "failed=invite" in again.headers["location"]
    late = invited("bob", "--until", "1d")
    own.project.at("2024-02-12T12:00")
    own.keys.refresh()
    assert "failed=invite" in signed_in(own, f"invite={late}").headers["location"]


def test_a_named_proxy_signs_people_in_and_nobody_else_does(own: Served) -> None:
    settings = ServeSettings(proxies=("10.0.0.0/8",), login_header="x-forwarded-user")
    own.app.policy = DoorPolicy.of(settings, needs_proxy=False)
    proxy, other = ("10.1.2.3", 1), ("192.0.2.1", 1)
    assert as_peer(own, proxy, x_forwarded_user="ada@acme.com") == 200
    assert as_peer(own, proxy) == 401
    assert as_peer(own, proxy, x_forwarded_user="mallory, ada@acme.com") == 400
    assert as_peer(own, other, x_forwarded_user="ada@acme.com") == 401
    assert as_peer(own, ("127.0.0.1", 1), x_forwarded_user="ada@acme.com") == 401
    assert as_peer(own, None, x_forwarded_user="ada@acme.com") == 401
    own.app.policy = DoorPolicy.of(ServeSettings(proxies=("unix",), login_header="x-forwarded-user"), needs_proxy=False)
    assert as_peer(own, None, x_forwarded_user="ada@acme.com") == 200


# --- other sites, too many requests, who asked what -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://127.0.0.1:8321"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"sec_fetch_site": "cross-site", "sec_fetch_mode": "cors"}, 403),
        ({"sec_fetch_site": "same-site", "sec_fetch_mode": "no-cors"}, 403),
        ({"sec_fetch_site": "same-origin", "origin": "http://127.0.0.1:8321"}, 200),
        ({"sec_fetch_site": "none"}, 200),
    ],
)
def test_another_site_cannot_ask_in_the_name_of_a_reader(served: Served, headers: dict[str, str], status: int) -> None:
    assert served.ask("POST", "/v1/query", {"metrics": ["mrr"]}, **headers).status == status
    assert served.ask("POST", "/logout", **headers).status == (303 if status == 200 else 403)


def test_a_link_from_another_site_may_be_followed(served: Served) -> None:
    assert read(served, sec_fetch_site="cross-site", sec_fetch_mode="navigate") == 200


def test_a_reader_who_asks_too_often_is_told_when_to_ask_again(own: Served) -> None:
    own.app.policy = DoorPolicy.of(ServeSettings(reads=2), needs_proxy=False)
    own.app.gate.reads.seconds = lambda: 0.0
    key = own.key()
    statuses = [own.ask("GET", QUERY, key=key) for _ in range(5)]
    assert [one.status for one in statuses] == [200] * 4 + [429]
    assert int(statuses[-1].headers["retry-after"]) >= 1


def test_who_asked_what_is_kept_by_day_and_listed(own: Served) -> None:
    kept = AuditFiles(own.plan.place.folder)
    own.app.watching.audit = AuditLog(kept, timedelta(days=90), lambda: own.project.now)
    folder = own.plan.place.folder / "audit"
    folder.mkdir()
    (folder / "2023-01-01.ndjson").write_text("{}\n")
    key = own.key("dashboard")
    own.query(key, metrics=["mrr"], scope="week", where=["plan=pro"])
    own.query(metrics=["nothing"])
    own.app.watching.audit.close()
    assert [path.name for path in folder.iterdir()] == ["2024-02-10.ndjson"]
    out = io.StringIO()
    words = ["keys", "log", "--format", "json", "--project", str(own.project.folder)]
    assert invoke(words, stdout=out, now=lambda: own.project.now) == 0
    first, second = json.loads(out.getvalue())["requests"]
    assert (first["reader"], first["status"], second["reader"], second["status"]) == (
        "dashboard",
        200,
        "this machine",
        400,
    )
    assert first["asked"] == {"metrics": ["mrr"], "scope": "week", "where": ["plan=pro"]}
    assert key not in out.getvalue()


@pytest.mark.parametrize("ledger", LEDGERS)
def test_a_book_without_a_folder_keeps_who_asked_what_in_its_ledger(tmp_path: Path, ledger: str) -> None:
    made: Any = LEDGERS[ledger](tmp_path)
    lines, now = AuditLines(made), datetime(2024, 2, 10, 12, tzinfo=UTC)
    lines.add([("2023-01-01T00:00:00.000000Z", "old", '{"reader":"gone"}')])
    log = AuditLog(AuditTable(lines), timedelta(days=90), lambda: now)
    for number in range(3):
        log.write({"reader": "dashboard" if number else "someone", "path": f"/m/{number}"})
    log.close()
    found = list(audited(lines, date(2023, 1, 1), now.date()))
    assert [one["path"] for one in found] == ["/m/0", "/m/1", "/m/2"], "in order, and old days are deleted"
    assert found[0]["time"].startswith("2024-02-10T12:00:00")
    assert [one["path"] for one in audited(lines, now.date(), now.date(), "dashboard")] == ["/m/1", "/m/2"]
    assert list(audited(lines, date(2024, 2, 11), date(2024, 2, 12))) == []
    made.close()


def test_a_server_of_a_book_without_a_folder_has_the_log(own: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    from tallybook.server import worker

    monkeypatch.setattr(worker, "event_ledger", lambda place: own.events)
    plan = replace(own.plan, place=BookLocation(folder=None, ledger="postgresql://elsewhere"))
    log = worker._audit_log(plan)
    assert log is not None
    log.write({"reader": "somebody"})
    log.close()
    day = own.project.now.date()
    assert [one["reader"] for one in audited(AuditLines(own.events.ledger), day, day)] == ["somebody"]


@pytest.mark.parametrize("live", [False, True])
def test_the_sql_of_an_answer_names_no_folder_of_the_server(served: Served, *, live: bool) -> None:
    sql = served.query(metrics=["mrr"], by=["plan"], scope="month", last="2 months", live=live, sql=True).json["sql"]
    assert "SELECT" in sql
    assert str(served.project.folder) not in sql
    files = "read_parquet(['/srv/o''neil/book/points/2024-01-41.parquet', '/srv/b/2024-02.parquet']) WHERE x = 'a/b'"
    assert without_folders(files) == "read_parquet(['2024-01-41.parquet', '2024-02.parquet']) WHERE x = 'a/b'"
    assert "'/" not in sql


def test_a_key_of_one_metric_hears_of_no_goal_of_another(own: Served) -> None:
    file = own.project.folder / "tallybook.toml"
    goals = '\n[goals.secret_deal]\nmetric = "mrr"\nscope = "month"\ntarget = 9\n[goals.people]\nmetric = "signups"\nscope = "month"\ntarget = 9\n'
    file.write_text(file.read_text() + goals)
    key = own.key("sales", metrics=("signups",))
    own.peer = ("10.0.0.5", 1)
    listed = own.ask("GET", "/v1/goals", key=key)
    assert [one["goal"] for one in listed.json["goals"]] == ["people"]
    for name in ("secret_deal", "secret_del", "peple"):
        wrong = own.ask("GET", f"/v1/goals?names={name}", key=key)
        assert (wrong.status, wrong.json["message"]) == (400, f"there is no goal '{name}'")
        assert "secret_deal" not in wrong.json["hint"]
