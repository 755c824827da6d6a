"""Checks requests and answers against contract.json, a data file of facts about the API."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from tallybook_emulators.gainsight_px.errors import PxError

Json = dict[str, Any]
INT_BITS = {"int32": 31, "int64": 63}
FACTS: Json = json.loads((files(__package__) / "contract.json").read_text("utf-8"))
CAPS: dict[str, int] = FACTS["caps"]
MESSAGES: dict[str, str] = FACTS["messages"]


@dataclass(frozen=True)
class PxOperation:
    """One verb on one path. `of`: the schema of its answer. `lists`: the key of the list in a page."""

    verb: str
    path: str
    permission: str
    answers: tuple[int, ...]
    body: str = ""
    of: str = ""
    lists: str = ""
    array: bool = False
    partial: bool = False
    query: tuple[str, ...] = ()
    filters: tuple[str, ...] | None = None
    not_filters: tuple[str, ...] = ()
    sorts: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        return f"{self.verb} {self.path}"


@cache
def operations() -> tuple[PxOperation, ...]:
    """Every operation of the contract. Paths without an id come before paths with an id."""
    made = [_operation(given) for given in FACTS["operations"]]
    return tuple(sorted(made, key=lambda one: "{" in one.path))


def _operation(given: Json) -> PxOperation:
    fields: Json = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    return PxOperation(**fields)


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str, PxOperation], ...]:
    return tuple(
        (re.compile(re.sub(r"\\\{\w+\\\}", "([^/]+)", re.escape(one.path))), one.verb, one) for one in operations()
    )


def operation_of(verb: str, path: str) -> tuple[PxOperation, str]:
    """The operation for a path, and the id in the path or "". Raises PxError 404, 405, or 501 for a path that is not
    emulated."""
    if any(path == start or path.startswith(f"{start}/") for start in FACTS["not_served"]):
        raise PxError(501, f"{path} is not emulated")
    verbs = []
    for pattern, allowed, operation in _patterns():
        if (found := pattern.fullmatch(path)) is None:
            continue
        if allowed == verb:
            return operation, found[1] if found.groups() else ""
        verbs.append(allowed)
    if verbs:
        raise PxError(405, f"Request method '{verb}' not supported")
    raise PxError(404, f"No handler found for {verb} {path}")


def check_query(operation: PxOperation, names: list[str]) -> None:
    """Raise PxError 400 for a parameter that the operation does not have."""
    unknown = [name for name in names if name not in operation.query]
    if unknown:
        raise PxError(400, "Unknown parameter", details=[f"{operation.name} has no parameter {one}" for one in unknown])


def checked_body(operation: PxOperation, body: bytes) -> Json:
    """The body of a request. Raises PxError 400 with all its problems at once."""
    try:
        given = json.loads(body, parse_constant=_no_constant)
    except ValueError as error:
        raise PxError(400, "Malformed JSON request", details=[str(error)]) from error
    if not isinstance(given, dict):
        raise PxError(400, "Malformed JSON request", details=["one JSON object is expected"])
    problems = list(_problems(given, operation.body, ""))
    if not operation.partial:
        problems += [
            f"{name} is required" for name in FACTS["schemas"][operation.body]["required"] if not given.get(name)
        ]
    if problems:
        raise PxError(400, "Validation error", details=problems)
    return given


def check_answer(operation: PxOperation, status: int, body: Any) -> None:
    """Raise AssertionError if an answer does not match the contract, which means a bug in the emulator."""
    allowed = (*operation.answers, *FACTS["any_operation"])
    assert status in allowed, f"{operation.name} answered {status}; the contract has {allowed}"
    if status != 200 or not operation.of:
        return
    if operation.lists:
        assert set(body) == {operation.lists, "totalHits", "scrollId"}, f"{operation.name}: keys {sorted(body)}"
        found = body[operation.lists]
    else:
        found = body if operation.array else [body]
    problems = [problem for one in found for problem in _problems(one, operation.of, "")]
    assert not problems, f"{operation.name} answered {problems}"


def _problems(value: Json, schema: str, path: str) -> list[str]:
    fields = FACTS["schemas"][schema]["fields"]
    made: list[str] = []
    for name, one in value.items():
        at = f"{path}{name}"
        if name not in fields:
            made.append(f"{at} is not a field of {schema}")
        elif one is not None:
            made += _type_problems(one, fields[name], at)
    return made


def _type_problems(value: Any, kind: Any, at: str) -> list[str]:
    if isinstance(kind, list):
        return [] if value in kind else [f"{at} is {value!r}, not one of {', '.join(kind)}"]
    if kind in FACTS["schemas"]:
        return _problems(value, kind, f"{at}.") if isinstance(value, dict) else [f"{at} is not an object"]
    return [] if _fits(value, kind) else [f"{at} is {json.dumps(value)[:60]}, not of type {kind}"]


def _fits(value: Any, kind: str) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    match kind:
        case "string":
            return isinstance(value, str)
        case "id":
            return isinstance(value, str) or whole
        case "int32" | "int64":
            return whole and -(2 ** INT_BITS[kind]) <= value < 2 ** INT_BITS[kind]
        case "number":
            return whole or isinstance(value, float)
        case "flag":
            return isinstance(value, bool)
        case "strings":
            return isinstance(value, list) and all(isinstance(one, str) for one in value)
    return isinstance(value, dict)


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")
