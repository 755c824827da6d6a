"""What a firing does arrives once, with its values, and is planned in the transaction that records the firing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.act.test_rule_edges import METRICS
from tests.projects import Project, project
from tests.receivers import Web

__all__ = ["project"]


@pytest.fixture
def web() -> Any:
    with Web() as found:
        yield found


@pytest.fixture
def made(project: Any) -> Project:
    found = project("sqlite", now="2024-01-11T04:00")
    found.table("calls (day date, account_id varchar(9), n int)", [("2024-01-10", "1", 5)])
    rows = [(n, f"Account {n}", "pro") for n in range(1, 6)]
    found.table("accounts (id int, name varchar(20), plan varchar(9))", rows)
    return found


def change(found: Project, plan: str, ids: str, now: str) -> None:
    """Set the plan of some accounts, and run."""
    found.execute(f"update accounts set plan = '{plan}' where id in ({ids})")
    found.at(now).run()


def posted(web: Web) -> list[tuple[str, str, str]]:
    """(type, entity, edge) of each request."""
    return [(body["type"], body["data"]["entity"], body["data"]["edge"]) for _, body in web.posts]


def test_a_webhook_gets_each_firing_once_with_the_values_of_then(made: Project, web: Web) -> None:
    made.declare(
        METRICS
        + f"""
[rules.quiet]
when = "plan = 'trial' and calls_7d < 10"
then = [
    {{ to = "webhook", url = "{web.url}/in" }},
    {{ to = "webhook", url = "{web.url}/out", on = "leave" }},
    {{ to = "chat", address = "{web.url}/chat" }},
]
"""
    )
    made.run()
    change(made, "trial", "1, 2", "2024-01-12T04:00")
    change(made, "pro", "2", "2024-01-13T04:00")
    made.run()
    by_path: dict[str, list[Any]] = {}
    for path, body in web.posts:
        by_path.setdefault(path, []).append(body)
    assert sorted((b["data"]["entity"], b["data"]["values"]["calls_7d"]) for b in by_path["/in"]) == [
        ("1", 5),
        ("2", 0),
    ]
    assert [(b["type"], b["data"]["entity"], b["data"]["edge"]) for b in by_path["/out"]] == [
        ("firing.quiet", "2", "leave")
    ]
    assert {"text": "account 1 entered quiet: plan = trial, calls_7d = 5"} in by_path["/chat"]
    assert len(by_path["/chat"]) == 2


def test_addresses_of_actions_are_neither_shown_nor_cached(made: Project, web: Web) -> None:
    made.declare(
        METRICS
        + """
[rules.quiet]
when = "plan = 'trial'"
then = { to = "webhook", url = "${SALES_HOOK}" }
"""
    )
    (made.folder / ".env").write_text("SALES_HOOK=https://hooks.example.com/T0KEN-SECRET\n")
    made.run("calls")
    made.close()
    assert "T0KEN" not in repr(made.book.project.catalog.rules)
    assert made.book.project.catalog.rules["quiet"].then[0].options["url"].endswith("T0KEN-SECRET")
    cached = list((made.folder / "book").rglob("catalog.msgpack"))
    assert cached
    assert b"T0KEN" not in cached[0].read_bytes()


CAPPED = """
[rules.trial]
when = "plan = 'trial'"
then = {{ to = "webhook", url = "{url}/trial" }}
{more}
"""


def capped(made: Project, web: Web, more: str) -> None:
    made.declare(METRICS + CAPPED.format(url=web.url, more=more))
    made.run()


def test_a_storm_waits_for_a_release_and_those_that_left_are_dropped(made: Project, web: Web) -> None:
    capped(made, web, "most_at_once = 2")
    change(made, "trial", "1, 2, 3", "2024-01-12T04:00")
    assert (web.posts, made.book.rules.list()[0].waiting) == ([], 3)
    made.execute("update accounts set plan = 'pro' where id = 3")
    made.at("2024-01-13T04:00").run()
    assert made.book.rules.list()[0].waiting == 2
    report = made.book.rules.release("trial")
    made.book.deliver()
    assert report.rules["trial"].fired == 2
    assert sorted(posted(web)) == [("firing.trial", "1", "enter"), ("firing.trial", "2", "enter")]
    assert made.book.rules.release("trial").number == 0


def test_quiet_hours_defer_and_use_the_zone_of_the_entity(made: Project, web: Web) -> None:
    made.execute(
        "alter table accounts add column zone varchar(40)", "update accounts set zone = 'Asia/Tokyo' where id = 2"
    )
    with_zone = METRICS.replace('"plan"]', '"plan", "zone"]')
    more = 'quiet = "20:00-08:00"\nquiet_zone = "zone"'
    made.declare(with_zone + CAPPED.format(url=web.url, more=more), timezone="Europe/Berlin")
    made.run()
    change(made, "trial", "1, 2", "2024-01-12T04:00")  # 05:00 in Berlin, 13:00 in Tokyo
    assert posted(web) == [("firing.trial", "2", "enter")]
    made.at("2024-01-12T06:59").run()
    assert len(web.posts) == 1
    made.at("2024-01-12T07:00").run()
    assert posted(web)[1:] == [("firing.trial", "1", "enter")]


@pytest.mark.cases(3)
@pytest.mark.parametrize(
    ("once", "fired"),
    [("ever", 1), ("every time", 3), ("per month", 2), ("per 30 days", 2), ("per 40 days", 1)],
)
def test_how_often_a_rule_fires_for_one_entity(made: Project, web: Web, once: str, fired: int) -> None:
    capped(made, web, f'once = "{once}"')
    for plan, now in (("trial", "12"), ("pro", "13"), ("trial", "20"), ("pro", "21")):
        change(made, plan, "1", f"2024-01-{now}T04:00")
    change(made, "trial", "1", "2024-02-12T04:00")
    assert made.book.rules.list()[0].fired == fired


def test_of_rules_with_a_priority_one_fires_and_the_collision_is_recorded(made: Project, web: Web) -> None:
    other = CAPPED.format(url=web.url, more="priority = 20").replace("trial]", "loud]").replace("/trial", "/loud")
    made.declare(METRICS + CAPPED.format(url=web.url, more="priority = 10") + other + CAPPED.format(
        url=web.url, more="").replace("trial]", "plain]"))  # fmt: skip
    made.run()
    change(made, "trial", "1", "2024-01-12T04:00")
    assert sorted(type_ for type_, *_ in posted(web)) == ["firing.loud", "firing.plain"]
    (lost,) = made.book.rules.explain("trial", "1").collisions
    assert (lost.why, lost.winner) == ("priority", "loud")


def test_a_cool_down_counts_the_firings_of_all_rules(made: Project, web: Web) -> None:
    big = CAPPED.format(url=web.url, more='cool_down = "7d"')
    other = big.replace("trial]", "big]").replace("'trial'", "'big'")
    made.declare(METRICS + CAPPED.format(url=web.url, more="") + other)
    made.run()
    change(made, "trial", "1", "2024-01-12T04:00")
    change(made, "big", "1, 2", "2024-01-15T04:00")
    assert sorted(posted(web)) == [("firing.big", "2", "enter"), ("firing.trial", "1", "enter")]
    change(made, "pro", "1", "2024-01-16T04:00")
    change(made, "big", "1", "2024-01-20T04:00")
    assert ("firing.big", "1", "enter") in posted(web)


def test_holdout_and_draft_do_nothing(made: Project, web: Web) -> None:
    capped(made, web, 'holdout = "50 %"')
    change(made, "trial", "1, 2, 3, 4, 5", "2024-01-12T04:00")
    held = [one.entity for one in made.book.rules.evaluator.ledger.firings(state="holdout")]
    assert sorted([*held, *(entity for _, entity, _ in posted(web))]) == ["1", "2", "3", "4", "5"]
    assert held
    assert made.book.rules.explain("trial", held[0]).is_holdout
    web.posts.clear()
    capped(made, web, "draft = true")
    change(made, "pro", "1", "2024-01-13T04:00")
    change(made, "trial", "1", "2024-01-14T04:00")
    assert web.posts == []


def test_a_failing_receiver_is_the_business_of_the_outbox(made: Project, web: Web) -> None:
    capped(made, web, "")
    web.answers = [503]
    made.execute("update accounts set plan = 'trial' where id = 1")
    made.at("2024-01-12T04:00").book.run()
    assert len(made.book.rules.evaluator.ledger.firings()) == 1
    made.at("2024-01-12T08:00").book.run()
    assert posted(web) == [("firing.trial", "1", "enter")]
    assert json.dumps(web.posts[0][1]["data"]["values"]) == '{"plan": "trial"}'
