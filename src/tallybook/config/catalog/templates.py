"""Names in braces in texts that rules send."""

from __future__ import annotations

import re
from collections.abc import Callable

_FIELD = re.compile(r"\{(\w(?:[\w .$-]*\w)?)\}")
"""An attribute name in a text, also `address.city` and `first name`."""


def template_fields(value: object) -> list[str]:
    """The attribute names that a text contains in braces."""
    return _FIELD.findall(value) if isinstance(value, str) else []


def only_field(value: object) -> str | None:
    """The attribute name in braces if the text contains nothing else."""
    found = _FIELD.fullmatch(value) if isinstance(value, str) else None
    return found[1] if found else None


def filled_template(text: str, filling: Callable[[str], str]) -> str:
    """The text with each attribute name replaced. `filling` gets the name in lower case."""
    return _FIELD.sub(lambda found: filling(found[1].casefold()), text)
