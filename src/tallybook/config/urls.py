"""Database URLs: which SQL they speak, where a file lies, and what in them must not be seen."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, unquote, unquote_plus

from tallybook.config.parameters import wrong_parameter

DIALECTS = {
    "sqlite": "sqlite",
    "postgresql": "postgres",
    "postgres": "postgres",
    "mysql": "mysql",
    "mariadb": "mysql",
    "duckdb": "duckdb",
    "clickhouse": "clickhouse",
    "chdb": "clickhouse",
    "bigquery": "bigquery",
    "mssql": "tsql",
    "oracle": "oracle",
    "redshift": "redshift",
    "snowflake": "snowflake",
    "trino": "trino",
}
"""The registry of sources: a URL's scheme, before any +driver, to sqlglot's name for its SQL."""
WEBHOOKS = ("http", "https")
"""Schemes of alerts that need no extra."""
_FILES = ("sqlite", "duckdb", "chdb")

HIDDEN = "***"
_SCHEME = re.compile(r"([A-Za-z][\w.-]*)(\+[\w.-]+)?:")
_SECRET_WORDS = "odbc_connect|pass|pwd|secret|token|key|credential|auth"
# A whole URL may hold blanks and quotes in its password; one within a text ends there.
_PASSWORD = re.compile(r"\A(\s*\w[\w+.-]*://[^:/?#@]*):(.*)@", re.DOTALL)
_PARAMETER = re.compile(rf"([?&][^=&#]*(?:{_SECRET_WORDS})[^=&#]*)=([^&#]*)", re.IGNORECASE)
_PASSWORD_WITHIN = re.compile(r"(\w[\w+.-]*://[^\s:/?#@'\"]*):([^\s'\"]*)@")
_PARAMETER_WITHIN = re.compile(rf"([?&][^\s=&#]*(?:{_SECRET_WORDS})[^\s=&#]*)=([^\s&#'\"]*)", re.IGNORECASE)
_SECRET_NAME = re.compile(_SECRET_WORDS, re.IGNORECASE)
_HOST = re.compile(r"localhost|(?:[\w-]{1,30}\.)+[A-Za-z\d]{1,10}")
_PATH = re.compile(r"[\w./~-]+\.(db|db3|sqlite|sqlite3|duckdb|ddb)", re.IGNORECASE)
"""A file of a database, as it is written where a URL was expected."""
_ONE_HOST = r"(?:\[[^\]\s]*\]|[^\s:/?#@;=\[\],]*)(?::\d*)?"
_READABLE = re.compile(
    rf"\s*[A-Za-z][\w.-]*(?:\+[\w.-]+)?://(?:[^\s:/?#@]*(?::[^\n]*)?@)?{_ONE_HOST}(?:,{_ONE_HOST})*"
    r"(?P<path>/[^?#\n]*)?(?:\?(?P<query>[^#\n]*))?(?:#[^\n]*)?",
)
_SHORT = 8
"""Up to so many letters a secret is hidden only where it stands alone: `app` must not eat `application`."""


def scheme_of(url: str) -> str:
    """`postgresql` of postgresql+psycopg://…; empty when there is none."""
    found = _SCHEME.match(url)
    return found[1].lower() if found else ""


def dialect_of(url: str) -> str | None:
    """sqlglot's name for the SQL of a source; None when there is no such source."""
    return DIALECTS.get(scheme_of(url))


def resolved(url: str, folder: Path) -> str:
    """With the file of a sqlite or duckdb URL relative to `folder`."""
    found = re.fullmatch(r"(\w+(?:\+\w+)?:///)(file:)?([^?]*)(\?.*)?", url, re.DOTALL)
    if not found or scheme_of(url) not in _FILES:
        return url
    start, file, path, rest = found[1], found[2] or "", found[3], found[4] or ""
    if not path or path.startswith(("/", ":memory:")) or re.match(r"[A-Za-z]:[/\\]", path):
        return url
    return f"{start}{file}{(folder / path).as_posix()}{rest}"


def resolved_path(path: str, folder: Path) -> str:
    """A folder or file relative to `folder`, with a / at the end of a folder."""
    whole = Path(os.path.normpath(folder / path))
    return f"{whole.as_posix().rstrip('/')}/" if path.endswith("/") or whole.is_dir() else whole.as_posix()


def session_options(url: str, variables: Mapping[str, str]) -> str:
    """What a URL sets for the session that decides which rows a policy shows: a hash, for it may hold a name."""
    query = parse_qs(url.partition("?")[2], keep_blank_values=True)
    options = query.get({"postgres": "options", "snowflake": "role"}.get(dialect_of(url) or "", ""), [])
    if dialect_of(url) == "postgres" and not options:
        options = [variables.get("PGOPTIONS", "")]
    said = " ".join(" ".join(options).split())
    return hashlib.blake2b(said.encode(), digest_size=4).hexdigest() if said else ""


def wrong_url(url: str) -> dict[str, str] | None:
    """Why a text is not the URL of a source, as the details of a Problem, or None."""
    expected = ", ".join(f"{name}://…" for name in DIALECTS)
    scheme = scheme_of(url)
    if "://" not in url:
        paste = f'url = "{_proper(url)}"'
        return {"message": "is not the URL of a database", "expected": expected, "paste": paste}
    if scheme not in DIALECTS:
        return _unknown_scheme(url, expected)
    where = url.partition("://")[2]
    if scheme in _FILES and where and not where.startswith(("/", "?")):
        paste = f'url = "{scheme}:///{where if _PATH.fullmatch(where) else "app.db"}"'
        return {"message": "needs three slashes before the file", "expected": paste[6:], "paste": paste}
    if not readable(url):
        return {
            "message": "cannot be read",
            "expected": f"{scheme}://user:password@host:port/database",
            "hint": "signs of a password are written as %XX: / is %2F, @ is %40, : is %3A",
        }
    driver = (_SCHEME.match(url) or [""] * 3)[2] or ""
    found = _READABLE.fullmatch(url)
    return wrong_parameter(scheme, driver.removeprefix("+"), (found and found["query"]) or "")


def _proper(text: str) -> str:
    """How a URL is written, where something else was: nothing of it is repeated but the name of a file."""
    kind = re.match(r"[a-z]+", text.lower())
    if re.search(r"(?i)\b(host|dbname)\s*=", text):
        return "postgresql://USER:PASSWORD@HOST/DATABASE"
    if kind and kind[0] in DIALECTS and kind[0] not in _FILES:
        return f"{kind[0]}://USER:PASSWORD@HOST/DATABASE"
    file = text.removeprefix("sqlite:")
    return f"sqlite:///{file if _PATH.fullmatch(file) else 'app.db'}"


def wrong_ledger(url: str) -> dict[str, str] | None:
    """Why a text is not the URL of a ledger, as the details of a Problem, or None."""
    if scheme_of(url) in ("postgresql", "postgres") and readable(url):
        return None
    return {
        "message": "is not the URL of a PostgreSQL database, which is where a ledger may be kept",
        "expected": "postgresql://user:password@host/database; without the key the ledger is a SQLite file in the folder of store",
        "paste": 'ledger = "${DATABASE_URL}"',
    }


def wrong_alert(url: str) -> dict[str, str] | None:
    """Why a text is no address to send alerts to, as the details of a Problem that does not repeat it, or None."""
    if re.match(r"[A-Za-z][\w+.-]*://[^\s/?#]", url):
        return None
    mail = re.fullmatch(r"[^\s@/:]+@[\w.-]+", url)
    return {
        "message": "is not a URL",
        "expected": "https://… of a webhook, or mail or chat as Apprise writes it: mailto://…, slack://…, tgram://…",
        "hint": "a mail needs a server that takes it" if mail else "",
        "paste": f'to = ["mailtos://USER:PASSWORD@smtp.example.com?to={url}"]' if mail else "",
    }


def wrong_heartbeat(url: str) -> dict[str, str] | None:
    """The same of an address that gets a sign of life."""
    if re.match(r"https?://[^\s/?#]", url, re.IGNORECASE):
        return None
    return {"message": "is not the URL of a web service", "expected": "https://hc-ping.com/…"}


def alert_name(url: str) -> str:
    """What an address is called in messages: its kind and, of a web service, its host."""
    host = re.match(r"https?://(?:[^/?#]*@)?([^/?#@]+)", url, re.IGNORECASE)
    return f"{scheme_of(url)}://{host[1]}/…" if host else f"{scheme_of(url)}://…"


def secrets_of_address(url: str, variables: Mapping[str, str]) -> dict[str, str]:
    """What must not be seen of an address to which anybody may write who knows it: whatever is behind its scheme, or
    behind the host of a web service, as a whole and in its parts, and the variables that were put into it."""
    name = alert_name(url)
    host = re.match(r"https?://(?:[^/?#]*@)?[^/?#@]+", url, re.IGNORECASE)
    behind = url[host.end() :] if host else url.partition("://")[2]
    found = {url: name, behind: HIDDEN} | secrets_of(url, {})
    for part in re.split(r"[/?&=#:@,]+", behind):
        if len(part) >= _SHORT and not _HOST.fullmatch(part):
            found |= {part: HIDDEN, unquote(part): HIDDEN}
    found |= {value: masked(value, found) for value in variables.values()}
    return {secret: instead for secret, instead in found.items() if len(secret) > 1 and secret != instead}


def _unknown_scheme(url: str, expected: str) -> dict[str, str]:
    from tallybook.catalog import closest

    meant = closest(scheme_of(url), [name for name in DIALECTS if name != "postgres"])
    rest = masked_url(url).partition("://")[2]
    return {
        "message": f"names a kind of database, {scheme_of(url)!r}, that cannot be read",
        "expected": expected,
        "hint": f"did you mean {meant!r}?" if meant else "",
        "paste": f'url = "{meant}://{rest}"' if meant else "",
    }


def readable(url: str) -> bool:
    """Whether it is known which part of a text is a password: scheme://user:password@host:port/path?query."""
    found = _READABLE.fullmatch(url)
    if found is None:
        return False
    if re.search(rf"\s[^&=]*(?:{_SECRET_WORDS})[^&=]*=", found["query"] or "", re.IGNORECASE):
        return False
    return scheme_of(url.strip()) in _FILES or not re.search(r"[:@;=]", found["path"] or "")


def masked_url(url: str) -> str:
    """The URL without its password and without the values of parameters like password=, token= or sslkey=; of one that
    cannot be read no more than the letters before its first colon."""
    if not readable(url):
        letters = re.match(r"\s*([A-Za-z]{1,20})(?=:|//|\+\w+:)", url)
        return url if _PATH.fullmatch(url) else f"{letters[1]}:…" if letters else "…"
    return _PARAMETER.sub(rf"\1={HIDDEN}", _PASSWORD.sub(rf"\1:{HIDDEN}@", url))


def secrets_of(url: str, variables: Mapping[str, str]) -> dict[str, str]:
    """What must not be seen of a URL, and what is shown instead: its password, the values of its secret
    parameters, each also decoded, and every value of `variables` that was put into it and is not visible
    in `masked_url`."""
    if not readable(url):
        shown = masked_url(url)
        return {**dict.fromkeys(_pieces(url, variables), HIDDEN), url: shown} if shown != url else {}
    found = {found[2]: HIDDEN for pattern in (_PASSWORD, _PARAMETER) for found in pattern.finditer(url)}
    for secret in list(found):
        found |= {unquote(secret): HIDDEN, unquote_plus(secret): HIDDEN}
    shown = masked_url(url)
    if shown != url:
        found[url] = shown
    found |= {value: masked(value, found) for value in variables.values() if value not in shown}
    return {secret: instead for secret, instead in found.items() if secret and secret != instead}


def _pieces(url: str, variables: Mapping[str, str]) -> list[str]:
    """Whatever could be the password of a text that cannot be read."""
    known = {*DIALECTS, "localhost", "host", "port", "user", "password", "dbname", "database", "https", "jdbc"}
    found = [value for value in variables.values() if len(value) > 3 and value != url]
    pieces = re.split(r"[\s:/@?&=;,'\"+\\]+", url)
    return found + [one for one in pieces if len(one) > 3 and one.lower() not in known and not _PATH.fullmatch(one)]


def secret_variables(variables: Mapping[str, str | None]) -> dict[str, str]:
    """Values that are secret by the name of their variable, as API_TOKEN or DB_PASSWORD."""
    return {v: HIDDEN for name, v in variables.items() if v and _SECRET_NAME.search(name)}


def masked(text: str, secrets: Mapping[str, str]) -> str:
    """The text with every secret replaced, longest first, and no password in any URL.

    For messages, not for data: a password like 2024 would eat numbers."""
    if secrets:
        pattern = "|".join(map(_standing, sorted(secrets, key=len, reverse=True)))
        text = re.sub(pattern, lambda found: secrets.get(found[0], HIDDEN), text)
    return _PARAMETER_WITHIN.sub(rf"\1={HIDDEN}", _PASSWORD_WITHIN.sub(rf"\1:{HIDDEN}@", text))


def _standing(secret: str) -> str:
    escaped = re.escape(secret)
    return rf"(?<!\w){escaped}(?!\w)" if len(secret) <= _SHORT else escaped
