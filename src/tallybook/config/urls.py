"""Database URLs: their SQL dialect, their files, their mistakes and their secrets."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qs, unquote, unquote_plus

from tallybook.config.parameters import wrong_parameter
from tallybook.config.proper_urls import proper_url
from tallybook.config.variables import reference_meant
from tallybook.core import REGISTRY, AdapterError, UrlRules, kind_of, scheme_of

WEBHOOKS = ("http", "https")
"""Schemes of alert addresses that need no extra."""
Find = Callable[[str], "UrlRules | None"]
"""A function that returns the URL rules of a scheme; None for an unknown scheme."""

HIDDEN = "***"
_DRIVER = re.compile(r"[A-Za-z][\w.-]*\+([\w.-]+):")
_SECRET_WORDS = "odbc_connect|pass|pwd|secret|token|key|credential|auth"
# The password of a whole URL may contain blanks and quotes. A URL inside a text ends at them.
_PASSWORD = re.compile(r"\A(\s*\w[\w+.-]*://[^:/?#@]*):(.*)@", re.DOTALL)
_PARAMETER = re.compile(rf"([?&][^=&#]*(?:{_SECRET_WORDS})[^=&#]*)=([^&#]*)", re.IGNORECASE)
_PASSWORD_WITHIN = re.compile(r"(\w[\w+.-]*://[^\s:/?#@'\"]*):([^\s'\"]*)@")
_PARAMETER_WITHIN = re.compile(rf"([?&][^\s=&#]*(?:{_SECRET_WORDS})[^\s=&#]*)=([^\s&#'\"]*)", re.IGNORECASE)
_SECRET_NAME = re.compile(_SECRET_WORDS, re.IGNORECASE)
_HOST = re.compile(r"localhost|(?:[\w-]{1,30}\.)+[A-Za-z\d]{1,10}")
_PATH = re.compile(r"[\w./~-]+\.(db|db3|sqlite|sqlite3|duckdb|ddb)", re.IGNORECASE)
"""Matches the path of a database file that was given instead of a URL."""
_ONE_HOST = r"(?:\[[^\]\s]*\]|[^\s:/?#@;=\[\],]*)(?::\d*)?"
_READABLE = re.compile(
    rf"\s*[A-Za-z][\w.-]*(?:\+[\w.-]+)?://(?:[^\s:/?#@]*(?::[^\n]*)?@)?(?P<hosts>{_ONE_HOST}(?:,{_ONE_HOST})*)"
    r"(?P<path>/[^?#\n]*)?(?:\?(?P<query>[^#\n]*))?(?:#[^\n]*)?",
)
_JDBC = re.compile(r"jdbc:(postgresql|mysql|mariadb|clickhouse|redshift)://")
_PORT = re.compile(r"(?<=:)\d+(?=,|\Z)")
MAX_PORT = 65_535
MAX_SHORT_SECRET_CHARACTERS = 8
"""A secret up to this length is hidden only as a whole word: `app` must not hide a part of `application`."""


def registered(scheme: str) -> UrlRules | None:
    """The URL rules of the adapter for a scheme. Raises AdapterError if it cannot be imported."""
    kind = kind_of(scheme) if scheme else None
    return kind.rules if kind else None


def dialect_of(url: str) -> str | None:
    """sqlglot's name for the SQL of a source; None for an unknown scheme."""
    rules = registered(scheme_of(url))
    return rules.dialect if rules else None


def names_path(url: str, find: Find = registered) -> bool:
    """Whether the URL of a source names a file or folder on this machine."""
    rules = find(scheme_of(url))
    return rules is not None and rules.names_path


def resolved(url: str, folder: Path, find: Find = registered) -> str:
    """The URL in the form that drivers accept. A relative path is made absolute, starting at `folder`."""
    url = proper_url(url)
    match = re.fullmatch(r"([\w.-]+(?:\+[\w.-]+)?:///)(file:)?([^?]*)(\?.*)?", url, re.DOTALL)
    if not match or not names_path(url, find):
        return url
    start, file, path, rest = match[1], match[2] or "", match[3], match[4] or ""
    if not path or path.startswith(("/", ":memory:")) or re.match(r"[A-Za-z]:[/\\]", path):
        return url
    return f"{start}{file}{(folder / path).as_posix()}{rest}"


def session_options(url: str, variables: Mapping[str, str], find: Find = registered) -> str:
    """A hash of the session options of a URL, which decide the rows that a policy shows. Hashed because they may
    contain a name."""
    query = parse_qs(url.partition("?")[2], keep_blank_values=True)
    rules = find(scheme_of(url)) or UrlRules(dialect="")
    options = query.get(rules.session_parameter, [])
    if rules.session_variable and not options:
        options = [variables.get(rules.session_variable, "")]
    text = " ".join(" ".join(options).split())
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest() if text else ""


def wrong_url(url: str, find: Find = registered) -> dict[str, str] | None:
    """The problem with a text that should be the URL of a source, as details of a Problem; None if it is valid.

    Raises AdapterError if the adapter of its scheme cannot be imported."""
    scheme = scheme_of(url)
    if meant := reference_meant(url):
        expected = "${NAME}, in curly brackets behind a dollar sign"
        return {"message": "names a variable in another form", "expected": expected, "paste": f'url = "{meant}"'}
    if "://" not in url:
        paste = f'url = "{_proper(url)}"'
        return {"message": "is not the URL of a database", "expected": _schemes(), "paste": paste}
    rules = find(scheme)
    if rules is None:
        return _unknown_scheme(url, _schemes())
    where = url.partition("://")[2]
    if rules.names_path and where and not where.startswith(("/", "?")):
        paste = f'url = "{scheme}:///{where if _PATH.fullmatch(where) else "app.db"}"'
        return {"message": f"needs three slashes before the {rules.location}", "expected": paste[6:], "paste": paste}
    url = proper_url(url)
    if not readable(url, find):
        return {
            "message": "cannot be read",
            "expected": f"{scheme}://user:password@host:port/database",
            "hint": "percent-encode special characters of a password: / is %2F, @ is %40, : is %3A",
        }
    driver, found = _DRIVER.match(url), _READABLE.fullmatch(url)
    if found and (port := _wrong_port(found["hosts"], found["query"] or "")):
        return {"message": f"has the port {port}", "expected": f"a port from 1 to {MAX_PORT}"}
    return wrong_parameter(scheme, driver[1] if driver else "", (found and found["query"]) or "", rules)


def _wrong_port(hosts: str, query: str) -> str:
    """The first port number that is out of range, in the hosts or in the parameters that list several hosts."""
    parameters = parse_qs(query)
    ports = [port for text in (hosts, *parameters.get("host", [])) for port in _PORT.findall(text)]
    ports += [port for text in parameters.get("port", []) for port in text.split(",") if port.isdigit()]
    return next((port for port in ports if not 0 < int(port) <= MAX_PORT), "")


def _schemes() -> str:
    return ", ".join(f"{name}://…" for name in REGISTRY.names())


def _proper(text: str) -> str:
    """An example URL to replace a text that is not a URL. It repeats nothing of the text except a file name."""
    kind = re.match(r"[a-z]+", text.lower())
    if re.search(r"(?i)\b(host|dbname)\s*=", text):
        return "postgresql://USER:PASSWORD@HOST/DATABASE"
    if kind and kind[0] in REGISTRY.names() and not names_path(f"{kind[0]}:"):
        return f"{kind[0]}://USER:PASSWORD@HOST/DATABASE"
    file = text.removeprefix("sqlite:")
    return f"sqlite:///{file if _PATH.fullmatch(file) else 'app.db'}"


def wrong_ledger(url: str) -> dict[str, str] | None:
    """The problem with a text that should be the URL of a ledger, as details of a Problem; None if it is valid."""
    if scheme_of(url) in ("postgresql", "postgres") and readable(url):
        return None
    return {
        "message": "is not the URL of a PostgreSQL database",
        "expected": "postgresql://user:password@host/database; "
        "without this key the ledger is a SQLite file in the folder of store",
        "paste": 'ledger = "${DATABASE_URL}"',
    }


def wrong_alert(url: str) -> dict[str, str] | None:
    """The problem with a text that should be an address for alerts, as details of a Problem without the text; None if
    it is valid."""
    if re.match(r"[A-Za-z][\w+.-]*://[^\s/?#]", url):
        return None
    mail = re.fullmatch(r"[^\s@/:]+@[\w.-]+", url)
    return {
        "message": "is not a URL",
        "expected": "https://… of a webhook, or an Apprise URL for mail or chat: mailto://…, slack://…, tgram://…",
        "hint": "mail needs an SMTP server" if mail else "",
        "paste": f'to = ["mailtos://USER:PASSWORD@smtp.example.com?to={url}"]' if mail else "",
    }


def wrong_heartbeat(url: str) -> dict[str, str] | None:
    """The problem with a text that should be a heartbeat URL, as details of a Problem; None if it is valid."""
    if re.match(r"https?://[^\s/?#]", url, re.IGNORECASE):
        return None
    return {"message": "is not the URL of a web service", "expected": "https://hc-ping.com/…"}


def alert_name(url: str) -> str:
    """The name of an address in messages: its scheme and, for a web service, its host."""
    host = re.match(r"https?://(?:[^/?#]*@)?([^/?#@]+)", url, re.IGNORECASE)
    return f"{scheme_of(url)}://{host[1]}/…" if host else f"{scheme_of(url)}://…"


def secrets_of_address(url: str, variables: Mapping[str, str]) -> dict[str, str]:
    """The secrets of an alert address, with their replacements. Anyone who knows the address can write to it.

    The secrets are the part after the scheme (for a web service, after the host), as a whole and in pieces, and the
    values of `variables` in it."""
    name = alert_name(url)
    host = re.match(r"https?://(?:[^/?#]*@)?[^/?#@]+", url, re.IGNORECASE)
    behind = url[host.end() :] if host else url.partition("://")[2]
    secrets = {url: name, behind: HIDDEN} | secrets_of(url, {})
    for part in re.split(r"[/?&=#:@,]+", behind):
        if len(part) >= MAX_SHORT_SECRET_CHARACTERS and not _HOST.fullmatch(part):
            secrets |= {part: HIDDEN, unquote(part): HIDDEN}
    secrets |= {value: masked(value, secrets) for value in variables.values()}
    return {secret: instead for secret, instead in secrets.items() if len(secret) > 1 and secret != instead}


def _unknown_scheme(url: str, expected: str) -> dict[str, str]:
    from tallybook.config.catalog.words import closest_key

    if foreign := _JDBC.match(url):
        hint = "write it without jdbc:, with the user and the password before the host"
        paste = f'url = "{foreign[1]}://USER:***@HOST/DATABASE"'
        return {"message": "is a URL of JDBC", "expected": expected, "hint": hint, "paste": paste}
    if url.strip()[:1] in ('"', "'"):
        return {"message": "begins with a quote", "expected": expected, "hint": "remove the quotes inside the value"}
    meant = closest_key(scheme_of(url), [name for name in REGISTRY.names() if name != "postgres"])
    rest = masked_url(url).partition("://")[2]
    return {
        "message": f"has the unknown scheme {scheme_of(url)!r}",
        "expected": expected,
        "hint": f"did you mean {meant!r}?" if meant else "",
        "paste": f'url = "{meant}://{rest}"' if meant else "",
    }


def readable(url: str, find: Find = registered) -> bool:
    """Whether the password of a URL can be located: scheme://user:password@host:port/path?query."""
    match = _READABLE.fullmatch(url)
    if match is None:
        return False
    if re.search(rf"\s[^&=]*(?:{_SECRET_WORDS})[^&=]*=", match["query"] or "", re.IGNORECASE):
        return False
    return not re.search(r"[:@;=]", match["path"] or "") or _is_path(url.strip(), find)


def _is_path(url: str, find: Find) -> bool:
    try:
        return names_path(url, find)
    except AdapterError:
        return False


def masked_url(url: str, find: Find = registered) -> str:
    """The URL without its password and without the values of parameters such as password=, token= or sslkey=.

    For an unreadable URL, only the letters before its first colon."""
    if reference_meant(url):
        return url
    if not readable(url, find):
        letters = re.match(r"\s*([A-Za-z]{1,20})(?=:|//|\+\w+:)", url)
        return url if _PATH.fullmatch(url) else f"{letters[1]}:…" if letters else "…"
    return _PARAMETER.sub(rf"\1={HIDDEN}", _PASSWORD.sub(rf"\1:{HIDDEN}@", url))


def secrets_of(url: str, variables: Mapping[str, str], find: Find = registered) -> dict[str, str]:
    """The secrets of a URL, with their replacements.

    These are its password and the values of its secret parameters, also in decoded form, and the values of
    `variables` in it that `masked_url` does not show."""
    if reference_meant(url):
        return {}
    if not readable(url, find):
        shown = masked_url(url, find)
        return {**dict.fromkeys(_pieces(url, variables), HIDDEN), url: shown} if shown != url else {}
    found = {found[2]: HIDDEN for pattern in (_PASSWORD, _PARAMETER) for found in pattern.finditer(url)}
    for secret in list(found):
        found |= {unquote(secret): HIDDEN, unquote_plus(secret): HIDDEN}
    shown = masked_url(url, find)
    if shown != url:
        found[url] = shown
    if (proper := proper_url(url)) != url:
        found |= secrets_of(proper, {}, find)
    found |= {value: masked(value, found) for value in variables.values() if value not in shown}
    return {secret: instead for secret, instead in found.items() if secret and secret != instead}


def _pieces(url: str, variables: Mapping[str, str]) -> list[str]:
    """All parts of an unreadable URL that could be its password."""
    known = {*REGISTRY.names(), "localhost", "host", "port", "user", "password", "dbname", "database", "https", "jdbc"}
    found = [value for value in variables.values() if len(value) > 3 and value != url]
    pieces = re.split(r"[\s:/@?&=;,'\"+\\]+", url)
    return found + [
        piece for piece in pieces if len(piece) > 3 and piece.lower() not in known and not _PATH.fullmatch(piece)
    ]


def secret_variables(variables: Mapping[str, str | None]) -> dict[str, str]:
    """Values of variables whose names suggest a secret, such as API_TOKEN or DB_PASSWORD."""
    return {v: HIDDEN for name, v in variables.items() if v and _SECRET_NAME.search(name)}


def masked(text: str, secrets: Mapping[str, str]) -> str:
    """The text with every secret replaced, the longest first, and with no password in any URL.

    For messages, not for data: a password such as 2024 would replace numbers."""
    if secrets:
        pattern = "|".join(map(_secret_pattern, sorted(secrets, key=len, reverse=True)))
        text = re.sub(pattern, lambda found: secrets.get(found[0], HIDDEN), text)
    return _PARAMETER_WITHIN.sub(rf"\1={HIDDEN}", _PASSWORD_WITHIN.sub(rf"\1:{HIDDEN}@", text))


def _secret_pattern(secret: str) -> str:
    escaped = re.escape(secret)
    return rf"(?<!\w){escaped}(?!\w)" if len(secret) <= MAX_SHORT_SECRET_CHARACTERS else escaped
