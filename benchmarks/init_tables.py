"""`init` on MariaDB with the number of tables that a large web shop has."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime

from benchmarks.figures import Budget, Report, print_progress
from benchmarks.scene import Scene
from tests import servers

TABLES, FILLED_SHARE, ROWS = 170, 0.3, 1_000
COLUMNS = """
    CREATE TABLE part_{i} (
        id bigint NOT NULL PRIMARY KEY, customer_id bigint NOT NULL, name varchar(40), status int NOT NULL,
        amount decimal(12, 2), currency varchar(3), country varchar(2), note varchar(80),
        created_at datetime NOT NULL, updated_at datetime NULL, KEY (customer_id))"""
FILL = """
    INSERT INTO part_{i} SELECT seq, seq % 97, concat('n', seq), seq % 3, seq / 7, 'EUR',
        elt(1 + seq % 3, 'DE', 'FR', 'US'), 'x', timestamp '2026-01-01 00:00:00' + interval seq * 317 minute, NULL
    FROM seq_1_to_{rows}"""


def measure(scene: Scene) -> Report:
    tables = 20 if scene.quick else TABLES
    seconds = {}
    with servers.run() as run:
        server = servers.server("mariadb", run)
        for what, share in (("empty", 0.0), ("filled", FILLED_SHARE)):
            name = server.create_database()
            print_progress(f"  {tables} tables, {share:.0%} with rows")
            _fill(server, name, tables, round(tables * share))
            seconds[what] = _seconds(scene, server.url(name))
    return Report(
        name="init_tables",
        what=f"`init` of {tables} tables of MariaDB: all empty, and {FILLED_SHARE:.0%} of them with {ROWS} rows",
        figures={"tables": tables, **{f"{what}_s": value for what, value in seconds.items()}},
        budgets=[
            Budget(what="init, all tables empty", seen=seconds["empty"], limit=5, unit="s"),
            Budget(what="init, a third of the tables with rows", seen=seconds["filled"], limit=5, unit="s"),
        ],
    )


def _fill(server: servers.Server, name: str, tables: int, filled: int) -> None:
    with contextlib.closing(server.connect(name)) as connection, contextlib.closing(connection.cursor()) as cursor:
        for i in range(tables):
            cursor.execute(COLUMNS.format(i=i))
            if i < filled:
                cursor.execute(FILL.format(i=i, rows=ROWS))


def _seconds(scene: Scene, url: str) -> float:
    from tallybook.draft import draft

    began = time.perf_counter()
    draft(url, folder=scene.new_folder(), now=datetime.now(UTC))
    return time.perf_counter() - began
