"""Decides which group of another protocol is the account."""

from __future__ import annotations

from typing import Any

from tallybook.core import EventRequest
from tallybook.ingest.protocols.translated import Unreadable

ACCOUNT_TYPES = ("company", "account", "organization", "organisation", "customer", "workspace", "tenant")
"""Group types that count as the account if `[accounts] groups` does not name one. The first one present is used."""


def is_account_type(group_type: Any, request: EventRequest) -> bool:
    """Whether a group type of another protocol is Tallybook's account."""
    named = request.rules.settings.groups
    return group_type == named if named else group_type in ACCOUNT_TYPES


def account_in(groups: Any, request: EventRequest) -> Any:
    """The account among the groups, given by type. None if there is no account, or several of its type."""
    if not isinstance(groups, dict):
        return None
    named = request.rules.settings.groups
    for group_type in (named,) if named else ACCOUNT_TYPES:
        found = groups.get(group_type)
        if isinstance(found, list):
            found = found[0] if len(found) == 1 else None
        if found not in (None, "", [], {}):
            return found
    return None


def other_group(group_type: Any) -> Unreadable:
    """The reason why a group is not stored."""
    shown = str(group_type)[:80]
    reason = f'the group type {shown!r} is not the account; in tallybook.toml: [accounts] groups = "{shown}"'
    return Unreadable(code="schema", reason=reason, field="group_type")
