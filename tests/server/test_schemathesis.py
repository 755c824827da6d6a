"""Schemathesis makes requests of `/openapi.json`, and what the reading API answers is what the document says."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from tallybook.server.openapi import document
from tallybook.server.read_operations import READ_OPERATIONS
from tests.server.served import Answer, Served, served

__all__ = ["served"]

SOAK = os.environ.get("TALLYBOOK_SOAK") == "1"
READ = {(each.method, each.path) for each in READ_OPERATIONS}
FEW = settings(
    max_examples=2_000 if SOAK else 25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


@pytest.fixture(scope="module")
def operations() -> list[Any]:
    """The operations that read, as Schemathesis understands them."""
    import schemathesis

    found = [one.ok() for one in schemathesis.openapi.from_dict(document()).get_all_operations()]
    reading = [one for one in found if (one.method.lower(), one.path) in READ]
    assert len(reading) == len(READ_OPERATIONS)
    return reading


def answer_of(served: Served, case: Any) -> Answer:
    """The answer to a generated request, which is sent as it is."""
    from schemathesis.core import NOT_SET

    path = case.formatted_path
    if case.query:
        path += f"?{urlencode(case.query, doseq=True, errors='replace')}"
    body = None if case.body is NOT_SET else case.body
    headers = {name: value for name, value in (case.headers or {}).items() if value.isascii() and value.isprintable()}
    return served.ask(case.method.upper(), path, body, **{"content_type": "application/json", **headers})


def checked(case: Any, answer: Answer) -> None:
    """Raises where the answer is not one of the document: its status, content type, headers and body."""
    import requests
    import schemathesis
    from schemathesis import Response
    from schemathesis.specs.openapi import checks

    request = requests.Request(case.method, f"http://127.0.0.1:8321{case.formatted_path}").prepare()
    response = Response(
        status_code=answer.status,
        headers={name.lower(): [value] for name, value in answer.headers.items()},
        content=answer.body,
        request=request,
        elapsed=0.1,
        verify=False,
    )
    chosen = [
        schemathesis.checks.not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_headers_conformance,
        checks.response_schema_conformance,
    ]
    case.validate_response(response, checks=chosen)


@FEW
@given(data=st.data())
def test_generated_requests_get_documented_answers(served: Served, operations: list[Any], data: st.DataObject) -> None:
    operation = data.draw(st.sampled_from(operations))
    case = data.draw(operation.as_strategy())
    checked(case, answer_of(served, case))


def test_an_answer_that_the_document_does_not_have_is_found(served: Served, operations: list[Any]) -> None:
    """The checks can fail: an undocumented status, and a body of another type."""
    from schemathesis.core.failures import FailureGroup

    operation = next(one for one in operations if one.path == "/v1/goals")
    case = operation.Case(method="GET")
    right = answer_of(served, case)
    checked(case, right)
    for wrong in (
        Answer(418, right.body, right.headers),
        Answer(200, b"[]", right.headers),
        Answer(200, right.body, {**right.headers, "content-type": "text/html"}),
    ):
        with pytest.raises(FailureGroup):
            checked(case, wrong)
