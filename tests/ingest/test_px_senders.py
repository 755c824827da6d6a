"""Senders and readers of Gainsight PX that talk to `tallybook serve`: what is stored, and what is answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from tallybook.server.entities import EntityDoor
from tallybook.server.px.door import NOT_SERVED
from tallybook.server.px.records import ACCOUNT_MODEL, USER_MODEL
from tallybook.storage import EntityLedger
from tallybook_emulators.gainsight_px import FACTS, PxEmulator
from tallybook_emulators.gainsight_px.contract import check_answer, operation_of
from tests.ingest.doors import NOW, Answer, HttpDoor

NOW_MS = round(NOW.timestamp() * 1000)
DAY_MS = 86_400_000
KEY = "X-APTRINSIC-API-KEY"
EVENT = {"eventName": "dailyApiCalls", "identifyId": "u1", "propertyKey": "AP-X-2", "userType": "USER"}
USER = {"identifyId": "u1", "propertyKeys": ["AP-X-2"]}
ACCOUNT = {"id": "acme", "name": "Acme", "propertyKeys": ["AP-X-2"]}


class PxClient(HttpDoor):
    """A sender or reader of PX. Each 2xx is checked against the contract that the emulator follows."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.both = self.new_key("px", scopes=("read", "write"))
        self.keys.refresh()
        self.ledger = EntityLedger(self.events.ledger)

    def px(self, verb: str, path: str, body: Any = None, *, key: str | None = None) -> Answer:
        answer = self.ask(verb, path, body, **{KEY: key or self.both})
        if answer.status < 300:
            operation, _ = operation_of(verb, path.partition("?")[0].removeprefix("/px"))
            check_answer(operation, answer.status, answer.json)
        return answer

    def events_of(self, query: str = "", key: str = "customEvents") -> list[dict[str, Any]]:
        """All pages of stored events, of ten."""
        found, scroll = [], ""
        while True:
            page = self.px("GET", f"/v1/events/custom?{query}&pageSize=10&scrollId={scroll}").json
            found += page[key]
            scroll = page["scrollId"]
            if len(page[key]) < 10:
                assert page["totalHits"] == len(found)
                return found

    def attributes(self, kind: str, id_: str) -> dict[str, Any]:
        found = self.ledger.get(kind, id_)
        return {} if found is None else found.record.effective()


@pytest.fixture
def door(tmp_path: Path) -> Iterator[PxClient]:
    door = PxClient(tmp_path)
    yield door
    door.commit.close()
    door.events.close()


def event(at: int = NOW_MS, **more: Any) -> dict[str, Any]:
    return {**EVENT, "date": at, **more}


def message(answer: Answer) -> tuple[int, str, str]:
    return answer.status, answer.json["externalapierror"]["message"], answer.json["code"]


# -- events ------------------------------------------------------------------------------------------------------------


def test_the_example_of_the_vendor_is_an_event_of_a_user_that_can_be_counted_and_read_back(door: PxClient) -> None:
    attributes = {"timestamp": 1658965172096, "apiCalls": 10512, "apiType": "RESTful", "nested": {"a": 1}, "none": None}
    sent = event(accountId="acme", sessionId=17, globalContext={"tier": "gold"}, attributes=attributes)
    assert door.px("POST", "/v1/events/custom", sent).status == 201
    door.compact()
    assert door.stored("dailyApiCalls", '"user", account, "apiCalls", "apiType", nested') == [
        ("u1", "acme", 10512, "RESTful", '{"a": 1}')
    ]
    (found,) = door.events_of()
    assert found["attributes"] == {
        "timestamp": 1658965172096, "apiCalls": 10512, "apiType": "RESTful", "nested": '{"a": 1}',
    }  # fmt: skip
    same = ("eventName", "identifyId", "accountId", "propertyKey", "userType", "date")
    assert {name: found[name] for name in same} == {name: sent[name] for name in same}
    assert (found["sessionId"], found["globalContext"]) == ("17", {"tier": "gold"})


def test_an_event_that_is_sent_again_within_minutes_is_stored_once_and_an_equal_one_without_a_date_twice(
    door: PxClient,
) -> None:
    for _ in range(2):
        assert door.px("POST", "/v1/events/custom", event(attributes={"n": 1})).status == 201
        assert door.px("POST", "/px/v1/events/custom", {**EVENT, "eventName": "click"}).status == 201
    door.compact()
    assert sorted(one["eventName"] for one in door.events_of()) == ["click", "click", "dailyApiCalls"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"eventName": "myAggregatedMetric", "attributes": {"apiCalls": 10,512}}', "bad_json"),
        (json.dumps([EVENT]).encode(), "bad_json"),
        ({**EVENT, "eventName": ""}, "no_event"),
        ({**EVENT, "identifyId": None}, "schema"),
        ({**EVENT, "userType": "PERSON"}, "schema"),
        ({**EVENT, "date": "2026-03-01"}, "bad_time"),
        ({**EVENT, "date": NOW_MS + 2 * DAY_MS}, "future"),
        ({**EVENT, "date": 10**30}, "bad_time"),
        ({**EVENT, "attributes": {"a": 1, "A": 2}}, "bad_name"),
        ({**EVENT, "attributes": [1]}, "schema"),
    ],
)
def test_a_bad_event_is_a_400_of_px_with_our_code_beside_it(door: PxClient, body: Any, code: str) -> None:
    answer = door.px("POST", "/v1/events/custom", body)
    assert (answer.status, answer.json["code"]) == (400, code)
    assert answer.json["externalapierror"]["status"] == "BAD_REQUEST"
    door.compact()
    assert door.events_of() == []


def test_a_read_of_events_has_pxs_range_filters_order_and_pages(door: PxClient) -> None:
    for number in range(23):
        sent = event(NOW_MS - number * 3_600_000, identifyId=f"U{number:02}", accountId=f"a{number % 3}")
        door.px("POST", "/v1/events/custom", sent)
    door.px("POST", "/v1/events/custom", event(NOW_MS - 189 * DAY_MS, eventName="old_one", identifyId="x%"))
    door.compact()

    def ids(query: str) -> list[str]:
        return [one["identifyId"] for one in door.events_of(query)]

    newest_first = [f"U{number:02}" for number in range(23)]
    assert ids("") == newest_first[::-1]
    assert ids("sort=-date") == newest_first
    assert ids("sort=accountId;-date")[:8] == newest_first[0::3]
    assert ids("filter=identifyId==u05") == ["U05"]
    assert ids("filter=identifyId~u0?;identifyId!~*5&filter=identifyId==u22")[0] == "U22"
    assert len(ids("filter=identifyId~u0?;identifyId!~*5&filter=identifyId==u22")) == 10
    wide = f"dateRangeStart={NOW_MS - 190 * DAY_MS}&dateRangeEnd={NOW_MS}"
    assert len(ids(wide)) == 24
    assert ids(f"{wide}&filter=eventName==OLD_ONE") == ["x%"]
    assert ids(f"{wide}&filter=eventName~old%25") == []
    assert ids(f"filter=date=={NOW_MS - 189 * DAY_MS}") == ["x%"]
    at = datetime.fromtimestamp(NOW_MS / 1000, UTC)
    assert ids(f"filter=date>={at.isoformat().replace('+00:00', 'Z')}") == ["U00"]
    assert message(door.px("GET", f"/v1/events/custom?dateRangeStart={NOW_MS - 191 * DAY_MS}"))[:2] == (
        400,
        "Exceeded date range190days",
    )
    for query in ("filter=accountId==a", "sort=eventName", "pageSize=1001", "pageSize=0", "scrollId=x", "offset=1"):
        assert door.px("GET", f"/v1/events/custom?{query}").status == 400, query


def test_pages_of_events_neither_repeat_nor_skip_while_others_arrive(door: PxClient) -> None:
    for number in range(5):
        door.px("POST", "/v1/events/custom", event(NOW_MS - number * 1000, identifyId=f"u{number}"))
    door.compact()
    first = door.px("GET", "/v1/events/custom?pageSize=2&sort=-date").json
    door.later(seconds=1)
    door.px("POST", "/v1/events/custom", event(NOW_MS + 500, identifyId="newer"))
    door.compact()
    rest = door.px("GET", f"/v1/events/custom?pageSize=10&scrollId={first['scrollId']}").json
    shown = [one["identifyId"] for one in first["customEvents"] + rest["customEvents"]]
    assert (shown, rest["totalHits"]) == (["u0", "u1", "u2", "u3", "u4"], 5)


def test_events_of_other_protocols_are_read_back_too(door: PxClient) -> None:
    door.post({"event": "signup", "user": "u9", "time": NOW.isoformat(), "properties": {"plan": "pro"}})
    door.compact()
    (found,) = door.events_of()
    assert (found["eventName"], found["identifyId"], found["attributes"]) == ("signup", "u9", {"plan": "pro"})


# -- users and accounts ------------------------------------------------------------------------------------------------


def test_the_header_decides_whose_path_it_is(door: PxClient) -> None:
    door.app.entities = EntityDoor(door.ledger, lambda: door.now)
    assert message(door.px("PUT", "/v1/users/u1", {"role": "admin"})) == (
        404,
        "User was not found for parameters {id=u1}",
        "not_found",
    )
    assert door.ask("PUT", "/v1/users/u1", {"attributes": {"role": "admin"}}, door.both).status == 200
    assert door.px("PUT", "/v1/users/u1", {"role": "owner"}).status == 204
    assert door.attributes("users", "u1") == {"role": "owner"}
    for path in ("/v1/users/u1", "/v1/events/custom"):
        answer = door.ask("POST" if "custom" in path else "GET", path, EVENT, door.both, **{KEY: door.both})
        assert (answer.status, answer.json["code"]) == (400, "two_keys")


def test_a_user_is_created_changed_in_part_read_and_deleted(door: PxClient) -> None:
    created = {
        **USER, "email": "a@b.c", "accountId": 17, "signUpDate": 1658965172096, "score": None, "gender": "FEMALE",
        "location": {"city": "Linz", "coordinates": {"latitude": 48.3}},
        "customAttributes": {"role": "clash", "seats": 5, "tags": ["x"], "none": None},
    }  # fmt: skip
    assert door.px("POST", "/v1/users", created).status == 201
    assert message(door.px("POST", "/v1/users", created))[::2] == (400, "duplicate")
    assert door.px("PUT", "/v1/users/u1", {"firstName": "Ada", "email": None}).status == 204
    assert door.px("PUT", "/v1/users/update", {"identifyId": "u1", "customAttributes": {"seats": 6}}).status == 204
    found = door.px("GET", "/v1/users/u1").json
    assert found["customAttributes"] == {"role": "clash", "seats": 6, "tags": '["x"]'}
    assert (found["email"], found["firstName"], found["accountId"], found["gender"]) == ("a@b.c", "Ada", "17", "FEMALE")
    assert (found["location"], found["propertyKeys"]) == (created["location"], ["AP-X-2"])
    assert (found["signUpDate"], found["createDate"], found["lastModifiedDate"]) == (1658965172096, NOW_MS, NOW_MS)
    assert door.attributes("users", "u1")["account"] == "17"
    assert door.px("GET", "/v1/users/U1").status == 404
    assert door.px("DELETE", "/v1/users/u1").status == 204
    assert (door.px("GET", "/v1/users/u1").status, door.px("GET", "/v1/users").json["totalHits"]) == (404, 0)


def test_ids_with_special_characters_are_in_the_path_encoded_or_in_the_body(door: PxClient) -> None:
    assert door.px("POST", "/v1/users", {**USER, "identifyId": "a/b?c"}).status == 201
    assert door.px("GET", "/v1/users/a%2Fb%3Fc").json["identifyId"] == "a/b?c"
    assert door.px("DELETE", "/v1/users/delete", {"identifyId": "a/b?c"}).status == 204
    assert door.px("PUT", "/v1/users/update", {"firstName": "Ada"}).status == 400


@pytest.mark.parametrize(
    ("query", "days", "role"), [("", 6.9, "admin"), ("", 7.1, None), ("?hardDelete=true", 0.1, None)]
)
def test_a_deleted_user_comes_back_within_seven_days_unless_deleted_hard(
    door: PxClient, query: str, days: float, role: str | None
) -> None:
    door.px("POST", "/v1/users", {**USER, "role": "admin"})
    assert door.px("DELETE", f"/v1/users/u1{query}").status == 204
    door.later(days=days)
    assert door.px("POST", "/v1/users", USER).status == 201
    assert door.px("GET", "/v1/users/u1").json.get("role") == role


def test_deleting_an_account_deletes_its_users(door: PxClient) -> None:
    door.px("POST", "/v1/accounts", ACCOUNT)
    for user, account in (("u1", "acme"), ("u2", "other")):
        door.px("POST", "/v1/users", {"identifyId": user, "propertyKeys": ["P"], "accountId": account})
    assert door.px("GET", "/v1/accounts/acme").json["numberOfUsers"] == 1
    assert door.px("DELETE", "/v1/accounts/acme").status == 204
    assert [one["id"] for one in door.px("GET", "/v1/users").json["users"]] == ["u2"]


def test_a_push_over_what_the_database_owns_is_204_and_kept_beside_it(door: PxClient) -> None:
    door.ledger.collect("accounts", "app", {"acme": {"plan": "pro"}}, times={}, run=None, now=NOW)
    assert door.px("PUT", "/v1/accounts/acme", {"plan": "trial", "customAttributes": {"mrr__c": 12.5}}).status == 204
    record = door.ledger.get("accounts", "acme").record  # type: ignore[union-attr]
    assert (record.effective()["plan"], record.attribute("plan").value) == ("pro", "trial")
    assert door.px("GET", "/v1/accounts/acme").json["plan"] == "pro"
    listed = {one["apiName"]: one for one in door.px("GET", "/v1/admin/model/account/attributes").json}
    assert (listed["mrr__c"]["type"], listed["mrr__c"]["origin"]) == ("NUMBER", "CUSTOM")
    assert (listed["plan"]["type"], listed["plan"]["origin"]) == ("STRING", "DEFAULT")


def test_a_wrong_body_is_refused_with_all_of_its_problems_and_nothing_of_it_is_kept(door: PxClient) -> None:
    answer = door.px("POST", "/v1/users", {"identifyId": "u1", "gender": "X", "score": "9", "email": "a@b.c"})
    found = [one["message"] for one in answer.json["externalapierror"]["subErrors"]]
    assert (answer.status, len(found)) == (400, 3)
    assert any("propertyKeys is required" in one for one in found)
    long = door.px("PUT", "/v1/users/u1", {"email": "x" * 20_000})
    assert long.status == 400
    assert door.ledger.get("users", "u1") is None


def test_lists_have_pxs_filters_order_and_pages(door: PxClient) -> None:
    for number in range(30):
        plan = "pro" if number % 2 else "Trial"
        more = {"numberOfEmployees": number, "plan": plan, "customAttributes": {"seats": number % 5}}
        door.px("POST", "/v1/accounts", {"id": f"a{number:02}", "name": "x", "propertyKeys": ["P"], **more})

    def ids(query: str, size: int = 7) -> list[str]:
        found, scroll = [], ""
        while True:
            page = door.px("GET", f"/v1/accounts?{query}&pageSize={size}&scrollId={scroll}").json
            found += [one["id"] for one in page["accounts"]]
            scroll = page["scrollId"]
            if len(page["accounts"]) < size:
                assert page["totalHits"] == len(found)
                return found

    every = [f"a{number:02}" for number in range(30)]
    assert ids("") == every
    assert ids("sort=-numberOfEmployees") == every[::-1]
    assert ids("sort=plan;-customAttributes.seats")[:3] == ["a09", "a19", "a29"]
    assert ids("filter=plan==trial;numberOfEmployees<5") == ["a00", "a02", "a04"]
    assert ids("filter=customAttributes.seats==4&filter=id~*0;numberOfEmployees>=20") == [
        "a04", "a09", "a14", "a19", "a20", "a24", "a29",
    ]  # fmt: skip
    assert ids("filter=numberOfUsers==0;lastModifiedDate>=2020-01-01", 1000) == every
    assert door.px("GET", "/v1/users?filter=id==u1").status == 400
    assert door.px("GET", "/v1/accounts?filter=plan").status == 400


# -- errors ------------------------------------------------------------------------------------------------------------


def test_paths_that_are_not_served_are_501_and_unknown_ones_404_in_pxs_shape(door: PxClient) -> None:
    assert set(NOT_SERVED) == set(FACTS["not_served"])
    for path in NOT_SERVED:
        assert door.px("GET", path).status == 501, path
    assert message(door.px("GET", "/v1/segment/x"))[0] == 501
    for verb, path, status in (
        ("GET", "/v1/custom_events", 404),
        ("GET", "/px/v1/nothing", 404),
        ("PATCH", "/v1/users/u1", 405),
        ("PUT", "/v1/events/custom", 405),
        ("GET", "/v1/admin/model/product/attributes", 404),
    ):
        answer = door.px(verb, path)
        assert (answer.status, "externalapierror" in answer.json) == (status, True), path


def test_keys_and_their_bounds_decide(door: PxClient) -> None:
    bound = door.new_key("bound", scopes=("read", "write"), accounts=("acme",))
    door.keys.refresh()
    assert message(door.px("GET", "/v1/users", key="unknown"))[:2] == (
        401,
        "Authentication failed in loginAwareAuthentication",
    )
    assert door.px("POST", "/v1/users", USER, key=door.reader).status == 403
    assert door.px("GET", "/v1/users", key=door.writer).status == 403
    assert door.px("POST", "/v1/accounts", ACCOUNT, key=bound).status == 201
    assert door.px("POST", "/v1/accounts", {**ACCOUNT, "id": "other"}, key=bound).status == 403
    assert door.px("POST", "/v1/users", USER, key=bound).status == 403
    door.px("POST", "/v1/accounts", {**ACCOUNT, "id": "other"})
    assert [one["id"] for one in door.px("GET", "/v1/accounts", key=bound).json["accounts"]] == ["acme"]


def test_the_fields_are_those_of_the_contract() -> None:
    for name, model in (("User", USER_MODEL), ("Account", ACCOUNT_MODEL)):
        facts = FACTS["schemas"][name]
        known = {*model.fields, *model.read_only, "propertyKeys", "location", "customAttributes", model.key}
        known |= {"accountId"} if name == "User" else set()
        assert (known, set(model.required)) == (set(facts["fields"]), set(facts["required"]))
        assert set(model.read_only) == set(facts["read_only"])


STORY: list[tuple[str, str, Any]] = [
    ("PUT", "/users/u1", {"role": "x"}),
    ("POST", "/users", USER),
    ("POST", "/users", USER),
    ("POST", "/users", {"identifyId": "u2"}),
    ("PUT", "/users/u1", {"role": "x", "score": 4}),
    ("PUT", "/users/u1", {"score": "4"}),
    ("PUT", "/users/update", {"identifyId": "u1", "title": "y"}),
    ("PUT", "/users/update", {"title": "y"}),
    ("GET", "/users/u1", None),
    ("GET", "/users/U1", None),
    ("GET", "/users?filter=identifyId==U1", None),
    ("GET", "/users?filter=identifyId", None),
    ("GET", "/users?filter=id==u1", None),
    ("GET", "/users?pageSize=1001", None),
    ("GET", "/users?unknown=1", None),
    ("POST", "/accounts", ACCOUNT),
    ("POST", "/accounts", ACCOUNT),
    ("PUT", "/accounts/nobody", {"plan": "x"}),
    ("PUT", "/accounts/acme", {"plan": "x", "numberOfEmployees": 4}),
    ("GET", "/accounts/acme", None),
    ("GET", "/accounts?filter=plan==X&sort=-name", None),
    ("DELETE", "/accounts/acme", None),
    ("DELETE", "/accounts/acme", None),
    ("DELETE", "/users/delete", {"identifyId": "u1"}),
    ("GET", "/users/u1", None),
    ("POST", "/events/custom", event()),
    ("POST", "/events/custom", {**EVENT, "userType": "x"}),
    ("GET", "/events/custom?filter=accountId==x", None),
    ("GET", "/events/custom?sort=eventName", None),
    ("GET", f"/events/custom?dateRangeStart={NOW_MS - 191 * DAY_MS}&dateRangeEnd={NOW_MS}", None),
    ("GET", "/events/email", None),
    ("GET", "/nothing", None),
    ("PATCH", "/users/u1", None),
    ("GET", "/admin/model/user/attributes", None),
    ("GET", "/admin/model/x/attributes", None),
]


def test_a_story_gets_the_same_statuses_as_from_the_emulator(door: PxClient) -> None:
    with PxEmulator(start=NOW) as px:
        for verb, path, body in STORY:
            theirs = requests.request(verb, px.api + path, json=body, headers=px.headers, timeout=10)
            ours = door.px(verb, f"/v1{path}", body)
            assert ours.status == theirs.status_code, (verb, path, ours.json, theirs.text)
            if ours.status >= 400:
                assert ours.json["externalapierror"]["status"] == theirs.json()["externalapierror"]["status"]
