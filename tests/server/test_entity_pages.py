"""Pages of users and accounts: who is active, who is at risk, and everything about one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.paged import HOSTILE, PEOPLE, USERS, company, with_people
from tests.server.served import Served
from tests.server.test_pages import text_of

EVENTS_ONLY = PEOPLE[PEOPLE.index("[users]") :]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = Served(with_people(company(tmp_path_factory.mktemp("people") / "book")))
    yield made
    made.close()


def said(served: Served, path: str, status: int = 200) -> str:
    answer = served.ask("GET", path)
    assert answer.status == status, answer.body.decode()
    assert served.errors == []
    return text_of(answer)


def test_the_summary_counts_who_is_active_and_who_is_at_risk(people: Served) -> None:
    accounts, users = said(people, "/accounts"), said(people, "/users")
    assert "All accounts 3 Active in 28 days 1 33% · Requests At risk, by your rules 2 quiet" in accounts
    assert f"All users {USERS} Active in 28 days {USERS - 1} 93% · Requests" in users
    assert 'No rule is about users. Add one to tallybook.toml: [rules.NAME] for = "user"' in users
    assert "Acme <1> a1 quiet pro 10" in accounts, "who is at risk is marked in the list"
    assert "Acme <2> a2 pro 20" in accounts


def test_an_account_shows_its_users_by_activity_its_latest_events_and_what_rules_did(people: Served) -> None:
    page = said(people, "/accounts/a1")
    most, _, rest = page.partition("Least active ")
    assert "14 users most and least active, 28 days" in most
    assert "user3@acme.com <i>owner</i> 21 2024-03-09 user10@acme.com member 7" in most
    assert rest.split(" Attributes ")[0].endswith("user0@acme.com member 0 –")
    assert "Latest events 10 of 105 in 90 days" in page
    assert f"2024-03-09 09:00 request page={HOSTILE} u1 " in page
    assert "quiet inside; the condition is true." in page
    assert "2024-03-10 12:00 quiet Entered. Done plan pro, size 10" in page
    other = said(people, "/accounts/a2")
    assert "No user of this account is known." in other
    assert "No event of this account in the last 90 days." in other
    assert "quiet outside; the condition is false." in other
    assert "No rule has fired for this account." in other


def test_a_user_shows_the_account_and_its_own_events(people: Served) -> None:
    page = said(people, "/users/u3")
    assert "User u3 · account a1" in page
    assert "Latest events 10 of 21 in 90 days" in page
    assert "No rule is about users." in page


def test_lists_are_searched_sorted_and_cut_into_pages_by_the_engine(people: Served) -> None:
    assert "2 users 1 to 2 of 2" in said(people, "/users?find=0%40ACME")
    assert "1 user 1 to 1 of 1" in said(people, "/users?find=%3CI%3Eowner")
    assert "Nothing matches." in said(people, "/users?find=100%25"), "% is no wildcard"
    assert "Nothing matches." in said(people, "/users?find=user_%40")
    page = said(people, "/users?sort=-email&where=role+%3D+%27member%27")
    assert "Match the condition 13 93%" in page
    assert page.index("user9@") < page.index("user8@") < page.index("user0@")
    wrong = said(people, "/users?where=rol+%3D+%27x%27&find=user3", 400)
    assert "did you mean" in wrong.lower()
    assert "1 user 1 to 1 of 1" in wrong


def test_lists_say_when_each_was_last_seen_and_are_sorted_by_it(people: Served) -> None:
    """u0 never sent an event. The others sent their last one on the day before."""
    page = said(people, "/users?sort=-last_seen")
    assert "Last seen, UTC ▾" in page
    assert "user1@acme.com u1 member a1 2024-03-09 09:00" in page
    assert page.index("user9@") < page.index("user0@acme.com u0 member a1 –")
    assert "1 user 1 to 1 of 1" in said(people, "/users?sort=last_seen&find=user3&where=role+!%3D+%27member%27")
    assert "Acme <2> a2 pro 20 –" in said(people, "/accounts?sort=last_seen")
    assert "User u3 · account a1 · last seen 2024-03-09 09:00 UTC" in said(people, "/users/u3")
    assert "User u0 · account a1 · no event yet" in said(people, "/users/u0")
    account = said(people, "/accounts/a1")
    assert "Account a1 · last seen 2024-03-09 09:00 UTC" in account
    assert "user3@acme.com <i>owner</i> 21 2024-03-09" in account


def test_without_a_metric_events_say_who_is_active_and_without_both_a_sentence_says_what_to_declare(
    tmp_path: Path,
) -> None:
    served = Served(with_people(company(tmp_path / "book"), EVENTS_ONLY))
    page = said(served, "/accounts")
    assert "Active in 28 days 1 33% · events of any name" in page
    assert "user3@acme.com <i>owner</i> 21" in said(served, "/accounts/a1")
    served.close()
    plain = company(tmp_path / "plain")
    plain.book.push_attributes("accounts", "a1", attributes={"plan": "pro"})
    served = Served(plain)
    page = said(served, "/accounts")
    assert 'Store their ids in a metric that counts what they do: by = ["account_id"]' in page
    assert "This book has no usage events." in said(served, "/accounts/a1")
    served.close()


def test_days_that_are_not_collected_make_activity_unknown_and_an_evaluation_shows_at_once(tmp_path: Path) -> None:
    project = with_people(company(tmp_path / "book"))
    served = Served(project)
    before = said(served, "/accounts")
    project.at("2024-03-10T12:01")  # within the minutes for which an unchanged page is used again
    project.book.push_attributes("accounts", "a2", attributes={"size": 1})
    project.book.rules.evaluate()
    assert "At risk, by your rules 2 quiet" in before
    assert "At risk, by your rules 3 quiet" in said(served, "/accounts")
    project.at("2024-03-12T12:00")
    page = said(served, "/accounts")
    assert "Active in 28 days – 2024-03-10 is not collected: tallybook run requests" in page
    assert "What they did is unknown: 2024-03-10 is not collected" in said(served, "/accounts/a1")
    served.close()


def test_lists_over_http_are_those_of_the_page_and_of_python(people: Served) -> None:
    answer = people.ask("GET", "/v1/users?where=role+%3D+%27member%27&sort=-email&limit=3&offset=1").json
    whole = people.project.book.entities("users").list("role = 'member'", sort="-email")
    assert answer["users"] == [dict(zip(whole.columns, row, strict=True)) for row in whole.rows[1:4]]
    assert (answer["total"], answer["unknown"]) == (USERS - 1, 0)
    assert answer["commit"] == whole.number
    found = people.ask("GET", "/v1/users?find=OWNER").json
    assert [one["id"] for one in found["users"]] == ["u3"]
    wrong = people.ask("GET", "/v1/accounts?where=pla+%3D+1")
    assert (wrong.status, "plan" in wrong.json["hint"]) == (400, True)
    assert people.ask("GET", "/v1/accounts?limit=0").status == 400
    bound = people.key("bound", "read", metrics=("mrr",))
    assert people.ask("GET", "/v1/accounts", key=bound).status == 403
    changed = people.ask("GET", "/v1/accounts", if_none_match=people.ask("GET", "/v1/accounts").headers["etag"])
    assert changed.status == 304
