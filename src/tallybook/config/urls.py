"""Database URLs: which SQL they speak, where a file lies, and what in them must not be seen."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qs, unquote, unquote_plus

from tallybook.config.parameters import wrong_parameter
from tallybook.core import REGISTRY, AdapterError, UrlRules, kind_of, scheme_of

WEBHOOKS = ("http", "https")
"""Schemes of alerts that need no extra."""
Find = Callable[[str], "UrlRules | None"]
"""How URLs of a scheme are read; None for a scheme that no source has."""

HIDDEN = "***"
_DRIVER = re.compile(r"[A-Za-z][\w.-]*\+([\w.-]+):")
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


def registered(scheme: str) -> UrlRules | None:
    """As the adapter of a scheme describes its URLs. Raises AdapterError when it cannot be imported."""
    kind = kind_of(scheme) if scheme else None
    return kind.rules if kind else None


def dialect_of(url: str) -> str | None:
    """sqlglot's name for the SQL of a source; None when there is no such source."""
    rules = registered(scheme_of(url))
    return rules.dialect if rules else None


def names_path(url: str, find: Find = registered) -> bool:
    """Whether the URL of a source names a file or folder of this machine."""
    rules = find(scheme_of(url))
    return rules is not None and rules.names_path


def resolved(url: str, folder: Path, find: Find = registered) -> str:
    """With the file or folder of a URL that names one relative to `folder`."""
    found = re.fullmatch(r"([\w.-]+(?:\+[\w.-]+)?:///)(file:)?([^?]*)(\?.*)?", url, re.DOTALL)
    if not found or not names_path(url, find):
        return url
    start, file, path, rest = found[1], found[2] or "", found[3], found[4] or ""
    if not path or path.startswith(("/", ":memory:")) or re.match(r"[A-Za-z]:[/\\]", path):
        return url
    return f"{start}{file}{(folder / path).as_posix()}{rest}"


def session_options(url: str, variables: Mapping[str, str], find: Find = registered) -> str:
    """What a URL sets for the session that decides which rows a policy shows: a hash, for it may hold a name."""
    query = parse_qs(url.partition("?")[2], keep_blank_values=True)
    rules = find(scheme_of(url)) or UrlRules(dialect="")
    options = query.get(rules.session_parameter, [])
    if rules.session_variable and not options:
        options = [variables.get(rules.session_variable, "")]
    said = " ".join(" ".join(options).split())
    return hashlib.blake2b(said.encode(), digest_size=4).hexdigest() if said else ""


def wrong_url(url: str, find: Find = registered) -> dict[str, str] | None:
    """Why a text is not the URL of a source, as the details of a Problem, or None.

    Raises AdapterError when the adapter of its scheme cannot be imported."""
    scheme = scheme_of(url)
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
    if not readable(url, find):
        return {
            "message": "cannot be read",
            "expected": f"{scheme}://user:password@host:port/database",
            "hint": "signs of a password are written as %XX: / is %2F, @ is %40, : is %3A",
        }
    driver, found = _DRIVER.match(url), _READABLE.fullmatch(url)
    return wrong_parameter(scheme, driver[1] if driver else "", (found and found["query"]) or "", rules)


def _schemes() -> str:
    return ", ".join(f"{name}://…" for name in REGISTRY.names())


def _proper(text: str) -> str:
    """How a URL is written, where something else was: nothing of it is repeated but the name of a file."""
    kind = re.match(r"[a-z]+", text.lower())
    if re.search(r"(?i)\b(host|dbname)\s*=", text):
        return "postgresql://USER:PASSWORD@HOST/DATABASE"
    if kind and kind[0] in REGISTRY.names() and not names_path(f"{kind[0]}:"):
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
    from tallybook.config.catalog.words import closest

    meant = closest(scheme_of(url), [name for name in REGISTRY.names() if name != "postgres"])
    rest = masked_url(url).partition("://")[2]
    return {
        "message": f"names a kind of database, {scheme_of(url)!r}, that cannot be read",
        "expected": expected,
        "hint": f"did you mean {meant!r}?" if meant else "",
        "paste": f'url = "{meant}://{rest}"' if meant else "",
    }


def readable(url: str, find: Find = registered) -> bool:
    """Whether it is known which part of a text is a password: scheme://user:password@host:port/path?query."""
    found = _READABLE.fullmatch(url)
    if found is None:
        return False
    if re.search(rf"\s[^&=]*(?:{_SECRET_WORDS})[^&=]*=", found["query"] or "", re.IGNORECASE):
        return False
    return not re.search(r"[:@;=]", found["path"] or "") or _is_path(url.strip(), find)


def _is_path(url: str, find: Find) -> bool:
    try:
        return names_path(url, find)
    except AdapterError:
        return False


def masked_url(url: str, find: Find = registered) -> str:
    """The URL without its password and without the values of parameters like password=, token= or sslkey=; of one that
    cannot be read no more than the letters before its first colon."""
    if not readable(url, find):
        letters = re.match(r"\s*([A-Za-z]{1,20})(?=:|//|\+\w+:)", url)
        return url if _PATH.fullmatch(url) else f"{letters[1]}:…" if letters else "…"
    return _PARAMETER.sub(rf"\1={HIDDEN}", _PASSWORD.sub(rf"\1:{HIDDEN}@", url))


def secrets_of(url: str, variables: Mapping[str, str], find: Find = registered) -> dict[str, str]:
    """What must not be seen of a URL, and what is shown instead: its password, the values of its secret
    parameters, each also decoded, and every value of `variables` that was put into it and is not visible
    in `masked_url`."""
    if not readable(url, find):
        shown = masked_url(url, find)
        return {**dict.fromkeys(_pieces(url, variables), HIDDEN), url: shown} if shown != url else {}
    found = {found[2]: HIDDEN for pattern in (_PASSWORD, _PARAMETER) for found in pattern.finditer(url)}
    for secret in list(found):
        found |= {unquote(secret): HIDDEN, unquote_plus(secret): HIDDEN}
    shown = masked_url(url, find)
    if shown != url:
        found[url] = shown
    found |= {value: masked(value, found) for value in variables.values() if value not in shown}
    return {secret: instead for secret, instead in found.items() if secret and secret != instead}


def _pieces(url: str, variables: Mapping[str, str]) -> list[str]:
    """Whatever could be the password of a text that cannot be read."""
    known = {*REGISTRY.names(), "localhost", "host", "port", "user", "password", "dbname", "database", "https", "jdbc"}
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
