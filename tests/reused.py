"""PostgreSQL databases that one test hands to the next, empty: making and dropping one takes 80 ms of a core.

name = reused.database(server)       # empty; of an earlier test, or new
reused.give_back(server, name)       # emptied; dropped where a test did more to it than fill its schema `public`
"""

from __future__ import annotations

from contextlib import closing
from typing import Any

from tests.servers import Server

_empty: dict[int, list[str]] = {}
"""Port of a server → its empty databases that no test of this process uses."""

MORE_THAN_TABLES = """
SELECT
  EXISTS (SELECT FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public'))
  OR EXISTS (SELECT FROM pg_extension WHERE extname <> 'plpgsql')
  OR EXISTS (SELECT FROM pg_db_role_setting WHERE setdatabase = d.oid)
  OR EXISTS (SELECT FROM pg_default_acl)
  OR EXISTS (SELECT FROM pg_largeobject_metadata)
  OR EXISTS (SELECT FROM pg_publication)
  OR EXISTS (SELECT FROM pg_subscription WHERE subdbid = d.oid)
  OR EXISTS (SELECT FROM pg_event_trigger)
  OR EXISTS (SELECT FROM pg_foreign_data_wrapper)
  OR EXISTS (SELECT FROM pg_cast WHERE oid >= 16384)
  OR EXISTS (SELECT FROM pg_language WHERE oid >= 16384)
  OR datacl IS NOT NULL OR datdba <> CURRENT_USER::regrole OR datconnlimit <> -1 OR datistemplate OR NOT datallowconn
FROM pg_database d
WHERE datname = current_database()
"""
EMPTIED = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    "DROP SCHEMA public CASCADE",
    "CREATE SCHEMA public AUTHORIZATION pg_database_owner",
    "GRANT USAGE ON SCHEMA public TO public",
)


def database(server: Server) -> str:
    """The name of an empty database."""
    empty = _empty.setdefault(server.port, [])
    return empty.pop() if empty else server.create_database()


def give_back(server: Server, name: str) -> None:
    """Let another test have the database, or drop it where it cannot be emptied."""
    import psycopg

    try:
        with closing(server.connect(name)) as admin:
            clean = _is_emptied(admin)
    except psycopg.Error:
        clean = False
    if clean:
        _empty[server.port].append(name)
    else:
        server.drop_database(name)


def _is_emptied(admin: Any) -> bool:
    ((more,),) = admin.execute(MORE_THAN_TABLES).fetchall()
    if not more:
        for statement in EMPTIED:
            admin.execute(statement)
    return not more
