"""Reads and checks `[accounts]` and `[users]`."""

from __future__ import annotations

from collections.abc import Mapping

from tallybook.config.catalog.keys import ENTITY_KEYS
from tallybook.config.catalog.tables import _read_table, _Table
from tallybook.config.catalog.words import closest_key, shorten_toml, toml
from tallybook.core import ACCOUNTS, ENTITY_COLUMNS, ENTITY_KINDS, EntitySettings, Problems, SourceSettings

DIMENSIONS = {"accounts": ("account_id", "account"), "users": ("user_id", "user")}
"""What a dimension with the ids is called, where it is not declared."""


def read_entities(
    raw: Mapping[str, object], sources: Mapping[str, SourceSettings], problems: Problems
) -> dict[str, EntitySettings]:
    """Those of `[accounts]` and `[users]` that are declared."""
    return {kind: _read(kind, raw[kind], sources, problems) for kind in ENTITY_KINDS if kind in raw}


def _read(kind: str, raw: object, sources: Mapping[str, SourceSettings], problems: Problems) -> EntitySettings:
    table = _read_table(raw, ENTITY_KEYS, kind, problems)
    settings = EntitySettings(kind=kind, **{"dimension": DIMENSIONS[kind], **table.values})
    known = {*table.given, *table.bad}
    if kind == ACCOUNTS and "account" in table.values:
        message, seen = "only users have an account", f"account = {shorten_toml(table.given['account'])}"
        problems.add("accounts.account", message, seen=seen, expected="without this line")
    if known & {"source", "key", "attributes", "changed", "account"} and "table" not in known:
        expected, paste = "the table that they are read from", f"table = {toml(kind)}"
        problems.add(f"{kind}.table", f"{kind} are read from a table", seen="nothing", expected=expected, paste=paste)
    if "table" in known and "attributes" not in known:
        expected, paste = "the columns that are attributes", 'attributes = ["name", "plan"]'
        problems.add(f"{kind}.attributes", "no attribute is named", seen="nothing", expected=expected, paste=paste)
    _check_attributes(settings, problems)
    return _with_source(settings, table, sources, problems)


def _check_attributes(settings: EntitySettings, problems: Problems) -> None:
    for name in settings.attributes:
        if name.casefold() in ENTITY_COLUMNS:
            problems.add(
                f"{settings.kind}.attributes",
                f"{name!r} is a column that all {settings.kind} have",
                seen=name,
                expected=f"attributes with other names than {', '.join(ENTITY_COLUMNS)}",
                paste=f"attributes = {toml([one for one in settings.attributes if one != name])}",
            )


def _with_source(
    settings: EntitySettings, table: _Table, sources: Mapping[str, SourceSettings], problems: Problems
) -> EntitySettings:
    """With the source, which may be left out where there is only one."""
    from msgspec.structs import replace

    if settings.table is None or "source" in table.bad:
        return settings
    names = [name for name in sources if name != "events"]
    if settings.source is None and len(names) == 1:
        return replace(settings, source=names[0])
    if settings.source in sources:
        return settings
    seen = settings.source or "nothing"
    meant = closest_key(seen, names)
    message = f"there is no source {seen!r}" if settings.source else "there are several sources: which one is meant?"
    problems.add(
        f"{settings.kind}.source",
        message,
        seen=seen,
        expected=", ".join(names) or "a table [sources.NAME] with a url",
        hint=f"did you mean {meant!r}?" if meant else "",
        paste=f"source = {toml(meant or (names[0] if names else 'app'))}",
    )
    return settings
