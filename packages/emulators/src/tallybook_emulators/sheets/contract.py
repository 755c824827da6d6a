"""Validates requests and answers against Google's discovery documents.

The documents are the static JSON files inside google-api-python-client. Without that package nothing is validated, and
`Contract.checks` is False. Their format: https://developers.google.com/discovery/v1/reference/apis"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tallybook_emulators.sheets import masks
from tallybook_emulators.sheets.errors import GoogleError, bad_field

Json = dict[str, Any]
FILES = {"sheets": "sheets.v4.json", "drive": "drive.v3.json"}
PACKAGE = "google-api-python-client"
TYPE_NAMES = {
    "int32": "TYPE_INT32",
    "int64": "TYPE_INT64",
    "uint32": "TYPE_UINT32",
    "double": "TYPE_DOUBLE",
    "float": "TYPE_FLOAT",
}
BODY_FIELDS = {"sheets.spreadsheets.values.update": "data", "sheets.spreadsheets.values.append": "data"}
"""Methods whose body is one field of the request message. Errors give paths within that field."""
TYPES = {"boolean": "TYPE_BOOL", "integer": "TYPE_INT32", "number": "TYPE_DOUBLE", "string": "TYPE_STRING"}
LIST_TYPE = "type.googleapis.com/google.protobuf.ListValue"
NESTED = {"Request": "BatchUpdateSpreadsheetRequest.Request", "Response": "BatchUpdateSpreadsheetResponse.Response"}
"""Messages whose name in Google's errors differs from the discovery document."""
INT_RANGES = {"int32": (-(2**31), 2**31 - 1), "uint32": (0, 2**32 - 1)}


@cache
def document(name: str) -> Json | None:
    """A discovery document. None if google-api-python-client is not installed."""
    found = find_spec("googleapiclient")
    if not found or not found.origin:
        return None
    path = Path(found.origin).parent / "discovery_cache" / "documents" / FILES[name]
    if not path.exists():
        return None
    loaded: Json = json.loads(path.read_text("utf-8"))
    return loaded


@cache
def methods(name: str) -> Mapping[str, Json]:
    """The methods of an API by id, such as `sheets.spreadsheets.values.get`."""

    def walk(node: Json) -> dict[str, Json]:
        found = {method["id"]: method for method in node.get("methods", {}).values()}
        for below in node.get("resources", {}).values():
            found |= walk(below)
        return found

    return walk(document(name) or {})


@lru_cache(maxsize=4096)
def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda m: "_" + m[1].lower(), name)


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


class Contract:
    """The discovery document of one API. If `checks` is False, everything is accepted."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.document = document(name)
        self.checks = self.document is not None
        self.schemas: Mapping[str, Json] = (self.document or {}).get("schemas", {})

    def request(self, method: str, body: Any) -> Json:
        """The body in canonical form: null fields are dropped, snake_case names become camelCase.

        Raises GoogleError 400 for an undocumented name or a value of a wrong type."""
        if not isinstance(body, dict):
            raise bad_field("", "Invalid JSON payload received. Unexpected token.")
        if not self.checks:
            bare: Json = without_nulls(body)
            return bare
        reference = methods(self.name)[method].get("request", {}).get("$ref")
        if reference is None:
            return {}
        made: Json = self._object(body, self.schemas[reference], BODY_FIELDS.get(method, ""))
        return made

    def answer(self, method: str, body: Any) -> None:
        """Raise AssertionError if the emulator's answer does not have the documented form, which means a bug in the
        emulator."""
        reference = methods(self.name).get(method, {}).get("response", {}).get("$ref")
        if self.checks and reference:
            try:
                self._object(body, self.schemas[reference], "")
            except GoogleError as error:
                raise AssertionError(
                    f"the emulator's answer to {method} does not have the documented form: {error}"
                ) from error

    def query(self, method: str, given: Mapping[str, list[str]]) -> Json:
        """Parameters with their documented types. Repeated parameters are lists."""
        if not self.checks:
            return _guessed(given)
        known = {**(self.document or {}).get("parameters", {}), **methods(self.name)[method].get("parameters", {})}
        made: Json = {}
        for name, values in given.items():
            spec = known.get(name) or known.get(camel(name))
            if spec is None:
                raise bad_field(
                    "",
                    f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter. '
                    f"Field '{name}' could not be found in request message.",
                )
            found = [self._parameter(value, spec, name) for value in values]
            made[camel(name) if name not in known else name] = found if spec.get("repeated") else found[-1]
        return made

    def mask(self, method: str, text: str) -> masks.Tree:
        """The field mask of a request. Raises GoogleError 400 for an undocumented field of the answer."""
        tree = masks.parse(text)
        reference = methods(self.name).get(method, {}).get("response", {}).get("$ref")
        if reference:
            self._check_mask(tree, self.schemas[reference])
        return tree

    def _check_mask(self, tree: masks.Tree, schema: Json) -> None:
        known, more = schema.get("properties", {}), schema.get("additionalProperties")
        for name, below in tree.items():
            spec = known.get(name) or more
            if name == "*":
                continue
            if spec is None:
                raise bad_field(
                    "fields", f"Error expanding 'fields' parameter. Cannot find matching fields for path '{name}'."
                )
            while "items" in spec:
                spec = spec["items"]
            self._check_mask(below, self.schemas[spec["$ref"]] if "$ref" in spec else spec)

    def _parameter(self, text: str, spec: Json, name: str) -> Any:
        match spec.get("type"):
            case "boolean":
                if text.lower() not in ("true", "false", "1", "0"):
                    raise bad_field(snake(name), f"Invalid value at '{snake(name)}' (TYPE_BOOL), \"{text}\"")
                return text.lower() in ("true", "1")
            case "integer":
                if not re.fullmatch(r"-?\d+", text):
                    raise bad_field(snake(name), f"Invalid value at '{snake(name)}' (TYPE_INT32), \"{text}\"")
                return int(text)
        if "enum" in spec and text not in spec["enum"] and name != "alt":
            raise bad_field(snake(name), f"Invalid value at '{snake(name)}' ({self._enum(name)}), \"{text}\"")
        return text

    def _enum(self, name: str) -> str:
        package = "google.apps.sheets.v4" if self.name == "sheets" else "google.apps.drive.v3"
        return f"type.googleapis.com/{package}.{name[:1].upper()}{name[1:]}"

    # --- bodies ---------------------------------------------------------------------------------------------

    def _object(self, value: Any, schema: Json, path: str) -> Any:
        if not isinstance(value, dict):
            raise self._wrong(path, schema.get("id", "object"), value)
        known = schema.get("properties", {})
        more = schema.get("additionalProperties")
        made: Json = {}
        for name, one in value.items():
            spec = known.get(name) or known.get(camel(name)) or more
            if spec is None:
                raise self._unknown(name, path)
            if one is None:
                continue
            made[camel(name) if name not in known and not more else name] = self._value(
                one, spec, _below(path, name), name
            )
        return made

    def _value(self, value: Any, spec: Json, path: str, name: str) -> Any:
        if "$ref" in spec:
            return self._object(value, self.schemas[spec["$ref"]], path)
        match spec.get("type"):
            case "array":
                if not isinstance(value, list):
                    raise self._wrong(path, _item_type(spec["items"], name), value)
                return [self._value(one, spec["items"], f"{path}[{i}]", name) for i, one in enumerate(value)]
            case "object":
                return self._object(value, spec, path)
            case "string":
                return self._string(value, spec, path, name)
            case "boolean":
                if not isinstance(value, bool):
                    raise self._wrong(path, "TYPE_BOOL", value)
            case "integer":
                return self._integer(value, spec, path)
            case "number":
                return self._number(value, spec, path)
        return value

    def _string(self, value: Any, spec: Json, path: str, name: str) -> Any:
        if "enum" in spec:
            if value not in spec["enum"]:
                raise self._wrong(path, self._enum(name), value)
        elif not isinstance(value, str):
            raise self._wrong(path, TYPE_NAMES.get(spec.get("format", ""), "TYPE_STRING"), value)
        return value

    def _integer(self, value: Any, spec: Json, path: str) -> int:
        form = spec.get("format", "int32")
        if isinstance(value, str) and re.fullmatch(r"-?\d+", value):
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        low, high = INT_RANGES.get(form, (-(2**63), 2**63))
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._wrong(path, TYPE_NAMES.get(form, "TYPE_INT32"), value)
        return value

    def _number(self, value: Any, spec: Json, path: str) -> float:
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                raise self._wrong(path, TYPE_NAMES[spec.get("format", "double")], value) from None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(path, TYPE_NAMES[spec.get("format", "double")], value)
        return value

    def _unknown(self, name: str, path: str) -> Exception:
        at = f" at '{path}'" if path else ""
        return bad_field(path, f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.')

    def _wrong(self, path: str, wanted: str, value: Any) -> Exception:
        if isinstance(value, list):
            above, _, name = path.rpartition(".")
            at = f" at {above!r}" if above else ""
            words = f'Unknown name "{name}"{at}: Proto field is not repeating, cannot start list.'
            return bad_field(above, f"Invalid JSON payload received. {words}")
        kind = wanted
        if not wanted.startswith(("TYPE_", "type.")):
            kind = f"type.googleapis.com/google.apps.sheets.v4.{NESTED.get(wanted, wanted)}"
        seen = f'"{value}"' if isinstance(value, str) else json.dumps(value)[:100]
        return bad_field(path, f"Invalid value at '{path}' ({kind}), {seen}")


def _item_type(items: Json, name: str) -> str:
    """The type that an error names when a single value is given for a list."""
    if items.get("type") in ("array", "any"):
        return LIST_TYPE
    if "enum" in items:
        return name[:1].upper() + name[1:]
    return str(items.get("$ref") or TYPE_NAMES.get(items.get("format", "")) or TYPES.get(items["type"], items["type"]))


def _below(path: str, name: str) -> str:
    return f"{path}.{snake(name)}" if path else snake(name)


def without_nulls(value: Any) -> Any:
    """JSON without its null fields. Nulls in lists stay."""
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


def _guessed(given: Mapping[str, list[str]]) -> Json:
    words = {"true": True, "false": False}
    made: Json = {name: words.get(values[-1].lower(), values[-1]) for name, values in given.items()}
    return made | {name: given[name] for name in ("ranges",) if name in given}
