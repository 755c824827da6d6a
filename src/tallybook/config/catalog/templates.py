"""Names in braces of texts that rules send."""

from __future__ import annotations

import re

FIELD = re.compile(r"\{(\w+)\}")
"""An attribute in a text."""


def template_fields(value: object) -> list[str]:
    """The attributes that a text names in braces."""
    return FIELD.findall(value) if isinstance(value, str) else []
