"""URLs in the form that drivers accept: encoded passwords, no SQLAlchemy driver, several hosts as parameters."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

OWN_DRIVERS = ("postgresql", "postgres", "mysql", "mariadb", "clickhouse", "sqlite", "duckdb")
"""Schemes that Tallybook opens with its own driver, whatever SQLAlchemy driver the URL names."""
OUR_SUFFIXES = ("+psycopg", "+pymysql", "+pysqlite")
SEVERAL_HOSTS = ("postgresql", "postgres")
_ONE_HOST = r"(?:\[[^\]\s]*\]|[^\s:/?#@;=\[\],]*)(?::\d*)?"
_HOSTS = rf"(?P<hosts>{_ONE_HOST}(?:,{_ONE_HOST})*)"
_BEHIND = r"(?P<path>/[^?#\n]*)?(?P<query>\?[^#\n]*)?"
_PLAIN = re.compile(rf"(?P<user>[^\s:/?#@]*)(?::(?P<password>[^\s/?#@]*))?@{_HOSTS}{_BEHIND}")
_GREEDY = re.compile(rf"(?P<user>[^\s:/?#@]*):(?P<password>[^\n]*)@{_HOSTS}{_BEHIND}")
_NO_USER = re.compile(rf"{_HOSTS}{_BEHIND}")
_QUERY = re.compile(r"\?(?:[\w.-]+=[^&]*(?:&|$))*")


def proper_url(url: str) -> str:
    """The URL of a server in the form that drivers accept; other texts unchanged.

    A password may contain any character: it ends at the last @ that is followed by a host."""
    start = re.match(r"\s*([A-Za-z][\w.-]*)(\+[\w.-]+)?://", url)
    if not start:
        return url
    driver = start[2] or ""
    if start[1].lower() in OWN_DRIVERS and driver.lower() not in OUR_SUFFIXES:
        driver = ""
    scheme, behind = start[1] + driver, url[start.end() :].rstrip()
    if not behind or behind.startswith("/"):  # a file or folder
        return f"{scheme}://{behind}"
    found = _parts(behind)
    if found is None:
        return url
    user, password = found.groupdict().get("user"), found.groupdict().get("password")
    login = "" if user is None else user + ("" if password is None else f":{_encoded(password)}") + "@"
    path, query = found["path"] or "", found["query"] or ""
    hosts, more = _hosts(scheme.lower(), found["hosts"])
    query = f"{query}{'&' if len(query) > 1 else '' if query else '?'}{more}" if more else query
    return f"{scheme}://{login}{hosts}{path or ('/' if query else '')}{query}"


def _parts(behind: str) -> re.Match[str] | None:
    """User, password, hosts, path and query. A second @ belongs to the password, unless it is in a parameter."""
    plain = _PLAIN.fullmatch(behind)
    if plain and "@" not in (plain["path"] or "") and _QUERY.fullmatch(plain["query"] or "?"):
        return plain
    return _GREEDY.fullmatch(behind) or plain or _NO_USER.fullmatch(behind)


def _encoded(password: str) -> str:
    """The password percent-encoded. Parts that are already encoded stay unchanged."""
    whole = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", password)
    return quote(whole, safe="%!$&'()*+,;=-._~")


def _hosts(scheme: str, hosts: str) -> tuple[str, str]:
    """(host and port, parameters). Several PostgreSQL hosts and the folder of a socket are passed as parameters."""
    if scheme not in SEVERAL_HOSTS:
        return hosts, ""
    if "," in hosts:
        return "", "&".join(f"host={one}" for one in hosts.split(","))
    host, _, port = hosts.partition(":")
    if "%2f" in host.lower():
        return "", f"host={unquote(host)}" + (f"&port={port}" if port else "")
    return hosts, ""
