"""Names in braces in texts that rules send."""

from __future__ import annotations

import re

FIELD = re.compile(r"\{(\w+)\}")
"""An attribute name in a text."""


def template_fields(value: object) -> list[str]:
    """The attribute names that a text contains in braces."""
    return FIELD.findall(value) if isinstance(value, str) else []
