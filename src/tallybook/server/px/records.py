"""Converts users and accounts between attributes and PX's format. Pure.

A field or custom attribute of PX is the attribute with the same name. `accountId` of a user is its account,
`propertyKeys` is one text with commas, and `location.city` is an attribute with that name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tallybook.core import (
    ACCOUNTS,
    INSTANT_VALUE,
    INTEGER_VALUE,
    NUMBER_VALUE,
    TEXT_VALUE,
    USERS,
)
from tallybook.storage import AttributeType, Entity

TEXT, WHOLE, FRACTION, FLAG, PLACE, CUSTOM = "string", "int64", "number", "flag", "location", "custom"
ACCOUNT_ATTRIBUTE = "account"
CUSTOM_PREFIX, PLACE_PREFIX = "customAttributes.", "location."
USER_TYPES = ("LEAD", "USER", "VISITOR", "EMPTY_USER_TYPE")
GENDERS = ("MALE", "FEMALE", "OTHER", "EMPTY_GENDER")
PLACE_FIELDS = (
    *("countryName", "countryCode", "stateName", "stateCode", "city", "street", "postalCode", "continent"),
    *("regionName", "timeZone", "coordinates"),
)


@dataclass(frozen=True, kw_only=True)
class PxModel:
    """The fields of a user or an account, with their types. `key`: the id field. `required`: the fields that a POST
    must have."""

    kind: str
    key: str
    word: str
    required: tuple[str, ...]
    fields: Mapping[str, str]
    enums: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    read_only: tuple[str, ...] = ()


USER_MODEL = PxModel(
    kind=USERS,
    key="identifyId",
    word="User",
    required=("identifyId", "propertyKeys"),
    fields={
        **dict.fromkeys(("email", "firstName", "lastName", "title", "phone", "role", "subscriptionId"), TEXT),
        **dict.fromkeys(("sfdcContactId", "type", "gender"), TEXT),
        **dict.fromkeys(("signUpDate", "firstVisitDate", "score"), WHOLE),
        "globalUnsubscribe": FLAG,
    },
    enums={"type": USER_TYPES, "gender": GENDERS},
    read_only=(
        *("aptrinsicId", "id", "lastSeenDate", "numberOfVisits", "createDate", "lastModifiedDate"),
        *("lastInferredLocation", "globalId"),
    ),
)
ACCOUNT_MODEL = PxModel(
    kind=ACCOUNTS,
    key="id",
    word="Account",
    required=("id", "name", "propertyKeys"),
    fields={
        **dict.fromkeys(("name", "trackedSubscriptionId", "sfdcId", "dunsNumber", "industry", "sicCode"), TEXT),
        **dict.fromkeys(("website", "naicsCode", "plan", "parentGroupId", "gsId", "csm"), TEXT),
        **dict.fromkeys(("numberOfEmployees", "healthScore", "renewalDate", "lastSeenDate"), WHOLE),
        "nps": FRACTION,
    },
    read_only=("numberOfUsers", "createDate", "lastModifiedDate"),
)
MODELS = {USERS: USER_MODEL, ACCOUNTS: ACCOUNT_MODEL}
PX_TYPES = {TEXT_VALUE: "STRING", INTEGER_VALUE: "NUMBER", NUMBER_VALUE: "NUMBER", "flag": "BOOLEAN"}
FIELD_TYPES = {TEXT: "STRING", WHOLE: "NUMBER", FRACTION: "NUMBER", FLAG: "BOOLEAN"}


# -- to attributes -----------------------------------------------------------------------------------------------------


def id_of(model: PxModel, body: Mapping[str, Any]) -> str | None:
    """The id in a body. It is a text, or a number, which equals the text of its digits."""
    found = body.get(model.key)
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    return found if isinstance(found, str) and found else None


def problems_of(model: PxModel, body: Mapping[str, Any], *, is_new: bool) -> list[str]:
    """The problems of a body: each field that is missing or has the wrong type."""
    made = [f"{name} is required" for name in model.required if is_new and body.get(name) in (None, "", [])]
    for name, value in body.items():
        if value is None or name in model.read_only or name == model.key:
            continue
        if name in model.enums and value not in model.enums[name]:
            made.append(f"{name} is {_shown(value)}, not one of {', '.join(model.enums[name])}")
        elif name == "propertyKeys" and not _is_list_of_texts(value):
            made.append("propertyKeys is a list of texts")
        elif name in ("location", "customAttributes") and not isinstance(value, dict):
            made.append(f"{name} is an object")
        elif (type_ := model.fields.get(name)) and not _fits(value, type_):
            made.append(f"{name} is {_shown(value)}, not of type {type_}")
    return made


def attributes_of(model: PxModel, body: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that a body sets. A null sets nothing. Fields that PX computes are left out."""
    made: dict[str, Any] = {}
    for name, value in body.items():
        if value is None or name == model.key or name in model.read_only:
            continue
        if name == "customAttributes":
            made |= {_custom_name(model, one): _as_value(inner) for one, inner in value.items() if inner is not None}
        elif name == "propertyKeys":
            made[name] = ",".join(value)
        elif name == "location":
            made[name] = {one: inner for one, inner in value.items() if inner is not None}
        elif name == "accountId" and model is USER_MODEL:
            continue
        else:
            made[name] = _as_value(value)
    return made


def _custom_name(model: PxModel, name: str) -> str:
    """The attribute name of a custom attribute: its own name, unless PX has a field with that name."""
    taken = name in model.fields or name in ("propertyKeys", "accountId", *model.read_only, model.key)
    return f"{CUSTOM_PREFIX}{name}" if taken or name.startswith((PLACE_PREFIX, CUSTOM_PREFIX)) else name


def _as_value(value: Any) -> Any:
    """The value to store. A nested object or a list is stored as JSON text, as in PX."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) and one for one in value)


def _fits(value: Any, type_: str) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if type_ == TEXT:
        return isinstance(value, str)
    if type_ == FLAG:
        return isinstance(value, bool)
    return whole or (type_ == FRACTION and isinstance(value, float))


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)[:60]


# -- from attributes ---------------------------------------------------------------------------------------------------


def record_of(model: PxModel, entity: Entity, types: Mapping[str, AttributeType], users: int | None) -> dict[str, Any]:
    """A user or an account in PX's format. `users`: the number of users of an account."""
    made: dict[str, Any] = {model.key: entity.id, "id": entity.id, "propertyKeys": []}
    place: dict[str, Any] = {}
    custom: dict[str, Any] = {}
    for name, stored in entity.record.effective().items():
        known = types.get(name.casefold())
        is_time = known is not None and known.type == INSTANT_VALUE and isinstance(stored, str)
        value = _as_milliseconds(stored) if is_time else stored
        if name == "propertyKeys" and isinstance(value, str):
            made[name] = value.split(",")
        elif name == ACCOUNT_ATTRIBUTE and model is USER_MODEL:
            made["accountId"] = str(value)
        elif name.startswith(PLACE_PREFIX) and name.split(".")[1] in PLACE_FIELDS:
            _place(place, name.removeprefix(PLACE_PREFIX), value)
        elif name in model.fields and _fits(value, model.fields[name]) and _is_allowed(model, name, value):
            made[name] = value
        else:
            custom[name.removeprefix(CUSTOM_PREFIX)] = value
    if model is ACCOUNT_MODEL:
        made.setdefault("name", entity.id)
        made["numberOfUsers"] = users or 0
    stamps = [stamp for stamp in _stamps(entity) if stamp]
    if stamps:
        made |= {"createDate": _as_milliseconds(min(stamps)), "lastModifiedDate": _as_milliseconds(max(stamps))}
    return made | ({"location": place} if place else {}) | {"customAttributes": custom}


def catalogue_of(model: PxModel, types: Iterable[AttributeType]) -> list[dict[str, Any]]:
    """The attributes as PX lists them: PX's own fields, followed by all other attributes seen."""
    made = [_listed(name, FIELD_TYPES[type_], "DEFAULT") for name, type_ in model.fields.items()]
    for one in types:
        name = one.spelled
        if name in model.fields or name == "propertyKeys" or name.startswith(PLACE_PREFIX):
            continue
        if name == ACCOUNT_ATTRIBUTE and model is USER_MODEL:
            continue
        made.append(_listed(name.removeprefix(CUSTOM_PREFIX), PX_TYPES.get(one.type, "DATE_TIME"), "CUSTOM"))
    return made


def _listed(name: str, type_: str, origin: str) -> dict[str, Any]:
    given = {"id": name, "name": name, "apiName": name, "internalName": name, "type": type_, "origin": origin}
    return given | {"state": "ENABLED", "defaultValue": "", "description": ""}


def _is_allowed(model: PxModel, name: str, value: Any) -> bool:
    return name not in model.enums or value in model.enums[name]


def _place(place: dict[str, Any], path: str, value: Any) -> None:
    *above, last = path.split(".")
    for name in above:
        inner = place.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        place = inner
    place[last] = value


def _stamps(entity: Entity) -> Iterable[str]:
    """The times at which anything about an entity was received."""
    record = entity.record
    yield record.read[1]
    yield from (received for _, received in record.since.values())
    yield from (one.received for changes in record.pushed.values() for one in changes)


def _as_milliseconds(stamp: str) -> int:
    return round(datetime.fromisoformat(stamp).timestamp() * 1000)
