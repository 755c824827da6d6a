"""A rule sets an attribute of Gainsight PX, or keeps a row of a table: each entity has what the last firing wanted."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tallybook.core.errors import DeclarationError
from tallybook.storage import OutboxLedger
from tallybook_emulators.gainsight_px import PxEmulator
from tests.act.test_rule_edges import METRICS
from tests.conftest import sampled
from tests.loading import open_database
from tests.projects import Project, project

__all__ = ["project"]


@pytest.fixture
def px() -> Iterator[PxEmulator]:
    with PxEmulator(limits=None) as found:
        found.attribute("account", "quiet__c", "BOOLEAN")
        found.attribute("account", "stage__c", "STRING")
        found.attribute("account", "calls__c", "NUMBER")
        found.add_account("1")
        found.add_account("2")
        yield found
        assert found.mistakes == []


@pytest.fixture
def made(project: Any) -> Project:
    found: Project = project("sqlite", now="2024-01-11T04:00")
    found.table("calls (day date, account_id varchar(9), n int)", [("2024-01-10", "1", 5)])
    found.table("accounts (id int, name varchar(20), plan varchar(9))", [(n, f"N{n}", "pro") for n in (1, 2, 3)])
    return found


def declare(made: Project, then: str, more: str = "") -> None:
    made.declare(METRICS + f"[rules.quiet]\nwhen = \"plan = 'trial' and calls_7d < 10\"\nthen = {then}\n{more}")


def action(px: PxEmulator, more: str, attribute: str = "quiet__c") -> str:
    return f'{{ to = "gainsight_px", api = "{px.api}", key = "{px.key}", attribute = "{attribute}", {more} }}'


def change(made: Project, plan: str, ids: str, now: str) -> list[Any]:
    made.execute(f"update accounts set plan = '{plan}' where id in ({ids})")
    reports: list[Any] = made.at(now).book.run().deliveries
    return reports


def attributes(px: PxEmulator, name: str) -> dict[str, Any]:
    found = {id_: one.get("customAttributes", {}) for id_, one in px.accounts.items()}
    return {id_: one[name] for id_, one in found.items() if name in one}


def puts(px: PxEmulator) -> int:
    return sum(seen.verb == "PUT" for seen in px.requests)


def test_an_attribute_is_set_when_a_rule_fires_and_again_when_the_entity_leaves(made: Project, px: PxEmulator) -> None:
    declare(made, action(px, "value = true, leave = false"))
    made.run()
    assert puts(px) == 0
    change(made, "trial", "1, 2", "2024-01-12T04:00")
    assert attributes(px, "quiet__c") == {"1": True, "2": True}
    change(made, "pro", "2", "2024-01-13T04:00")
    assert attributes(px, "quiet__c") == {"1": True, "2": False}
    before = len(px.requests)
    made.run()
    made.book.deliver()
    assert len(px.requests) == before


def test_without_leave_the_attribute_stays_and_on_leave_alone_sets_it_then(made: Project, px: PxEmulator) -> None:
    on_leave = action(px, 'value = "was quiet", on = "leave"', "stage__c")
    declare(made, f"[{action(px, 'value = true')}, {on_leave}]")
    made.run()
    change(made, "trial", "1, 2", "2024-01-12T04:00")
    change(made, "pro", "2", "2024-01-13T04:00")
    assert attributes(px, "quiet__c") == {"1": True, "2": True}
    assert attributes(px, "stage__c") == {"2": "was quiet"}


def test_a_value_names_attributes_and_a_single_name_has_their_type(made: Project, px: PxEmulator) -> None:
    text = action(px, 'value = "{plan} of {Name}"', "stage__c")
    number = action(px, 'value = "{calls_7d}"', "calls__c")
    declare(made, f"[{number}, {text}]")
    made.run()
    change(made, "trial", "1", "2024-01-12T04:00")
    assert (attributes(px, "calls__c"), attributes(px, "stage__c")) == ({"1": 5}, {"1": "trial of N1"})


def test_the_newest_value_wins_whatever_happened_to_the_requests_before(made: Project, px: PxEmulator) -> None:
    declare(made, action(px, "leave = false"))
    made.run()
    for fault in ({"answer": 503}, {"cut": True}, {"answer": 500, "after": True}, {"reset": True, "after": True}):
        px.fault(**fault, times=1, path="/v1/accounts/.*")
        now = made.now.day + 1
        change(made, "trial", "1", f"2024-01-{now}T04:00")
        change(made, "pro", "1", f"2024-01-{now + 1}T04:00")
        px.faults.clear()
        made.at(f"2024-01-{now + 2}T04:00").book.deliver()
        assert attributes(px, "quiet__c") == {"1": False}, fault
    assert OutboxLedger(made.book.store.ledger).counts() == {}


def test_accounts_that_px_lacks_and_values_of_another_type_are_refused_and_replayed(
    made: Project, px: PxEmulator
) -> None:
    name = action(px, 'value = "{name}"', "calls__c")
    declare(made, f"[{action(px, 'value = true')}, {name}]")
    made.run()
    change(made, "trial", "1, 3", "2024-01-12T04:00")
    rows = OutboxLedger(made.book.store.ledger).rows
    assert [row.answer for row in rows("rules.quiet.0")] == ["PX has no account '3'; create = true creates it"]
    assert "'calls__c' is a NUMBER in PX, and the value is \"N1\"" in {row.answer for row in rows("rules.quiet.1")}
    assert px.dropped == []
    px.add_account("3")
    made.book.replay_delivery("rules.quiet.0")
    made.book.deliver()
    assert attributes(px, "quiet__c") == {"1": True, "3": True}


def test_a_wrong_type_of_a_declared_value_stops_the_action_before_its_first_request(
    made: Project, px: PxEmulator
) -> None:
    declare(made, action(px, "value = 1"))
    made.run()
    reports = {one.delivery: one for one in change(made, "trial", "1", "2024-01-12T04:00")}
    assert "'quiet__c' is a BOOLEAN in PX, and the value is 1" in str(
        OutboxLedger(made.book.store.ledger).rows("rules.quiet.0")[0].answer
    )
    assert reports["rules.quiet.0"].rows == 0
    assert puts(px) == 0


# -- tables ----------------------------------------------------------------------------------------------------------------


def rows(url: str, table: str = "quiet_trials") -> list[tuple[str, str, str, Any]]:
    """(rule, entity, state, attributes) of each row."""
    with open_database(url).cursor() as cursor:
        cursor.execute(f"select tallybook_rule, entity, state, attributes from {table} order by 1, 2")
        return [(rule, entity, state, json.loads(text)) for rule, entity, state, text in cursor.fetchall()]


def table(url: str, more: str = "") -> str:
    return f'{{ to = "table", url = "{url}", table = "quiet_trials"{more} }}'


@pytest.mark.parametrize("kind", sampled(["sqlite", "postgresql", "mariadb"], 1, "tables of rules"))
def test_a_table_has_a_row_for_each_entity_and_marks_those_that_left(
    made: Project, make_database: Any, kind: str
) -> None:
    url = make_database(kind)
    declare(made, table(url, ', leave = "mark"'))
    made.run()
    change(made, "trial", "1, 2", "2024-01-12T04:00")
    change(made, "pro", "2", "2024-01-13T04:00")
    first = {"plan": "trial", "calls_7d": 5}
    assert rows(url) == [
        ("quiet", "1", "inside", first), ("quiet", "2", "left", {"plan": "pro", "calls_7d": 0}),
    ]  # fmt: skip
    change(made, "trial", "2", "2024-01-14T04:00")
    assert [state for _, _, state, _ in rows(url)] == ["inside", "inside"]
    made.run()
    assert OutboxLedger(made.book.store.ledger).counts() == {}


@pytest.mark.parametrize(("leave", "left"), [("delete", ["1"]), ("keep", ["1", "2"]), (None, ["1", "2"])])
def test_what_becomes_of_the_row_of_an_entity_that_leaves(
    made: Project, make_database: Any, leave: str | None, left: list[str]
) -> None:
    url = make_database("sqlite")
    declare(made, table(url, f', leave = "{leave}"' if leave else ""))
    made.run()
    change(made, "trial", "1, 2", "2024-01-12T04:00")
    change(made, "pro", "2", "2024-01-13T04:00")
    assert [entity for _, entity, _, _ in rows(url)] == left
    assert {state for _, _, state, _ in rows(url)} == {"inside"}


def test_two_rules_share_a_table_and_one_of_somebody_else_is_left_alone(made: Project, make_database: Any) -> None:
    url = make_database("sqlite")
    declare(made, table(url), f"[rules.trial]\nwhen = \"plan = 'trial'\"\nthen = {table(url)}")
    made.run()
    change(made, "trial", "1", "2024-01-12T04:00")
    assert [(rule, entity) for rule, entity, _, _ in rows(url)] == [("quiet", "1"), ("trial", "1")]
    with open_database(url).cursor() as cursor:
        cursor.execute("drop table quiet_trials")
        cursor.execute("create table quiet_trials (a int)")
    reports = {one.delivery: one for one in change(made, "trial", "2", "2024-01-13T04:00")}
    assert "no rule made it" in reports["rules.quiet.0"].error


@pytest.mark.parametrize("kind", sampled(["sqlite", "postgresql", "mariadb"], 1, "tables made at once"))
def test_rules_that_make_one_table_at_once_all_get_it(tmp_path: Path, make_database: Any, kind: str) -> None:
    from tallybook.deliver.destinations import rule_table
    from tallybook.deliver.destinations.own_table import own_database

    url, start = make_database(kind), threading.Barrier(4)

    def make(_: int) -> str:
        with own_database(url, tmp_path) as engine:
            start.wait()
            return rule_table._table_in(engine, "quiet_trials").name

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(make, range(4))) == ["quiet_trials"] * 4


def test_an_older_row_does_not_replace_a_newer_one(made: Project, make_database: Any) -> None:
    from tallybook.deliver.destinations import rule_table
    from tallybook.deliver.destinations.own_table import own_database

    url = make_database("sqlite")
    declare(made, table(url))
    made.run()
    change(made, "trial", "1", "2024-01-12T04:00")
    before = rows(url)
    with own_database(url, made.folder) as engine, engine.begin() as connection:
        found = rule_table._made_table(connection, "quiet_trials")
        rule_table._write(connection, found, [{"rule": "quiet", "entity": "1", "number": 1, "gone": True}])
    assert rows(url) == before


@pytest.mark.parametrize("kind", sampled(["mariadb", "postgresql", "sqlite"], 1, "ids of tables"))
def test_ids_that_a_database_takes_for_the_same_have_rows_of_their_own(
    made: Project, make_database: Any, kind: str
) -> None:
    from tallybook.deliver.destinations import rule_table
    from tallybook.deliver.destinations.own_table import own_database

    url, long = make_database(kind), "x" * 512
    row = {"rule": "quiet", "kind": "account", "state": "inside", "at": "2024-01-12T04:00:00Z", "day": "2024-01-11"}
    for number, gone in ((1, {}), (2, {"gone": True})):
        ids = ["a", "A", "a ", "\u00e4", long] if not gone else ["a"]
        several = [{**row, "entity": one, "number": number, "attributes": {}, **gone} for one in ids]
        with own_database(url, made.folder) as engine, engine.begin() as connection:
            rule_table._write(connection, rule_table._made_table(connection, "quiet_trials"), several)
    assert sorted(entity for _, entity, _, _ in rows(url)) == ["A", "a ", long, "\u00e4"]


def test_a_rule_for_the_book_keeps_a_row_of_the_book(made: Project, make_database: Any) -> None:
    url = make_database("sqlite")
    made.declare(METRICS + f'[rules.busy]\nfor = "book"\nwhen = "calls > 5"\nthen = {table(url)}')
    made.run()
    made.insert("calls", [("2024-01-11", "1", 9)])
    made.at("2024-01-12T04:00").run()
    assert rows(url) == [("busy", "book", "inside", {"calls": 9})]


def test_a_draft_and_the_holdout_set_nothing_and_a_forgotten_account_is_not_wanted(
    made: Project, px: PxEmulator
) -> None:
    declare(made, action(px, "value = true"), "draft = true")
    made.run()
    change(made, "trial", "1", "2024-01-12T04:00")
    assert puts(px) == 0
    made.execute("update accounts set plan = 'pro'")
    declare(made, action(px, "value = true"), 'holdout = "50 %"')  # in which account 1 is
    change(made, "trial", "1, 2", "2024-01-13T04:00")
    assert attributes(px, "quiet__c") == {"2": True}
    outbox = OutboxLedger(made.book.store.ledger)
    assert [entity for entity, _ in outbox.wanted("rules.quiet.0")] == ["2"]
    outbox.forget("2")
    assert outbox.wanted("rules.quiet.0") == []


# -- what check says -----------------------------------------------------------------------------------------------------


def problems(made: Project, then: str, more: str = "") -> str:
    declare(made, then, more)
    with pytest.raises(DeclarationError) as caught:
        _ = made.book
    return str(caught.value)


@pytest.mark.parametrize(
    ("then", "words"),
    [
        ('{ to = "gainsight_px", api = "https://x.example/v1", attribute = "a" }', "without key"),
        ('{ to = "gainsight_px", api = "http://x.example", key = "k", attribute = "a" }', "https"),
        ('{ to = "gainsight_px", api = "API", key = "k", attribute = "a", valeu = 1 }', "did you mean 'value'?"),
        ('{ to = "gainsight_px", api = "API", key = "k", attribute = "a", value = [1] }', "is not a value"),
        ('{ to = "gainsight_px", api = "API", key = "k", attribute = "a", leave = 0 }', "leave = false"),
        ('{ to = "gainsight_px", api = "API", key = "k", attribute = "a", leave = "keep" }', "leave = false"),
        ('{ to = "gainsight_px", api = "API", key = "k", attribute = "a", value = "{plam}" }', "did you mean 'plan'?"),
        (
            '{ to = "gainsight_px", api = "API", key = "k", attribute = "a", create = true }',
            'product = "AP-XXXXXXXXXX-2"',
        ),
        ('{ to = "gainsight_px", api = "API", key = "k", attribute = "a", on = "leave", leave = 0 }', "on and leave"),
        ('{ to = "table", url = "sqlite:///a.db" }', "without table"),
        ('{ to = "table", url = "https://a.example", table = "t" }', 'url = "${WAREHOUSE_URL}"'),
        ('{ to = "table", url = "sqlite:///a.db", table = "t t" }', "plain name"),
        ('{ to = "table", url = "sqlite:///a.db", table = "t", leave = "drop" }', "keep, mark"),
    ],
)
def test_mistakes_have_lines_to_paste(made: Project, then: str, words: str) -> None:
    assert words in problems(made, then.replace("API", "https://x.example/v1"))


def test_the_value_of_an_attribute_has_its_own_type_beside_any_leave(made: Project, px: PxEmulator) -> None:
    declare(made, action(px, 'value = "{calls_7d}", leave = 0', "calls__c"))
    made.run()
    change(made, "trial", "1", "2024-01-12T04:00")
    change(made, "pro", "1", "2024-01-13T04:00")
    assert attributes(px, "calls__c") == {"1": 0}


def test_two_that_write_one_attribute_are_reported_together(made: Project) -> None:
    px = '{ to = "gainsight_px", api = "https://x.example/v1", key = "k", attribute = "A__c" }'
    delivery = """
[deliveries.accounts]
to = "gainsight_px"
api = "https://x.example/v1"
key = "k"
for = "account"
attributes = { plan = "a__c" }
[rules.other]
when = "plan = 'pro'"
"""
    said = problems(made, px, delivery + f"then = {px.replace('A__c', 'B__c')}\n")
    assert "[deliveries.accounts] already writes account attribute a__c" in said
    assert "[rules.other]" not in said
    again = px.replace("key", 'value = false, on = "leave", key')
    both = problems(made, f"[{px}, {again}]")
    assert "its leave = … is the value for those who leave" in both
    book = problems(made, px, 'for = "book"').replace("plan", "calls")
    assert 'for = "account"' in book
