"""The pages of docs/collectors: each request in them is executed, and stores what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallybook.server.entities import EntityDoor
from tallybook.storage import EntityLedger
from tests.ingest.doors import HttpDoor

PAGES = sorted((Path(__file__).resolve().parents[2] / "docs" / "collectors").glob("*.md"))
REQUESTS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"```http fragment\n(.*?)```", page.read_text(), re.DOTALL))
]
NAMES = {"mulesoft", "boomi", "zapier", "make", "n8n", "airbyte", "dlt"}


@pytest.fixture
def door(tmp_path: Path) -> Iterator[HttpDoor]:
    made = HttpDoor(tmp_path / "book")
    made.app.entities = EntityDoor(EntityLedger(made.events.ledger), lambda: made.now)
    yield made
    made.commit.close()
    made.events.close()


def test_each_collector_has_a_page_with_a_request() -> None:
    assert {page.stem for page in PAGES} == {*NAMES, "README"}
    assert {str(one.id).partition("-")[0] for one in REQUESTS} == NAMES


@pytest.mark.parametrize("text", REQUESTS)
def test_the_request_of_a_page_is_stored_once_however_often_it_is_sent(door: HttpDoor, text: str) -> None:
    head, _, body = text.partition("\n\n")
    first, *lines = head.splitlines()
    method, path = first.split()
    headers = dict(line.split(": ", 1) for line in lines)
    assert headers.pop("Authorization") == "Bearer KEY"
    named = {name.replace("-", "_"): value for name, value in headers.items()}
    for _ in range(2):
        answer = door.ask(method, path, body.rstrip("\n").encode(), door.writer, **named)
        assert (answer.status, answer.json["rejected"], answer.json.get("warnings", [])) == (200, [], [])
    if method == "PUT":
        assert answer.json["kept"] == len(json.loads(body)["attributes"])
        return
    rows = json.loads(body) if "json" in headers["Content-Type"] else body.strip().splitlines()[1:]
    count = len(rows) if isinstance(rows, list) else 1
    assert answer.json["stored"] == count
    door.compact()
    files = [file.rows for file in door.events.snapshot().files if file.event]
    # A daily value that is sent again is received again, and replaces itself.
    assert sum(files) == (2 * count if path == "/v1/values" else count)
