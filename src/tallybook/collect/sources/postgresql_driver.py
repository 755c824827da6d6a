"""Extensions of psycopg: one statement per query, times as text, and COPY."""

from __future__ import annotations

import functools
import io
from collections.abc import Generator
from typing import Any

FROM_LATIN1 = "convert_from(convert_to(x, 'SQL_ASCII'), 'LATIN1')"
"""SQL of a text x whose bytes are LATIN1, in a database without an encoding."""
PARAMETERS = """application_name channel_binding client_encoding connect_timeout dbname fallback_application_name
    gssdelegation gssencmode gsslib host hostaddr keepalives keepalives_count keepalives_idle
    keepalives_interval krbsrvname load_balance_hosts max_protocol_version min_protocol_version
    oauth_client_id oauth_client_secret oauth_issuer oauth_scope options passfile password port replication
    require_auth requirepeer requiressl scram_client_key scram_server_key service servicefile
    ssl_max_protocol_version ssl_min_protocol_version sslcert sslcertmode sslcompression sslcrl sslcrldir
    sslkey sslkeylogfile sslmode sslnegotiation sslpassword sslrootcert sslsni target_session_attrs
    tcp_user_timeout user"""


def knows_parameter(name: str) -> bool:
    """Whether the installed libpq knows a parameter that is newer than `PARAMETERS`."""
    try:
        from psycopg.pq import Conninfo
    except ImportError:
        return False
    return any(option.keyword.decode() == name for option in Conninfo.get_defaults())


def is_connection_error(error: Exception) -> bool:
    """Whether an error without a server code is about the connection, and not about a value or statement."""
    import psycopg

    return not isinstance(
        error, ValueError | ArithmeticError | psycopg.DataError | psycopg.ProgrammingError | psycopg.NotSupportedError
    )


def read_times_as_text(raw: Any) -> None:
    """Read times that Python does not support (infinity, BC, after 9999) as text, so that they fail no statement."""
    import psycopg
    from psycopg.types import datetime as loaders

    for name, base in (
        ("date", loaders.DateLoader),
        ("timestamp", loaders.TimestampLoader),
        ("timestamptz", loaders.TimestamptzLoader),
    ):

        def load(self: Any, data: Any, base: Any = base) -> Any:
            try:
                return base.load(self, data)
            except (psycopg.DataError, ValueError, OverflowError):
                return bytes(data).decode()

        raw.adapters.register_loader(name, type(f"Text{base.__name__}", (base,), {"load": load}))


@functools.cache
def one_statement_cursor() -> type[Any]:
    """A cursor that sends every query by the extended protocol, so that the server refuses a second statement."""
    from psycopg import Cursor

    class OneStatementCursor(Cursor[Any]):
        def _execute_send(self, query: Any, *, force_extended: bool = False, binary: bool | None = None) -> None:
            super()._execute_send(query, force_extended=True, binary=binary)

    return OneStatementCursor


def copied_bytes(raw: Any, sql: str) -> Generator[Any, Any, io.BytesIO]:
    """Everything that a COPY returns, for `Connection.wait`. psycopg's own Copy waits for every single row, which costs
    more than the rest of reading ids."""
    from psycopg.errors import error_from_result
    from psycopg.generators import execute, fetch_many
    from psycopg.pq import ExecStatus
    from psycopg.waiting import Wait

    pgconn, buffer = raw.pgconn, io.BytesIO()
    pgconn.send_query_params(sql.encode(raw.info.encoding), None)
    (began,) = yield from execute(pgconn)
    if began.status != ExecStatus.COPY_OUT:
        raise error_from_result(began)
    while (found := pgconn.get_copy_data(1))[0] >= 0:
        if found[0]:
            buffer.write(found[1])
            continue
        while not (yield Wait.R):
            pass
        pgconn.consume_input()
    (ended,) = yield from fetch_many(pgconn)
    if ended.status != ExecStatus.COMMAND_OK:
        raise error_from_result(ended)
    return buffer
