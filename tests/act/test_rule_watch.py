"""While a server runs, the rules of users and accounts see a change within seconds."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

import tallybook
from tallybook.act import RuleWatch
from tests.act.test_rule_edges import METRICS
from tests.ingest.servers import Server
from tests.projects import Project
from tests.receivers import Web

DECLARED = """
[rules.big]
when = "segment = 'big' and plan = 'pro'"
then = {{ to = "webhook", url = "{url}/big" }}
"""


def company(folder: Path, url: str) -> Project:
    made = Project(folder, f"sqlite:///{folder}/app.db", now="2024-01-11T04:00")
    made.table("calls (day date, account_id varchar(9), n int)")
    made.table("accounts (id int, name varchar(9), plan varchar(9))", [(n, "A", "pro") for n in range(1, 9)])
    made.declare(METRICS + DECLARED.format(url=url))
    made.run()
    return made


def test_a_step_evaluates_only_those_who_changed(tmp_path: Path) -> None:
    made = company(tmp_path, "http://127.0.0.1:9")
    watch = RuleWatch(made.book.rules)
    assert watch.step() == []
    for id_ in ("2", "5"):
        made.book.push_attributes("accounts", id_, attributes={"segment": "big"})
    (report,) = watch.step()
    assert report.rules["big"].fired == 2
    assert watch.step() == []
    states = [made.book.rules.explain("big", str(n)).state for n in range(1, 9)]
    assert states == ["out", "in", "out", "out", "in", "out", "out", "out"]
    made.book.rules.evaluate()
    assert len(made.book.rules.evaluator.ledger.firings("big")) == 2


def test_a_push_to_a_running_server_calls_the_webhook_within_seconds(tmp_path: Path) -> None:
    with Web() as web:
        made = company(tmp_path / "book", web.url)
        made.book.push_attributes("accounts", "1", attributes={"segment": "small"})
        made.book.rules.evaluate()
        made.close()
        file = tmp_path / "book" / "tallybook.toml"
        file.write_text(file.read_text() + '\n[serve]\nreserve = "1 MB"\n')
        server = Server.of(tmp_path / "book").start()
        try:
            with tallybook.open(tmp_path / "book") as book:
                book.push_attributes("accounts", "1", attributes={"segment": "big"})
            until = time.monotonic() + 60
            while not web.posts and time.monotonic() < until:
                time.sleep(0.1)
        finally:
            server.stop()
        bodies: list[Any] = [body["data"]["entity"] for _, body in web.posts]
        assert bodies == ["1"]


pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
