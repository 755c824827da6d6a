"""Readers of keys of deliveries that send requests: addresses, signing secrets, and bodies."""

from __future__ import annotations

import re

from tallybook.config.catalog.values import Wrong, read_text
from tallybook.core import webhook_key, wrong_receiver

SECRET_COMMAND = "openssl rand -base64 32 | sed 's/^/whsec_/'"


def read_url(value: object) -> str:
    """The address of a receiver: https, or this machine."""
    text = read_text(value)
    if why := wrong_receiver(text):
        raise Wrong(why, expected="an address such as https://example.org/hook, or http://127.0.0.1:8080 for a trial")
    return text


def read_secret_texts(value: object) -> tuple[str, ...]:
    """Secrets that sign webhooks, at most four."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list | tuple) or not all(isinstance(one, str) for one in listed) or len(listed) > 4:
        raise Wrong("is not a list of secrets", expected='a list such as ["${HOOK_SECRET}"]')
    for one in listed:
        try:
            webhook_key(one)
        except ValueError as error:
            raise Wrong("has an invalid secret", expected=str(error), hint=f"a new one: {SECRET_COMMAND}") from None
    return tuple(listed)


def read_template(value: object) -> str:
    """The JSON of a request body with names in braces."""
    if not isinstance(value, str) or not value.strip():
        raise Wrong("is not a text", expected="JSON with names in braces")
    return value.strip()


def read_own_table(value: object) -> str:
    """The name of a table that Tallybook creates, with or without a schema."""
    name = read_text(value)
    if not re.fullmatch(r"([A-Za-z_]\w{0,59}\.)?[A-Za-z_]\w{0,59}", name, re.ASCII):
        raise Wrong("is not a plain name", expected="letters, digits and _, such as reporting.daily_metrics")
    return name


def read_time_of_day(value: object) -> str:
    """A time of the day, such as 12:00."""
    text = read_text(value)
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text, re.ASCII):
        raise Wrong("is not a time of the day", expected="a time such as 12:00")
    return text


def read_span_of_days(value: object) -> int:
    """A number of days, written like 3d."""
    found = re.fullmatch(r"(\d{1,3})d", value, re.ASCII) if isinstance(value, str) else None
    if found is None:
        raise Wrong("is not a number of days", expected="a number of days such as 3d")
    return int(found[1])


WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def read_weekday_names(value: object) -> tuple[int, ...]:
    """Weekdays as numbers; Monday is 0."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list | tuple) or not all(one in WEEKDAYS for one in listed):
        raise Wrong("is not a list of weekdays", expected=f"some of {', '.join(WEEKDAYS)}")
    return tuple(sorted({WEEKDAYS.index(one) for one in listed}))


def read_recipients(value: object) -> tuple[str, ...]:
    """Addresses of mail and chat recipients."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list | tuple) or not all(isinstance(one, str) and "://" in one for one in listed):
        raise Wrong("is not a list of addresses", expected='a list such as ["mailto://user:password@example.org"]')
    return tuple(listed)
