"""Checks the declaration of a delivery to Gainsight PX: reads its keys, and finds problems among them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import time
from difflib import get_close_matches
from typing import Any

import msgspec

from tallybook.core import ACCOUNTS, USERS, Catalog, Delivery, OptionProblem

ALERT, EVENT = "alert", "event"
RESTATED = (ALERT, EVENT)
MAX_PROPERTIES, MAX_PROPERTY_NAME, MAX_EVENT_NAME = 50, 1_024, 2_000
DAY_PROPERTY = "day"
CORRECTED = ".corrected"
KINDS = {"user": USERS, "account": ACCOUNTS}
_PLACE = re.compile(r"\{([A-Za-z_][\w.]*)\}")
_SPAN = re.compile(r"(\d{1,3})\s*(d|days?)")


# -- keys -----------------------------------------------------------------------------------------------------------


def read_words(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text")
    return value.strip()


def read_key(value: object) -> str:
    if not isinstance(value, str) or not value.isascii() or not value.strip() or len(value.split()) > 1:
        raise ValueError('a key, such as "${PX_API_KEY}"')
    return value.strip()


def read_time_of_day(value: object) -> str:
    """A time such as 12:00."""
    if not isinstance(value, str) or not re.fullmatch(r"\d\d:\d\d(:\d\d)?", value):
        raise ValueError('a time of the day, such as "12:00"')
    try:
        time.fromisoformat(value)
    except ValueError:
        raise ValueError('a time of the day, such as "12:00"') from None
    return value


def read_span(value: object) -> int:
    """A number of days, such as "3d"."""
    found = _SPAN.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError('a number of days, such as "3d"')
    return int(found[1])


def read_mapping(value: object) -> dict[str, str]:
    """A table of names."""
    if not isinstance(value, Mapping) or not value:
        raise ValueError('names by names, such as { mrr = "mrr__c" }')
    for name, other in value.items():
        if not isinstance(other, str) or not other.strip() or not isinstance(name, str):
            raise ValueError('names by names, such as { mrr = "mrr__c" }')
    return {str(name): str(other).strip() for name, other in value.items()}


def template_dimensions(template: str) -> list[str]:
    """The names in braces in a template."""
    return list(dict.fromkeys(_PLACE.findall(template)))


# -- what a delivery queries ----------------------------------------------------------------------------------------


def dimension_of(name: str, delivery: Delivery, catalog: Catalog) -> str | None:
    """The dimension for a name in a template: the dimension of that name, or the one with the ids of users or
    accounts."""
    has = [set(catalog.queryable_dims(metric)) for metric in delivery.metrics if metric in catalog.metrics]
    settings = catalog.entities.get(KINDS.get(name, ""))
    candidates = [name, *(settings.dimension if settings else ()), *((f"{name}_id",) if name in KINDS else ())]
    return next((one for one in candidates if has and all(one in dims for dims in has)), None)


def completed(delivery: Delivery, options: Mapping[str, Any], catalog: Catalog) -> Delivery:
    """The delivery, extended by the dimensions in its template."""
    found = [dimension_of(name, delivery, catalog) for name in template_dimensions(options["identify"])]
    more = [one for one in found if one is not None and one not in delivery.by]
    return msgspec.structs.replace(delivery, by=(*delivery.by, *more)) if more else delivery


# -- problems -------------------------------------------------------------------------------------------------------


def problems(delivery: Delivery, options: Mapping[str, Any], given: set[str]) -> Iterator[OptionProblem]:
    """Problems of the keys in combination."""
    if not options["key"] and "key" not in given:
        yield OptionProblem(
            key="key", message="a delivery needs key", expected="a key of PX", paste='key = "${PX_API_KEY}"'
        )
    if delivery.totals:
        yield OptionProblem(key="totals", message="PX adds up events itself", expected="without this line")
    if delivery.metrics and options["attributes"]:
        yield OptionProblem(
            key="attributes",
            message="a delivery has metrics, which are events, or attributes",
            expected="two deliveries",
        )
    if delivery.metrics:
        yield from _event_problems(delivery, options, given)
    elif options["attributes"] and not options["for"]:
        yield OptionProblem(
            key="for",
            message="attributes are of users or of accounts",
            expected="account or user",
            paste='for = "account"',
        )
    if options["create"] and not options["product"]:
        yield OptionProblem(
            key="product",
            message="users and accounts are created with a product key",
            expected="the product key of PX",
            paste='product = "AP-XXXXXXXXXX-2"',
        )
    theirs = [one.casefold() for one in options["attributes"].values()]
    for one in dict.fromkeys(one for one in theirs if theirs.count(one) > 1):
        yield OptionProblem(key="attributes", message=f"two attributes are sent to {one!r}", expected="one")


def _event_problems(delivery: Delivery, options: Mapping[str, Any], given: set[str]) -> Iterator[OptionProblem]:
    if not options["product"]:
        yield OptionProblem(
            key="product",
            message="events need the key of a product",
            expected="the product key of PX",
            paste='product = "AP-XXXXXXXXXX-2"',
        )
    if not options["identify"] and "identify" not in given:
        yield OptionProblem(
            key="identify",
            message="PX takes no event without a user",
            expected="a user, or a service user of each account",
            paste='identify = "{user}"',
        )
    if delivery.scope != "day":
        yield OptionProblem(
            key="scope",
            message=f"PX adds days up itself; an event of a {delivery.scope} would be read as one of a day",
            expected='scope = "day"',
            paste='scope = "day"',
        )
    names = [options["event"]] if options["event"] else list(delivery.metrics)
    if long := next((name for name in names if len(name) + len(CORRECTED) > MAX_EVENT_NAME), None):
        yield OptionProblem(
            key="event",
            message=f"the name of an event has {len(long):,} characters",
            expected=f"at most {MAX_EVENT_NAME:,}",
        )
    yield from _property_problems(delivery, options)


def _property_problems(delivery: Delivery, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
    metrics = delivery.metrics if options["event"] else delivery.metrics[:1]
    names = [options["properties"].get(one, one) for one in (*metrics, *delivery.by)] + [DAY_PROPERTY]
    folded = [one.casefold() for one in names]
    if twice := next((one for one in names if folded.count(one.casefold()) > 1), None):
        yield OptionProblem(
            key="properties",
            message=f"two properties are called {twice!r}, and PX ignores case",
            expected="another name",
            paste=f'properties = {{ {twice} = "{twice}2" }}',
        )
    if len(names) * 2 > MAX_PROPERTIES:
        key, most = ("metrics" if options["event"] else "by"), MAX_PROPERTIES // 2
        yield OptionProblem(
            key=key,
            message=f"an event has {len(names)} properties, and twice as many when it is corrected",
            expected=f"at most {most}",
        )
    if long := next((one for one in names if len(one) > MAX_PROPERTY_NAME), None):
        yield OptionProblem(
            key="properties", message=f"a property has a name of {len(long):,} characters", expected="at most 1,024"
        )
    known = {*delivery.metrics, *delivery.by}
    for name in options["properties"]:
        if name not in known:
            yield OptionProblem(
                key="properties",
                message=f"{name!r} is no metric or dimension of the delivery",
                expected=", ".join(sorted(known)),
            )


def problems_in(delivery: Delivery, options: Mapping[str, Any], catalog: Catalog) -> Iterator[OptionProblem]:
    """Problems of a delivery together with the other declarations."""
    if delivery.metrics and all(one in catalog.metrics for one in delivery.metrics):
        for name in template_dimensions(options["identify"]):
            if dimension_of(name, delivery, catalog) is None:
                yield _unknown_dimension(name, delivery, catalog)
    kind = KINDS.get(options["for"])
    if not options["attributes"] or kind is None:
        return
    settings = catalog.entities.get(kind)
    if settings is None:
        yield OptionProblem(
            key="for",
            message=f"tallybook.toml declares no [{kind}]",
            expected=f"[{kind}]",
            paste=f'[{kind}]\ntable = "{kind}"\nattributes = ["name"]',
        )
        return
    if settings.table is not None:
        known = [*settings.metrics, *settings.attributes]
        for name in options["attributes"]:
            meant = get_close_matches(name, known, 1)
            if name not in known and meant:
                yield OptionProblem(
                    key="attributes",
                    message=f"{kind} have no attribute {name!r}",
                    expected=", ".join(known),
                    paste=f'attributes = {{ {meant[0]} = "{options["attributes"][name]}" }}',
                )


def _unknown_dimension(name: str, delivery: Delivery, catalog: Catalog) -> OptionProblem:
    """The problem of a name in a template that is not a dimension of every metric."""
    lists: list[Sequence[str]] = [catalog.queryable_dims(metric) for metric in delivery.metrics]
    common = [one for one in lists[0] if all(one in dims for dims in lists)]
    lacking = next(
        (metric for metric, dims in zip(delivery.metrics, lists, strict=True) if name not in dims), delivery.metrics[0]
    )
    meant = get_close_matches(name, common, 1) or common[:1]
    return OptionProblem(
        key="identify",
        message=f"{{{name}}} is no dimension of {lacking!r}",
        expected=", ".join(f"{{{one}}}" for one in common) or f'by = ["{name}"] in [metrics.{lacking}]',
        paste=f'identify = "{{{meant[0]}}}"' if meant else "",
    )


def claims(delivery: Delivery, options: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """(key, what it writes). Two deliveries with the same pair are a mistake."""
    for theirs in options["attributes"].values():
        yield "attributes", f"{options['api']} {options['for']} attribute {theirs.casefold()}"
    for metric in delivery.metrics:
        event = options["event"] or metric
        name = options["properties"].get(metric, metric)
        yield "metrics", f"{options['api']} event {event.casefold()} property {name.casefold()}"
