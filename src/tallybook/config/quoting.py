"""Corrects a line of tallybook.toml whose quotes or brackets are wrong, for a paste line."""

from __future__ import annotations

import re
import tomllib

_LISTS = ("by", "series", "metrics", "to_days", "columns")
_SECRETS = ("url", "replica", "ledger", "to", "heartbeat", "password", "token")
"""Keys whose values are not repeated."""
_KEY = re.compile(r"\s*(?P<key>[A-Za-z_][\w.-]*)\s*[=:]\s*(?P<value>.+?)\s*$")
_CURLY = str.maketrans({"\u201c": '"', "\u201d": '"', "\u201e": '"', "\u2018": "'", "\u2019": "'"})
_FILE_URL = re.compile(r'\s*url\s*=\s*"(?P<url>(?:sqlite|duckdb):///[^"@]*)"\s*')
_PREFIXED = re.compile(r"""[frbuFRBU]{1,2}(?=["'])""")
"""The prefix of a text in Python."""
_ITEM = re.compile(r""""[^"]*"|'[^']*'|[^\s,"']+""")
_BOOLEANS = {"true": "true", "false": "false", "yes": "true", "no": "false", "on": "true", "off": "false"}
_DAY = re.compile(r"[\d/.-]{6,}")


def quoted_line(line: str) -> str:
    """The line as TOML, with SQL texts in single quotes; empty if the intended line cannot be determined."""
    header = re.fullmatch(r"\s*\[([\w.-]+(?: [\w.-]+)*)\]?\s*", line)
    found, path = _KEY.match(line), _FILE_URL.fullmatch(line)
    if header:
        made = f"[{header[1].replace(' ', '_')}]"
    elif path:
        made = f'url = "{path["url"].replace(chr(92), "/")}"'
    elif found and found["key"] not in _SECRETS:
        made = f"{found['key']} = {_value(found['key'], found['value'])}"
    else:
        return ""
    try:
        tomllib.loads(made)
    except tomllib.TOMLDecodeError:
        return ""
    return made if re.sub(r"\s*=\s*", " = ", line.strip(), count=1) != made else ""


def _value(key: str, value: str) -> str:
    text = _PREFIXED.sub("", value.translate(_CURLY).strip(), count=1) if _PREFIXED.match(value) else value
    text = text.translate(_CURLY).strip()
    listed = re.fullmatch(r"\[(.*?)\]?", text)
    if listed or key in _LISTS:
        parts = _ITEM.findall(listed[1] if listed else text)
        return "[" + ", ".join(f'"{part.strip(chr(34) + chr(39))}"' for part in parts) + "]"
    if text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    if _DAY.fullmatch(text):
        return f'"{text}"'
    return f'"{_without_outer_quotes(text).replace(chr(34), chr(39))}"'


def _without_outer_quotes(text: str) -> str:
    """The text without its outer quotes: `"status = "paid""` is status = "paid". Quotes that belong to the text
    stay."""
    for quote in ('"', "'"):
        if text.startswith(quote) and text.endswith(quote) and len(text) > 1:
            return text[1:-1]
        if text.startswith(quote) and text.count(quote) % 2:
            return text[1:]
    return text
