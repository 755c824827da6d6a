"""Attributes with dots, spaces and capitals are named by rules, messages and actions as by everything else."""

from __future__ import annotations

from typing import Any

import pytest

from tallybook.act import Viewer
from tallybook.core import DeclarationError
from tests.act.test_rule_actions import posted, project, web
from tests.act.test_rule_edges import METRICS
from tests.projects import Project
from tests.receivers import Web

__all__ = ["project", "web"]

ACCOUNTS = METRICS.replace('"plan"]', '"plan", "First name", "Order", "Time.Zone"]')


MESSAGE = '{ to = "message", message = "m" }\n[messages.m]\ntext = "Hi"'


@pytest.fixture
def made(project: Any) -> Project:
    """Account 2 is in Tokyo."""
    found: Project = project("sqlite", now="2024-01-11T04:00")
    found.table("calls (day date, account_id varchar(9), n int)", [("2024-01-10", "1", 5)])
    found.execute('create table accounts (id int, name varchar(20), plan varchar(9), "First name" varchar(9))')
    found.execute('alter table accounts add column "Order" int', 'alter table accounts add column "Time.Zone" varchar')
    found.execute("insert into accounts values (1, 'A', 'pro', 'Ada', 7, null), (2, 'B', 'pro', 'Bo', 8, 'Asia/Tokyo')")
    return found


def rule(when: str, then: str, more: str = "") -> str:
    return f"[rules.one]\nwhen = '''{when}'''\nthen = {then}\n{more}\n"


@pytest.mark.parametrize("named", ["Time.Zone", "time.zone", "TIME.ZONE"])
def test_the_zone_of_quiet_hours_may_be_spelled_in_any_case(made: Project, web: Web, named: str) -> None:
    hook = f'{{ to = "webhook", url = "{web.url}/" }}'
    quiet = f'quiet = "20:00-08:00"\nquiet_zone = "{named}"'
    made.declare(ACCOUNTS + rule("plan = 'trial'", hook, quiet), timezone="Europe/Berlin")
    made.run()
    made.execute("update accounts set plan = 'trial'")
    made.at("2024-01-12T04:00").run()  # 05:00 in Berlin, 13:00 in Tokyo
    assert posted(web) == [("firing.one", "2", "enter")]


def test_a_condition_and_a_message_name_attributes_with_dots_and_spaces(made: Project) -> None:
    message = (
        '[messages.m]\ntitle = "Good day, {first name}"\ntext = "{Order} in {time.zone}"\nlink = "/x?z={time.zone}"'
    )
    when = """time.zone = 'Asia/Tokyo' and "First Name" is not null and "order" > 7 and changed("Order")"""
    made.declare(ACCOUNTS + rule(when, '{ to = "message", message = "m" }', message))
    made.run()
    made.execute('update accounts set "Order" = 9')
    made.at("2024-01-12T04:00").run()
    (shown,) = made.book.rules.engagements.messages(Viewer(account="2"))
    assert [shown[key] for key in ("title", "text", "link")] == [
        "Good day, Bo",
        "9 in Asia/Tokyo",
        "/x?z=Asia%2FTokyo",
    ]
    assert made.book.rules.engagements.messages(Viewer(account="1")) == []


def test_a_field_with_a_dot_that_is_no_attribute_is_reported(made: Project) -> None:
    made.declare(
        ACCOUNTS + rule("plan = 'trial'", '{ to = "message", message = "m" }', '[messages.m]\ntext = "{time.zoen}"')
    )
    with pytest.raises(DeclarationError, match=r"'time\.zoen' is not an attribute"):
        made.run()


@pytest.mark.parametrize(
    ("where", "calls"),
    [
        ("accounts.First name=Ada", 5),
        ("accounts.First name!=Ada", 3),
        ("accounts.time.zone=Asia/Tokyo", 3),
        ("accounts.Time.Zone=", 5),
        ("accounts.Order[0,8]=0 to < 8", 5),
    ],
)
def test_a_filter_names_attributes_with_dots_and_spaces(made: Project, where: str, calls: int) -> None:
    made.insert("calls", [("2024-01-10", "2", 3)])
    made.declare(ACCOUNTS)
    made.run()
    asked = {"scope": "all", "from_": "2024-01-10", "to": "2024-01-10"}
    assert [row["calls"] for row in made.book.query("calls", where=[where], **asked).data] == [calls]


def test_a_condition_names_attributes_with_an_at_sign(made: Project) -> None:
    made.execute("""alter table accounts add column "plan@work" varchar(9) default 'free'""")
    accounts = ACCOUNTS.replace('"Order"', '"plan@work"')
    made.declare(accounts + rule("\"plan@work\" = 'pro' and before(plan, '12 hours') = 'pro'", MESSAGE))
    made.run()
    made.execute("update accounts set \"plan@work\" = 'pro' where id = 2")
    made.at("2024-01-12T04:00").run()
    assert [one.entity for one in made.book.rules.evaluator.ledger.firings("one")] == ["2"]


@pytest.mark.parametrize("when", ["paused is not null", "paused is not null and before(plan, '12 hours') = 'pro'"])
def test_a_rule_fires_for_the_first_value_of_an_attribute_that_was_empty_everywhere(made: Project, when: str) -> None:
    """Nobody has paused yet, so the column is read as empty: that is known, and the first who pauses enters."""
    made.execute("alter table accounts add column paused varchar(9)")
    made.declare(ACCOUNTS.replace('"Order"', '"paused"') + rule(when, MESSAGE))
    assert made.run().rules.rules["one"].unknown == ""
    assert made.book.rules.explain("one", "2").outcome == "false"
    made.execute("update accounts set paused = 'yes' where id = 2")
    made.at("2024-01-12T04:00").run()
    assert [one.entity for one in made.book.rules.evaluator.ledger.firings("one")] == ["2"]


def test_an_attribute_that_was_never_read_is_not_taken_for_empty(made: Project) -> None:
    made.declare(ACCOUNTS.replace(', "Order"', ""))
    made.run()
    made.execute("alter table accounts add column paused varchar(9)")
    made.declare(ACCOUNTS.replace('"Order"', '"paused"') + rule("paused is null", MESSAGE))
    assert "not read yet" in made.book.rules.evaluate().rules["one"].unknown
    assert made.book.rules.explain("one", "2").outcome == "unknown"
    assert not made.book.rules.try_out("one").inside
