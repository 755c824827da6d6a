"""The emulator of Gainsight PX: what it answers, in the order of its contract."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from tallybook_emulators.gainsight_px import FACTS, PxEmulator, PxLimits

EMULATORS = Path(__file__).resolve().parents[2] / "packages" / "emulators" / "src"
START = datetime(2026, 3, 10, 8, tzinfo=UTC)
NOW = round(START.timestamp() * 1000)
DAY = 86_400_000
EVENT = {"eventName": "dailyApiCalls", "identifyId": "u1", "propertyKey": "AP-X-2", "userType": "USER"}
USER = {"identifyId": "u1", "propertyKeys": ["AP-X-2"]}
ACCOUNT = {"id": "acme", "name": "Acme", "propertyKeys": ["AP-X-2"]}


@pytest.fixture
def px() -> Iterator[PxEmulator]:
    with PxEmulator(start=START, keys={"all": ("read", "write"), "reader": ("read",)}) as made:
        made.attribute("account", "mrr__c", "NUMBER")
        made.attribute("account", "old__c", "NUMBER", state="DISABLED")
        yield made
        assert made.mistakes == []


def call(px: PxEmulator, verb: str, path: str, body: Any = None, *, key: str = "all") -> tuple[int, Any]:
    """(status, JSON of the answer, or its text)."""
    headers = {"X-APTRINSIC-API-KEY": key} if key else {}
    answer = requests.request(verb, px.api + path, json=body, headers=headers, timeout=10)
    is_json = "json" in answer.headers.get("Content-Type", "")
    return answer.status_code, answer.json() if is_json else answer.text


def event(at: int = NOW, **more: Any) -> dict[str, Any]:
    return {**EVENT, "date": at, **more}


def names(page: Any, key: str = "customEvents", field: str = "identifyId") -> list[str]:
    return [one[field] for one in page[key]]


def test_an_event_is_created_with_201_and_read_back_with_an_id(px: PxEmulator) -> None:
    sent = event(accountId="acme", attributes={"apiCalls": 10512, "apiType": "RESTful", "nested": {"a": 1}})
    assert call(px, "POST", "/events/custom", sent) == (201, {})
    status, page = call(px, "GET", "/events/custom")
    assert (status, page["totalHits"]) == (200, 1)
    found = page["customEvents"][0]
    assert found["attributes"] == {"apiCalls": 10512, "apiType": "RESTful", "nested": '{"a": 1}'}
    assert (found["date"], found["accountId"], found["eventType"]) == (NOW, "acme", "CUSTOM")
    assert found["eventId"]


def test_the_same_event_again_is_a_second_event(px: PxEmulator) -> None:
    for _ in range(2):
        assert call(px, "POST", "/events/custom", event())[0] == 201
    assert call(px, "GET", "/events/custom")[1]["totalHits"] == 2


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"eventName": "x", "identifyId": "u1"}, "propertyKey is required"),
        ({**EVENT, "userType": "PERSON"}, "userType is 'PERSON'"),
        ({**EVENT, "date": "2026-03-10"}, "date is"),
        ({**EVENT, "timestamp": 1658965172096}, "timestamp is not a field of CustomEvent"),
        ({**EVENT, "attributes": {"a": 1, "A": 2}}, "differ only in case"),
        ({**EVENT, "attributes": {f"p{n}": n for n in range(51)}}, "more than 50 properties"),
        ({**EVENT, "eventName": "x" * 2001}, "longer than 2000"),
        ([EVENT], "one JSON object is expected"),
    ],
)
def test_a_body_that_breaks_the_contract_is_a_400_with_each_problem(px: PxEmulator, body: Any, problem: str) -> None:
    status, answer = call(px, "POST", "/events/custom", body)
    error = answer["externalapierror"]
    assert (status, error["status"]) == (400, "BAD_REQUEST")
    assert any(problem in one["message"] for one in error["subErrors"]), error
    assert px.events == []


def test_a_number_with_a_thousands_comma_is_not_json(px: PxEmulator) -> None:
    body = '{"eventName": "myAggregatedMetric", "attributes": {"apiCalls": 10,512}}'
    answer = requests.post(f"{px.api}/events/custom", body, headers=px.headers, timeout=10)
    assert (answer.status_code, answer.json()["externalapierror"]["message"]) == (400, "Malformed JSON request")


def test_keys_decide(px: PxEmulator) -> None:
    for key in ("", "unknown"):
        status, answer = call(px, "GET", "/users", key=key)
        assert (status, answer["externalapierror"]["status"]) == (401, "UNAUTHORIZED")
    assert call(px, "GET", "/users", key="reader")[0] == 200
    status, page = call(px, "POST", "/users", USER, key="reader")
    assert (status, page[:15]) == (403, "<!DOCTYPE html>")


def test_users_are_created_once_updated_in_parts_and_found_by_their_exact_id(px: PxEmulator) -> None:
    assert call(px, "PUT", "/users/u1", {"firstName": "Ada"})[0] == 404
    assert call(px, "POST", "/users", {**USER, "firstName": "Ada", "role": "admin"})[0] == 201
    status, answer = call(px, "POST", "/users", USER)
    assert (status, "duplicate" in answer["externalapierror"]["message"]) == (400, True)
    assert call(px, "PUT", "/users/u1", {"role": "owner", "firstName": None}) == (204, "")
    status, found = call(px, "GET", "/users/u1")
    assert (found["firstName"], found["role"], found["id"]) == ("Ada", "owner", "u1")
    status, answer = call(px, "GET", "/users/U1")
    assert (status, answer["externalapierror"]["message"]) == (404, "User was not found for parameters {id=U1}")
    assert names(call(px, "GET", "/users?filter=identifyId==U1")[1], "users") == ["u1"]


def test_an_id_with_special_characters_is_updated_by_the_body(px: PxEmulator) -> None:
    assert call(px, "POST", "/users", {**USER, "identifyId": "a/b?c"})[0] == 201
    assert call(px, "PUT", "/users/update", {"identifyId": "a/b?c", "title": "x"})[0] == 204
    assert call(px, "GET", "/users/a%2Fb%3Fc")[1]["title"] == "x"
    assert call(px, "PUT", "/users/update", {"title": "x"})[0] == 400
    assert call(px, "PUT", "/accounts/update", {"id": "nobody", "name": "x"})[0] == 404


def test_a_deleted_user_comes_back_within_seven_days_unless_deleted_hard(px: PxEmulator) -> None:
    def again(path: str, *, days: float) -> str | None:
        call(px, "POST", "/users", {**USER, "role": "admin"})
        assert call(px, "DELETE", path)[0] == 204
        assert call(px, "GET", "/users/u1")[0] == 404
        px.clock.advance(days=days)
        assert call(px, "POST", "/users", USER)[0] == 201
        found: str | None = call(px, "GET", "/users/u1")[1].get("role")
        px._api.subscription.users.clear()
        return found

    assert again("/users/u1", days=6.9) == "admin"
    assert again("/users/u1", days=7) is None
    assert again("/users/u1?hardDelete=true", days=1) is None
    call(px, "POST", "/users", USER)
    assert call(px, "DELETE", "/users/delete", {"identifyId": "u1"})[0] == 204


def test_deleting_an_account_deletes_its_users(px: PxEmulator) -> None:
    px.add_account("acme")
    px.add_user("u1", accountId="acme")
    px.add_user("u2", accountId="other")
    assert call(px, "GET", "/accounts/acme")[1]["numberOfUsers"] == 1
    assert call(px, "DELETE", "/accounts/acme")[0] == 204
    assert (list(px.users), list(px.accounts)) == (["u2"], [])


def test_custom_attributes_follow_the_catalogue(px: PxEmulator) -> None:
    px.add_account("acme")
    assert call(px, "PUT", "/accounts/acme", {"customAttributes": {"mrr__c": 12.5, "no__c": 1, "old__c": 2}})[0] == 204
    assert px.accounts["acme"]["customAttributes"] == {"mrr__c": 12.5}
    assert px.dropped == [("account", "acme", "no__c"), ("account", "acme", "old__c")]
    status, answer = call(px, "PUT", "/accounts/acme", {"customAttributes": {"mrr__c": "12.5"}})
    assert (status, answer["externalapierror"]["subErrors"][0]["message"]) == (
        400,
        "customAttributes.mrr__c is '12.5', not of type NUMBER",
    )
    status, listed = call(px, "GET", "/admin/model/account/attributes")
    shown = {one["apiName"]: (one["type"], one["state"], one["origin"]) for one in listed}
    assert (shown["mrr__c"], shown["old__c"]) == (("NUMBER", "ENABLED", "CUSTOM"), ("NUMBER", "DISABLED", "CUSTOM"))
    assert shown["plan"] == ("STRING", "ENABLED", "DEFAULT")
    assert call(px, "GET", "/admin/model/product/attributes")[0] == 404


def test_the_filter_grammar_joins_terms_by_and_and_filters_by_or(px: PxEmulator) -> None:
    px.add_account("a", sicCode="64", numberOfEmployees=26, location={"city": "Portland"})
    px.add_account("b", sicCode="64", numberOfEmployees=25)
    px.add_account("c", sicCode="63", numberOfEmployees=4000, customAttributes={"mrr__c": 7})

    def ids(query: str) -> list[str]:
        return names(call(px, "GET", f"/accounts?{query}")[1], "accounts", "id")

    assert ids("filter=sicCode==64;numberOfEmployees>25") == ["a"]
    assert ids("filter=sicCode==64;numberOfEmployees>25&filter=sicCode==63;numberOfEmployees>3000") == ["a", "c"]
    assert ids("filter=location.city==portland;") == ["a"]
    assert ids("filter=location.city~p*L?nd") == ["a"]
    assert ids("filter=location.city!~port*") == ["b", "c"]
    assert ids("filter=customAttributes.mrr__c>=7") == ["c"]
    assert ids("filter=sicCode!=64") == ["c"]
    assert ids("sort=-numberOfEmployees") == ["c", "a", "b"]
    assert ids("sort=sicCode;-numberOfEmployees") == ["c", "a", "b"]
    assert call(px, "GET", "/accounts?filter=sicCode")[0] == 400
    assert call(px, "GET", "/users?filter=id==a")[0] == 400
    assert call(px, "GET", "/accounts?filters=sicCode==64")[0] == 400
    assert call(px, "GET", "/events/custom?filter=accountId==a")[0] == 400
    assert call(px, "GET", "/events/custom?sort=eventName")[0] == 400


def test_a_read_of_events_is_the_last_day_unless_a_range_is_given_and_at_most_190_days(px: PxEmulator) -> None:
    for days in (0, 2, 189):
        call(px, "POST", "/events/custom", event(NOW - days * DAY, identifyId=f"d{days}"))

    def ids(query: str) -> list[str]:
        return sorted(names(call(px, "GET", f"/events/custom?{query}")[1]))

    assert ids("") == ["d0"]
    assert ids(f"dateRangeStart={NOW - 190 * DAY}&dateRangeEnd={NOW}") == ["d0", "d189", "d2"]
    assert ids("filter=date>=2026-03-08T00:00:00Z;date<=2026-03-09T00:00:00Z") == ["d2"]
    assert ids(f"filter=date=={NOW - 189 * DAY}") == ["d189"]
    status, answer = call(px, "GET", f"/events/custom?dateRangeStart={NOW - 190 * DAY - 1}&dateRangeEnd={NOW}")
    assert (status, answer["externalapierror"]["message"]) == (400, "Exceeded date range190days")
    assert call(px, "GET", "/events/custom?filter=date>=2025-01-01T00:00:00Z")[0] == 400


@pytest.mark.parametrize(("path", "key"), [("/users", "users"), ("/accounts", "accounts")])
def test_pages_scroll_to_a_short_one_which_has_a_scroll_id_too(px: PxEmulator, path: str, key: str) -> None:
    for number in range(60):
        (px.add_user if key == "users" else px.add_account)(f"n{number:02}")
    found, scroll = [], ""
    while True:
        _, page = call(px, "GET", f"{path}?sort=-createDate&scrollId={scroll}" if scroll else path)
        found += page[key]
        scroll = page["scrollId"]
        assert (scroll is not None, page["totalHits"]) == (True, 60)
        if len(page[key]) < 25:
            break
    assert len({one.get("identifyId") or one["id"] for one in found}) == len(found) == 60
    assert call(px, "GET", f"{path}?pageSize=1000")[0] == 200
    for size in ("0", "1001", "x"):
        assert call(px, "GET", f"{path}?pageSize={size}")[0] == 400


def test_more_requests_than_the_limit_are_429_without_a_hint(px: PxEmulator) -> None:
    with PxEmulator(start=START, limits=PxLimits(per_second=3, per_day=5)) as slow:
        answers = [requests.get(f"{slow.api}/users", headers=slow.headers, timeout=10) for _ in range(4)]
        assert [one.status_code for one in answers] == [200, 200, 200, 429]
        assert "Retry-After" not in answers[3].headers
        slow.clock.advance(1)
        assert [requests.get(f"{slow.api}/users", headers=slow.headers, timeout=10).status_code for _ in "ab"] == [
            200,
            429,
        ]
        slow.clock.advance(days=1)
        assert requests.get(f"{slow.api}/users", headers=slow.headers, timeout=10).status_code == 200


def test_faults_refuse_before_or_after_and_cut(px: PxEmulator) -> None:
    for answer, after in ((503, False), (500, True), (403, False), (429, True)):
        px.fault(answer, after=after, path="/events/custom", verb="POST")
        status, body = call(px, "POST", "/events/custom", event())
        assert (status, "html" in body if answer == 403 else "externalapierror" in body) == (answer, True)
    assert len(px.events) == 2
    for rule in ({"cut": True}, {"reset": True, "after": True}):
        px.fault(**rule)  # type: ignore[arg-type]
        with pytest.raises(requests.ConnectionError):
            call(px, "POST", "/events/custom", event())
    assert len(px.events) == 3
    assert [seen.status for seen in px.requests] == [503, 500, 403, 429, 0, 0]


def test_paths_without_emulation_are_501_and_unknown_ones_404_or_405(px: PxEmulator) -> None:
    for path in FACTS["not_served"]:
        assert requests.get(px.url + path, headers=px.headers, timeout=10).status_code == 501, path
    assert call(px, "GET", "/segment/x")[0] == 501
    assert call(px, "GET", "/custom_events")[0] == 404
    assert call(px, "PATCH", "/users/u1")[0] == 405
    assert requests.get(f"{px.url}/px/v1/users", headers=px.headers, timeout=10).status_code == 200


def test_every_answer_of_the_contract_is_one_of_its_codes() -> None:
    """The contract names at least one success and the refusals for each operation."""
    for operation in FACTS["operations"]:
        assert {401, 429} <= set(operation["answers"]), operation
        assert any(200 <= code < 300 for code in operation["answers"]), operation
        assert operation.get("body", "User") in FACTS["schemas"]


def test_the_command_serves_other_languages_without_tallybook_or_any_package() -> None:
    words = [sys.executable, "-S", "-m", "tallybook_emulators.gainsight_px", "--port", "0", "--format", "json"]
    words += ["--attribute", "account:mrr__c:NUMBER", "--key", "k1"]
    environment = {**os.environ, "PYTHONPATH": str(EMULATORS)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())
        try:
            control = started["control"]
            assert requests.get(control, timeout=10).json()["key"] == started["key"] == "k1"
            requests.post(f"{control}/faults", json={"answer": 503, "path": "/users"}, timeout=10).raise_for_status()
            headers = {"X-APTRINSIC-API-KEY": "k1"}
            assert requests.get(f"{started['api']}/users", headers=headers, timeout=10).status_code == 503
            assert (
                requests.post(f"{started['api']}/accounts", json=ACCOUNT, headers=headers, timeout=10).status_code
                == 201
            )
            assert list(requests.get(f"{control}/content", timeout=10).json()["accounts"]) == ["acme"]
            assert requests.get(f"{control}/requests", timeout=10).json()["busiest_second"] >= 1
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
