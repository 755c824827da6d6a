"""Which parameters a source URL may have. One that nobody reads would be a setting that somebody believes in."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl

_LIBPQ = """application_name channel_binding client_encoding connect_timeout dbname fallback_application_name gssdelegation
    gssencmode gsslib host hostaddr keepalives keepalives_count keepalives_idle keepalives_interval krbsrvname
    load_balance_hosts max_protocol_version min_protocol_version oauth_client_id oauth_client_secret oauth_issuer oauth_scope
    options passfile password port replication require_auth requirepeer requiressl scram_client_key scram_server_key service
    servicefile ssl_max_protocol_version ssl_min_protocol_version sslcert sslcertmode sslcompression sslcrl sslcrldir sslkey
    sslkeylogfile sslmode sslnegotiation sslpassword sslrootcert sslsni target_session_attrs tcp_user_timeout user"""
_PYMYSQL = """auth_plugin_map autocommit bind_address binary_prefix charset client_flag collation compress connect_timeout
    database db host init_command local_infile max_allowed_packet named_pipe passwd password plugin_dir port program_name
    read_default_file read_default_group read_timeout server_public_key sql_mode ssl ssl_ca ssl_capath ssl_cert
    ssl_check_hostname ssl_cipher ssl_disabled ssl_key ssl_key_password ssl_verify_cert ssl_verify_identity unix_socket
    use_unicode user write_timeout"""
_SQLITE = "cache cached_statements check_same_thread detect_types immutable isolation_level mode nolock timeout uri"
_KNOWN = {
    "sqlite": _SQLITE,
    "duckdb": "access_mode read_only",
    "chdb": "",
    "clickhouse": "secure verify",
    "postgresql": _LIBPQ,
    "postgres": _LIBPQ,
    "mysql": _PYMYSQL,
    "mariadb": _PYMYSQL,
}
"""By scheme. The drivers of warehouses have parameters that we cannot see; they say themselves what they do not know."""
_INSTEAD = {
    ("chdb", "database"): 'name the tables with their database: table = "app.orders"',
    ("clickhouse", "database"): "the database is the path: clickhouse://user@host:8123/app",
}


def wrong_parameter(scheme: str, driver: str, query: str) -> dict[str, str] | None:
    """Which parameter of a URL is not known, as the details of a Problem that repeats no value, or None."""
    if scheme not in _KNOWN or driver not in ("", "psycopg", "pymysql"):
        return None
    known = _KNOWN[scheme].split()
    for name, _ in parse_qsl(query, keep_blank_values=True):
        if name not in known and not _newer(scheme, name):
            return _unknown(scheme, name, known)
    return None


def _newer(scheme: str, name: str) -> bool:
    """Whether the libpq that is installed knows a word that this version of ours does not."""
    if not scheme.startswith("postgres"):
        return False
    try:
        from psycopg.pq import Conninfo
    except ImportError:
        return False
    return any(option.keyword.decode() == name for option in Conninfo.get_defaults())


def _unknown(scheme: str, name: str, known: Iterable[str]) -> dict[str, str]:
    from tallybook.catalog.words import closest

    meant = closest(name, list(known))
    hint = _INSTEAD.get((scheme, name)) or (f"did you mean {meant!r}?" if meant else "")
    return {
        "message": f"has a parameter {name!r} that {scheme} URLs do not have",
        "expected": ", ".join(known) or "no parameters",
        "hint": hint,
    }
