"""Python and TOML lines for a worksheet, to paste."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Sequence

from tallybook.sheets.rows import WorksheetRows


def python_lines(document: str, sheet: WorksheetRows) -> str:
    """The line that opens a worksheet."""
    return f'worksheet = session.worksheet("{document}", {sheet.id})'


def session_lines(api: str = "") -> str:
    """The lines that create a session with the saved keys."""
    where = f"api={json.dumps(api)}" if api else ""
    return f"from tallybook.sheets import Session\n\nsession = Session({where})"


def delivery_lines(
    document: str, sheet: WorksheetRows, *, metrics: Sequence[str], taken: Collection[str], api: str = ""
) -> str:
    """The table of tallybook.toml that delivers to a worksheet, with a name that is not in `taken`."""
    lines = [
        f"[deliveries.{_name(sheet.title, taken)}]",
        'to = "google_sheets"',
        f"spreadsheet = {json.dumps(document)}",
        f"tab = {json.dumps(sheet.title, ensure_ascii=False)}",
        f"metrics = {json.dumps(list(metrics) or ['…'], ensure_ascii=False)}",
        'scope = "day"',
    ]
    return "\n".join(lines + ([f"api = {json.dumps(api)}"] if api else []))


def _name(title: str, taken: Collection[str]) -> str:
    """A name of letters, digits and `_` for a title."""
    letters = unicodedata.normalize("NFKD", title.casefold()).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^a-z0-9]+", "_", letters).strip("_")
    name = plain if re.match(r"[a-z]", plain) else f"sheet_{plain}".rstrip("_")
    numbered = (f"{name}_{n}" for n in range(2, 1000))
    return name if name not in taken else next(n for n in numbered if n not in taken)
