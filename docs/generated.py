"""What the generated pages share: the note on top, and the docstring of a thing as a sentence."""

from __future__ import annotations

import inspect
import re
from typing import Any

MADE = "<!-- Written by docs/generate.py from the code: change that, not this. -->\n"


def first_paragraph(thing: Any) -> str:
    doc = inspect.getdoc(thing) or ""
    paragraph = doc.split("\n\n")[0]
    # Stars of our markdown, not of `*`; angle brackets would be taken for HTML.
    return re.sub(r"\s+", " ", paragraph).strip().replace("<", "&lt;")
