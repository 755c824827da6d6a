"""Webhooks: what their receivers get, how often, and what becomes of those that fail."""

from __future__ import annotations

import io
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier

from tallybook.cli import invoke
from tallybook.core.errors import DeclarationError
from tallybook.storage import OutboxLedger
from tests.projects import Project, project
from tests.receivers import Web

__all__ = ["project"]

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDC2FVsBQIhrs="
VISITS = [
    ("2024-03-04 10:00:00", "pro", 2), ("2024-03-04 11:00:00", "free", 3), ("2024-03-05 10:00:00", "pro", 5),
    ("2024-03-05 10:00:00", "free", 1),
]  # fmt: skip


def hooked(project: Any, web: Web, more: str = "", *, now: str = "2024-03-06T12:00", url: str = "") -> Project:
    made = project(now=now)
    made.table("visits (at timestamp, plan varchar(9), n int)", VISITS)
    made.declare(declared(url or f"{web.url}/hook", more), start="2024-03-04")
    return made


def declared(url: str, more: str = "") -> str:
    return f"""
        [metrics.visits]
        table = "visits"
        time = "at"
        measure = "sum(n)"
        by = ["plan"]
        [deliveries.hook]
        to = "webhook"
        url = "{url}"
        metrics = ["visits"]
        by = ["plan"]
        {more}
        """


def outbox(project: Project) -> OutboxLedger:
    return OutboxLedger(project.book.store.ledger)


def values(web: Web) -> list[tuple[str, str, Any]]:
    """(day, plan, value) of each message, sorted."""
    found = [body["data"] for _, body in web.posts]
    return sorted((one["period"], one["dimensions"]["plan"], one["value"]) for one in found)


def test_a_metric_that_begins_later_than_another_is_reported(project):
    with Web() as web:
        made = hooked(project, web)
        other = (
            '[metrics.other]\ntable = "visits"\ntime = "at"\nmeasure = "count(*)"\nby = ["plan"]\nstart = "2024-03-05"'
        )
        both = declared(f"{web.url}/hook").replace('metrics = ["visits"]', 'metrics = ["visits", "other"]')
        made.declare(f"{both}\n{other}", start="2024-03-04")
        (report,) = made.run().deliveries
        assert {day for day, *_ in values(web)} == {"2024-03-05"}
        (warning,) = report.warnings
        assert warning.startswith("values of visits since 2024-03-04 are sent only for days on which all metrics")
        assert warning.endswith("other from 2024-03-05 on; a delivery of its own sends them")


def test_each_value_of_a_complete_day_is_sent_once(project):
    with Web() as web:
        made = hooked(project, web)
        report = made.run()
        assert [(d.status, d.rows) for d in report.deliveries] == [("delivered", 4)]
        assert values(web) == [
            ("2024-03-04", "free", 3), ("2024-03-04", "pro", 2), ("2024-03-05", "free", 1), ("2024-03-05", "pro", 5),
        ]  # fmt: skip
        assert {path for path, _ in web.posts} == {"/hook"}
        assert web.posts[0][1]["type"] == "metric.value"
        before = len(web.headers)
        assert [d.status for d in made.book.deliver()] == ["up to date"]
        assert [d.status for d in made.run().deliveries] == ["up to date"]
        assert len(web.headers) == before
        assert outbox(made).counts() == {}
        assert [fold.items for fold in outbox(made).folded("hook").values()] == [2, 2]


@pytest.mark.parametrize("ahead", ["2024-03-09T12:00", "2031-01-01T12:00"])
@pytest.mark.parametrize("answers", [[503] * 99, [429] * 99])
def test_what_a_clock_that_was_ahead_put_off_is_sent_by_the_right_clock(project, ahead, answers):
    with Web() as web:
        made = hooked(project, web)
        web.answers = list(answers)
        made.run()
        made.at(ahead).book.deliver()
        web.answers, web.posts[:] = [], []
        made.at("2024-03-06T14:00")
        (report,) = made.book.deliver()
        assert report.status == "delivered", report
        assert len(values(web)) == 4


def test_a_changed_value_is_sent_again_with_the_one_before(project):
    with Web() as web:
        made = hooked(project, web)
        made.run()
        web.posts.clear()
        made.insert("visits", [("2024-03-05 12:00:00", "free", 4)])
        made.run()
        ((_, body),) = web.posts
        assert (body["type"], body["data"]["value"], body["data"]["previous"]) == ("metric.corrected", 5, 1)
        web.posts.clear()
        made.insert("visits", [("2024-03-06 12:00:00", "free", 1)])
        made.at("2024-03-07T12:00").run()
        assert values(web) == [("2024-03-06", "free", 1)]


def test_signatures_are_those_of_standard_webhooks_also_while_a_secret_is_replaced(project, monkeypatch):
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    now = datetime.now(UTC)
    with Web() as web:
        made = hooked(project, web, f'secrets = ["${{HOOK_SECRET}}", "{OTHER}"]\nlast = "1 day"', now=now.isoformat())
        made.insert("visits", [((now - timedelta(days=1)).strftime("%Y-%m-%d 00:00:01"), "pro", 7)])
        made.run()
        assert web.posts
        for (_, body), headers in zip(web.posts, web.headers, strict=True):
            for secret in (SECRET, OTHER):
                assert Verifier(secret).verify(json.dumps(body, separators=(",", ":")), headers) == body


def test_a_receiver_that_fails_is_left_alone_longer_each_time_and_nothing_is_lost(project):
    with Web() as web:
        made = hooked(project, web)
        web.answers = [503] * 100
        report = made.run()
        assert (report.exit_code, report.deliveries[0].status) == (1, "failed")
        assert "503" in report.deliveries[0].error
        tried = len(web.headers)
        assert [d.status for d in made.book.deliver()] == ["failed"]
        assert len(web.headers) == tried
        made.at("2024-03-06T12:01").book.deliver()
        assert len(web.headers) == tried + 1
        web.answers.clear()
        made.at("2024-03-06T13:00").book.deliver()
        assert len(values(web)) == 4
        ids = [headers["webhook-id"] for headers in web.headers]
        assert len(set(ids)) == 4


def test_gone_ends_a_delivery_until_somebody_lets_it_go_on(project):
    with Web() as web:
        made = hooked(project, web)
        web.answers = [410] * 8
        assert made.run().deliveries[0].status == "failed"
        tried = len(web.headers)
        web.answers.clear()
        made.at("2024-03-07T13:00").run()
        assert len(web.headers) == tried
        assert made.book.deliver("hook", force=True)[0].status == "delivered"
        assert len(values(web)) == 4


def test_items_that_a_receiver_does_not_take_are_kept_and_replayed(project):
    with Web() as web:
        made = hooked(project, web)
        web.answers = [422]
        (report,) = made.run().deliveries
        assert (report.status, report.rows) == ("delivered", 3)
        assert outbox(made).counts() == {"hook": {"refused": 1}}
        assert outbox(made).replay("hook", now=made.now) == 1
        assert made.book.deliver()[0].rows == 1
        assert len(values(web)) == 4


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('secrets = ["whsec_short"]', "Base64"),
        ('body = \'{"a": "{plum}"}\'', "{plum}"),
        ("body = '{\"a\": '", "JSON"),
        ("totals = true", "series"),
        ('each = "batch"\nbody = "{}"', "one value"),
    ],
)
def test_mistakes_are_reported_at_once(project, more, said):
    with Web() as web, pytest.raises(DeclarationError) as caught:
        _ = hooked(project, web, more).book
    assert said in str(caught.value)


@pytest.mark.parametrize("url", ["http://example.org/hook", "ftp://x/y", "https://user:pa55@example.org/", "nothing"])
def test_an_address_without_https_that_is_not_this_machine_is_refused_and_never_shown(project, url):
    with Web() as web, pytest.raises(DeclarationError) as caught:
        _ = hooked(project, web, url=url).book
    assert "deliveries.hook.url" in str(caught.value)
    assert "pa55" not in str(caught.value)


def test_a_body_of_your_own_has_the_names_filled_in(project):
    with Web() as web:
        made = hooked(project, web, 'body = \'{"text": "{metric} of {plan}", "n": {value}, "was": {previous}}\'')
        made.insert("visits", [("2024-03-04 10:00:00", 'a"b', 1)])
        made.run()
        assert {"text": 'visits of a"b', "n": 1, "was": None} in [body for _, body in web.posts]


def test_batches_and_whole_results(project):
    with Web() as web:
        made = hooked(project, web, 'each = "batch"\nsize = 3')
        made.run()
        assert sorted(len(body["data"]) for _, body in web.posts) == [1, 3]
        assert len({one["id"] for _, body in web.posts for one in body["data"]}) == 4
        web.posts.clear()
        made.declare(declared(f"{web.url}/hook", 'each = "result"').replace("hook]", "all]"), start="2024-03-04")
        made.run()
        ((_, body),) = web.posts
        assert body["type"] == "metric.result"
        assert body["data"]["rows"] == made.book.query("visits", by=["plan"]).to_dict()["rows"]
        assert "explain" not in body["data"]
        made.run()
        assert len(web.posts) == 1


def test_requests_keep_the_declared_rate_and_a_run_ends_in_the_middle_of_a_batch(project, monkeypatch):
    with Web() as web:
        made = hooked(project, web, "rate = 2")
        monkeypatch.setattr("tallybook.deliver.after_a_run.RUN_SECONDS", 0.7)
        (report,) = made.run().deliveries
        assert 1 <= len(web.posts) <= 2
        assert outbox(made).counts()["hook"]["planned"] == 4 - len(web.posts)
        assert not report.failed
        begun, sent = time.monotonic(), len(web.posts)
        made.book.deliver()
        assert time.monotonic() - begun > (3 - sent) / 2
        assert len(values(web)) == len(set(values(web))) == 4


def typed(made: Project, *argv: str) -> tuple[int, str]:
    out = io.StringIO()
    made.close()
    code = invoke(["--project", str(made.folder), *argv], now=lambda: made.now, stdout=out, stderr=out)
    return code, out.getvalue()


def test_status_and_alerts_say_how_far_it_is_and_show_traces_it(project):
    with Web() as web:
        made = hooked(project, web)
        web.answers = [503] * 8
        made.run()
        (delivery,) = made.book.status().deliveries
        assert (delivery.waiting, delivery.left, delivery.said) == (True, 4, "503")
        assert "hook is not sent yet: 4 to send, 503; tallybook deliver hook" in made.book.status().problems
        web.answers[:] = [422]
        made.at("2024-03-06T13:00").book.deliver()
        made.at("2024-03-06T13:10").book.deliver()
        (delivery,) = made.book.status().deliveries
        assert (delivery.waiting, delivery.left, delivery.refused) == (False, 0, 1)
        code, said = typed(made, "deliveries", "show", "hook")
        assert code == 0
        assert "hook: 3 items sent, 1 refused" in said
        assert "rejected" in said
        assert "422" in said
        assert typed(made, "deliveries", "replay", "hook") == (0, "1 item planned again: tallybook deliver hook\n")
        assert typed(made, "deliver")[1].endswith("delivered, 1 row\n")
        assert typed(made, "deliveries", "show", "plum")[0] == 2
        assert len(values(web)) == 4


def test_a_stopped_delivery_alerts_and_the_others_go_on(project):
    with Web() as web, Web() as other:
        made = hooked(project, web)
        more = declared(f"{other.url}/hook").partition("[deliveries.hook]")[2]
        made.declare(f"{declared(f'{web.url}/hook')}\n[deliveries.second]{more}", start="2024-03-04")
        web.answers = [401] * 20
        reports = {one.delivery: one.status for one in made.run().deliveries}
        assert reports == {"hook": "failed", "second": "delivered"}
        assert any("hook is stopped: 401" in problem for problem in made.book.status().problems)


def test_planted_secrets_appear_nowhere(project, monkeypatch):
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    monkeypatch.setenv("HOOK_URL", "")
    with Web() as web:
        monkeypatch.setenv("HOOK_URL", f"{web.url}/services/T0PS3CR3T/x?token=QU3RYS3CR3T")
        made = hooked(project, web, 'secrets = ["${HOOK_SECRET}"]', url="${HOOK_URL}")
        web.answers = [500, 422]
        said = [typed(made, "run")[1], typed(made, "status")[1], typed(made, "deliver", "--dry-run")[1]]
        said += [typed(made, "deliveries", "show", "hook", "--format", "json")[1], typed(made, "check")[1]]
        said.append(typed(made, "status", "--format", "json")[1])
        kept = b"".join(path.read_bytes() for path in made.folder.rglob("*") if path.is_file())
        for secret in ("T0PS3CR3T", "QU3RYS3CR3T", SECRET, SECRET.removeprefix("whsec_")):
            assert not any(secret in text for text in said)
            assert secret.encode() not in kept
        made.at("2024-03-07T12:00").book.deliver()
        assert {path for path, _ in web.posts} == {"/services/T0PS3CR3T/x?token=QU3RYS3CR3T"}


def test_a_dry_run_shows_the_requests_and_sends_none(project):
    with Web() as web:
        made = hooked(project, web)
        made.declare(declared(f"{web.url}/hook").partition("[deliveries.hook]")[0], start="2024-03-04")
        made.run()
        made.declare(declared(f"{web.url}/hook"), start="2024-03-04")
        (report,) = made.book.deliver(dry_run=True)
        assert (report.status, report.rows, report.hint) == ("would be delivered", 4, "4 requests")
        assert '"visits"' in report.changes[0]["column"]
        assert web.headers == []
