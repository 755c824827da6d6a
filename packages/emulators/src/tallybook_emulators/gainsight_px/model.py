"""A subscription in memory: users, accounts, custom events and the catalog of attributes."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tallybook_emulators.gainsight_px.clock import PxClock
from tallybook_emulators.gainsight_px.contract import CAPS, FACTS, MESSAGES
from tallybook_emulators.gainsight_px.errors import PxError

Json = dict[str, Any]
DAY_MS = 86_400_000
MODELS = {"user": "User", "account": "Account"}
DEFAULT_TYPES = {"int32": "NUMBER", "int64": "NUMBER", "number": "NUMBER", "flag": "BOOLEAN"}


@dataclass
class Subscription:
    """The data of one subscription. Callers must have acquired the emulator's lock."""

    clock: PxClock
    users: dict[str, Json] = field(default_factory=dict)
    accounts: dict[str, Json] = field(default_factory=dict)
    events: list[Json] = field(default_factory=list)
    attributes: dict[str, dict[str, Json]] = field(default_factory=lambda: {"user": {}, "account": {}})
    deleted_users: dict[str, tuple[int, Json]] = field(default_factory=dict)
    """By id, the time of deletion, and the record that is restored if the id is created again within seven days."""
    dropped: list[tuple[str, str, str]] = field(default_factory=list)
    """(model, id, apiName) of each custom attribute that was not stored, because it is not in the catalog or not
    enabled."""

    def __post_init__(self) -> None:
        for model, schema in MODELS.items():
            for name, kind in FACTS["schemas"][schema]["fields"].items():
                if name not in (
                    *FACTS["attributes_not_listed"],
                    "customAttributes",
                    "location",
                    "lastInferredLocation",
                ):
                    self._define(model, name, DEFAULT_TYPES.get(kind, "STRING") if isinstance(kind, str) else "STRING")

    def _define(self, model: str, api_name: str, kind: str) -> None:
        self.define(model, api_name, kind, name=api_name, state="ENABLED", origin="DEFAULT")

    def define(self, model: str, api_name: str, kind: str, *, name: str, state: str, origin: str) -> None:
        """Add an attribute to the catalog, or replace it."""
        now = self.clock.milliseconds()
        given = {"name": name or api_name, "apiName": api_name, "type": kind, "state": state, "origin": origin}
        made = {"id": str(uuid.uuid4()), "internalName": api_name.lower(), "defaultValue": "", "description": ""}
        self.attributes[model][api_name] = given | made | {"createdDate": now, "modifiedDate": now}

    # --- users and accounts ----------------------------------------------------------------------------------

    def create(self, model: str, given: Json) -> None:
        """Create a record. Raises PxError 400 if the id exists. A user deleted less than seven days ago is restored."""
        records, entity_id = self._records(model), _id_of(model, given)
        if entity_id in records:
            raise PxError(400, f"Possible duplicate: {model} {entity_id} exists already")
        now = self.clock.milliseconds()
        record: Json = {"createDate": now}
        if model == "user":
            record |= {"aptrinsicId": str(uuid.uuid4()), "numberOfVisits": 0, "type": "USER"}
            deleted_at, before = self.deleted_users.pop(entity_id, (0, {}))
            if now - deleted_at < CAPS["revival_days"] * DAY_MS:
                record |= before
        self._write(model, record, given)
        records[entity_id] = record

    def update(self, model: str, entity_id: str, given: Json) -> None:
        """Change the given fields. A null changes nothing. Raises PxError 404."""
        self._write(model, self.one(model, entity_id), given)

    def one(self, model: str, entity_id: str) -> Json:
        """The record with exactly this id. Raises PxError 404."""
        found = self._records(model).get(entity_id)
        if found is None:
            raise PxError(404, MESSAGES[f"{model}_missing"] % entity_id)
        return found

    def delete(self, model: str, entity_id: str, *, hard: bool) -> None:
        """Delete a user, or an account with all its users. Raises PxError 404."""
        record = self.one(model, entity_id)
        del self._records(model)[entity_id]
        if model == "account":
            for user in [name for name, one in self.users.items() if one.get("accountId") == entity_id]:
                self.delete("user", user, hard=hard)
        elif not hard:
            self.deleted_users[entity_id] = (self.clock.milliseconds(), record)

    def shown(self, model: str) -> list[Json]:
        """All records in the form in which they are returned."""
        return [self.as_answered(model, one) for one in self._records(model).values()]

    def as_answered(self, model: str, record: Json) -> Json:
        """A record with its computed fields."""
        if model == "user":
            return {**record, "id": record["identifyId"]}
        users = sum(1 for one in self.users.values() if one.get("accountId") == record["id"])
        return {**record, "numberOfUsers": users}

    def _records(self, model: str) -> dict[str, Json]:
        return self.users if model == "user" else self.accounts

    def _write(self, model: str, record: Json, given: Json) -> None:
        read_only = FACTS["schemas"][MODELS[model]]["read_only"]
        key = "identifyId" if model == "user" else "id"
        fields = {
            name: one for name, one in given.items() if one is not None and (name == key or name not in read_only)
        }
        custom = self._custom(model, str(given.get(key) or record.get(key)), fields.pop("customAttributes", {}))
        if key in record:
            fields.pop(key, None)
        record |= {name: str(one) if _is_id(model, name) else one for name, one in fields.items()}
        if custom:
            record["customAttributes"] = {**record.get("customAttributes", {}), **custom}
        record["lastModifiedDate"] = self.clock.milliseconds()

    def _custom(self, model: str, entity_id: str, given: Mapping[str, Any]) -> Json:
        """The custom attributes to store. Raises PxError 400 for a value whose type differs from the catalog's."""
        made: Json = {}
        problems = []
        for name, value in given.items():
            known = self.attributes[model].get(name)
            if known is None or known["state"] != "ENABLED" or known["origin"] != "CUSTOM":
                self.dropped.append((model, entity_id, name))
            elif not is_of_type(value, known["type"]):
                problems.append(f"customAttributes.{name} is {value!r}, not of type {known['type']}")
            else:
                made[name] = value in (True, "true") if known["type"] == "BOOLEAN" else value
        if problems:
            raise PxError(400, "Validation error", details=problems)
        return made

    # --- events ----------------------------------------------------------------------------------------------

    def add_event(self, given: Json) -> None:
        """Store an event, however often the same event arrived before. Raises PxError 400 if a limit is exceeded."""
        self._check_caps(given)
        event = {name: value for name, value in given.items() if value is not None}
        event |= {name: str(event[name]) for name in ("identifyId", "accountId", "sessionId") if name in event}
        event["eventId"] = str(uuid.uuid4())
        event.setdefault("date", self.clock.milliseconds())
        event.setdefault("eventType", "CUSTOM")
        event["attributes"] = {name: _flat(value) for name, value in given.get("attributes", {}).items()}
        self.events.append(event)

    def _check_caps(self, given: Json) -> None:
        name, properties = given["eventName"], given.get("attributes") or {}
        names = {one["eventName"] for one in self.events} if len(self.events) >= CAPS["event_names"] else set()
        too_many = name not in names and len(names) >= CAPS["event_names"]
        folded = [one.casefold() for one in properties]
        problems = {
            f"more than {CAPS['event_names']} event names": too_many,
            f"eventName is longer than {CAPS['event_name_characters']}": len(name) > CAPS["event_name_characters"],
            f"more than {CAPS['properties']} properties": len(properties) > CAPS["properties"],
            f"a property name is longer than {CAPS['property_name_characters']}": any(
                len(one) > CAPS["property_name_characters"] for one in properties
            ),
            "two property names differ only in case": len(set(folded)) < len(folded),
        }
        if found := [problem for problem, is_one in problems.items() if is_one]:
            raise PxError(400, "Validation error", details=found)


def is_of_type(value: Any, kind: str) -> bool:
    """Whether a custom attribute may have this value. Dates are milliseconds since 1970."""
    match kind:
        case "STRING":
            return isinstance(value, str)
        case "BOOLEAN":
            return isinstance(value, bool) or (isinstance(value, str) and value in ("true", "false"))
        case "DATE_TIME":
            return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(math.isfinite(value))


def _flat(value: Any) -> Any:
    """A property as stored. A nested object becomes its JSON text."""
    return json.dumps(value) if isinstance(value, dict | list) else value


def _id_of(model: str, given: Json) -> str:
    return str(given["identifyId" if model == "user" else "id"])


def _is_id(model: str, name: str) -> bool:
    return bool(FACTS["schemas"][MODELS[model]]["fields"].get(name) == "id")
