"""Names of time zones: which are accepted, and which zone another name probably means."""

from __future__ import annotations

import re

from tallybook.config.catalog.values import Wrong, read_text
from tallybook.config.catalog.words import closest_key
from tallybook.core import Catalog, calendar

_LOCAL = ("localtime", "posixrules", "Factory", "posix", "right")
"""Names that mean another zone, or no zone, on another machine."""
_ABBREVIATIONS = {
    "America/New_York": "EST EDT ET EASTERN",
    "America/Chicago": "CST CDT CT CENTRAL",
    "America/Denver": "MST MDT MT MOUNTAIN",
    "America/Los_Angeles": "PST PDT PT PACIFIC",
    "America/Anchorage": "AKST AKDT AKT ALASKA",
    "Pacific/Honolulu": "HST HDT HAWAII",
    "America/Halifax": "AST ADT ATLANTIC",
    "America/St_Johns": "NST NDT NEWFOUNDLAND",
    "America/Sao_Paulo": "BRT BRST",
    "Europe/London": "BST",
    "Europe/Paris": "CEST MEZ MESZ MEST",
    "Europe/Athens": "EEST",
    "Europe/Lisbon": "WEST",
    "Europe/Moscow": "MSK",
    "Africa/Johannesburg": "SAST",
    "Asia/Kolkata": "IST",
    "Asia/Karachi": "PKT",
    "Asia/Singapore": "SGT",
    "Asia/Hong_Kong": "HKT",
    "Asia/Manila": "PHT",
    "Asia/Bangkok": "ICT",
    "Asia/Jakarta": "WIB",
    "Asia/Tokyo": "JST",
    "Asia/Seoul": "KST",
    "Australia/Sydney": "AEST AEDT",
    "Australia/Adelaide": "ACST ACDT",
    "Australia/Perth": "AWST",
    "Pacific/Auckland": "NZST NZDT NZT",
    "UTC": "Z",
}
_ZONE_OF = {word: zone for zone, words in _ABBREVIATIONS.items() for word in words.split()}
_OFFSET = re.compile(r"(?:UTC|GMT)?\s*([+-])\s*(\d{1,2})(?::?(00|30|45))?", re.IGNORECASE)
_WITHOUT_SUMMER_TIME = {"EST": "America/New_York", "MST": "America/Denver"}
"""Zones of the database with a fixed UTC offset, and the zone that people often mean by these names."""
_FIXED = re.compile(r"Etc/GMT([+-])(\d{1,2})")


def read_zone(value: object) -> str:
    """A time zone that is the same on every machine."""
    name = read_text(value)
    found = None if name.split("/")[0] in _LOCAL else _known_zone(name)
    if found is None:
        zone, hint = zone_meant(name)
        raise Wrong("is not a time zone", expected="a name of the IANA time zone database", instead=zone, hint=hint)
    return found


def _known_zone(name: str) -> str | None:
    try:
        return calendar.zone(name).key
    except (KeyError, ValueError, OSError):
        return None


def zone_meant(name: str) -> tuple[str | None, str]:
    """(the zone that another name probably means, a hint)."""
    if offset := _OFFSET.fullmatch(name):
        return _zone_of_offset(offset)
    bare = re.sub(r"\b(standard|daylight|summer)?\s*time$", "", name.strip().lower()).strip()
    for word in (name.strip().upper(), bare.upper()):
        if word in _ZONE_OF:
            zone = _ZONE_OF[word]
            return zone, f"{name} is not an IANA zone: name a city whose clocks you use, such as {zone}"
    return _closest_zone(name), ""


def _zone_of_offset(offset: re.Match[str]) -> tuple[str | None, str]:
    sign, hours, minutes = offset[1], int(offset[2]), offset[3] or "00"
    city = "name a city whose clocks you use, such as Europe/Berlin"
    if minutes != "00" or hours > (12 if sign == "-" else 14):
        return None, f"a distance from UTC is not a zone: {city}"
    if hours == 0:
        return "UTC", ""
    zone = f"Etc/GMT{'-' if sign == '+' else '+'}{hours}"  # POSIX counts westward
    return zone, f"{zone} is {_distance(sign, hours)} all year; for a zone with summer time {city}"


def _distance(sign: str, hours: int) -> str:
    """The UTC offset of a zone in words."""
    return f"{hours} hour{'s' * (hours != 1)} {'ahead of' if sign == '+' else 'behind'} UTC"


def _closest_zone(name: str) -> str | None:
    from zoneinfo import available_timezones

    every = available_timezones()
    zones = sorted(z for z in every if z.split("/")[0] not in _LOCAL and ("/" in z or len(z) > 3 or z == "UTC"))
    by_city = {z.rsplit("/", 1)[-1]: z for z in zones if "/" in z and not z.startswith("Etc/")}
    wanted = name.replace(" ", "_")
    if len(wanted) < 4:  # too few letters to resemble only one
        return by_city.get(wanted)
    city = closest_key(wanted.rsplit("/", 1)[-1], tuple(by_city), cutoff=0.75)
    return closest_key(wanted, zones, cutoff=0.75) or (by_city[city] if city else None)


def zone_warnings(catalog: Catalog) -> dict[str, list[str]]:
    """Zones without daylight saving time whose names often mean a zone with it: remarks by place in the file."""
    named = {"book.timezone": catalog.book.timezone}
    named |= {f"metrics.{one.name}.stored_zone": one.stored_zone or "" for one in catalog.metrics.values()}
    return {place: [why] for place, zone in named.items() if (why := _why_wrong_zone(place.rpartition(".")[2], zone))}


def _why_wrong_zone(key: str, zone: str) -> str:
    if zone in _WITHOUT_SUMMER_TIME:
        line = f'{key} = "{_WITHOUT_SUMMER_TIME[zone]}"'
        return f"{zone} has no daylight saving time: in summer its days are an hour off where clocks change; {line}"
    if (fixed := _FIXED.fullmatch(zone)) and int(fixed[2]):
        sign = "-" if fixed[1] == "+" else "+"  # POSIX counts westward
        return f"{zone} is {_distance(sign, int(fixed[2]))} all year, without summer time"
    return ""
