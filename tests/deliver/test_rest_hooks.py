"""REST hooks: programs subscribe to a delivery over HTTP and get webhooks of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.projects import Project, project
from tests.receivers import Web
from tests.server.served import Served

__all__ = ["project"]


@pytest.fixture
def hooked(project: Any) -> Iterator[tuple[Served, Project]]:
    made = project(now="2024-03-06T12:00")
    made.table(
        "visits (at timestamp, plan varchar(9), n int)",
        [("2024-03-04 10:00:00", "pro", 2), ("2024-03-05 10:00:00", "pro", 5), ("2024-03-05 11:00:00", "free", 1)],
    )
    made.declare(
        """
        [metrics.visits]
        table = "visits"
        time = "at"
        measure = "sum(n)"
        by = ["plan"]
        [deliveries.zapier]
        to = "rest_hooks"
        metrics = ["visits"]
        by = ["plan"]
        private = true
        [deliveries.open]
        to = "rest_hooks"
        metrics = ["visits"]
        """,
        start="2024-03-04",
    )
    made.run()
    served = Served(made)
    yield served, made
    served.close()


def test_a_program_subscribes_gets_new_values_and_unsubscribes(hooked):
    served, made = hooked
    key, other = served.key("zap"), served.key("n8n")
    with Web() as web, Web() as second:
        target = {"delivery": "zapier", "target": f"{web.url}/hook"}
        sample = served.ask("GET", "/v1/hooks/zapier/sample", key=key).json["sample"]
        assert [one["data"]["period"] for one in sample] == ["2024-03-05", "2024-03-05", "2024-03-04"]
        made_ = served.ask("POST", "/v1/hooks", target, key)
        assert (made_.status, made_.json["delivery"]) == (201, "zapier")
        assert served.ask("POST", "/v1/hooks", target, key).json["id"] == made_.json["id"]
        served.ask("POST", "/v1/hooks", {**target, "target": f"{second.url}/hook"}, other)
        second.answers = [410] * 4
        made.book.deliver()
        assert sorted(body["data"]["value"] for _, body in web.posts) == [1, 5]
        assert web.posts[0][1]["delivery"] == "zapier"
        tried = len(second.headers)
        made.insert("visits", [("2024-03-06 10:00:00", "pro", 7)])
        made.at("2024-03-07T12:00").run()
        assert [body["data"]["value"] for _, body in web.posts[2:]] == [7]
        assert len(second.headers) == tried
        assert len(served.ask("GET", "/v1/hooks", key=key).json["hooks"]) == 1
        assert served.ask("DELETE", f"/v1/hooks/{made_.json['id']}", key=other).status == 404
        assert served.ask("DELETE", f"/v1/hooks/{made_.json['id']}", key=key).status == 204
        made.insert("visits", [("2024-03-07 10:00:00", "pro", 8)])
        made.at("2024-03-08T12:00").run()
        assert len(web.posts) == 3
    assert served.errors == []


@pytest.mark.parametrize("status", [410, 401])
def test_a_target_that_ended_its_subscription_can_subscribe_again(hooked, status):
    served, made = hooked
    key = served.key("zap")
    with Web() as web:
        target = {"delivery": "zapier", "target": f"{web.url}/hook"}
        first = served.ask("POST", "/v1/hooks", target, key).json["id"]
        web.answers = [status] * 4
        made.book.deliver()
        assert served.ask("GET", "/v1/hooks", key=key).json["hooks"] == []
        web.answers, tried = [], len(web.posts)
        second = served.ask("POST", "/v1/hooks", target, key).json["id"]
        assert second != first
        assert served.ask("POST", "/v1/hooks", target, key).json["id"] == second
        made.book.deliver()
        assert sorted(body["data"]["value"] for _, body in web.posts[tried:]) == [1, 5]
    assert served.errors == []


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"delivery": "zapier", "target": "http://example.org/x"}, 400),
        ({"delivery": "zapier", "target": "https://u:p@example.org/x"}, 400),
        ({"delivery": "plum", "target": "https://example.org/x"}, 400),
        ({"delivery": "zapier"}, 400),
        ({"delivery": "open", "target": "http://127.0.0.1:9/x"}, 400),
        ({"delivery": "open", "target": "https://localhost/x"}, 400),
        (b"[", 400),
    ],
)
def test_what_cannot_be_subscribed_to_is_refused(hooked, sent, status):
    served, _ = hooked
    assert served.ask("POST", "/v1/hooks", sent, served.key()).status == status


def test_a_bound_key_may_not_subscribe(hooked):
    served, _ = hooked
    bound = served.key("bound", "read", accounts=("a1",))
    target = {"delivery": "zapier", "target": "https://example.org/x"}
    assert served.ask("POST", "/v1/hooks", target, bound).status == 403
    assert served.ask("POST", "/v1/hooks", target, served.key("writer", "write")).status == 403
