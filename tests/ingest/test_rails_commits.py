"""The history of Rails, sent twice and shuffled while the server is killed: the answers that PostgreSQL and pandas gave."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
import zstandard

from tests.ingest.servers import Server
from tests.ingest.test_kills import NAMED

METRICS = """
[metrics.commits]
event = "commit"
measure = "count(*)"

[metrics.insertions]
event = "commit"
measure = "avg(insertions)"

[metrics.median_insertions]
event = "commit"
measure = "median(insertions)"
"""


def history(data: Path, first: str = "", end: str = "9999") -> list[dict[str, Any]]:
    """The events from a day to before another, in our protocol."""
    text = zstandard.ZstdDecompressor().stream_reader((data / "rails_commits.ndjson.zst").read_bytes()).read().decode()
    found = []
    for one in map(json.loads, text.splitlines()):
        if first <= one["ts"] < end:
            event = {"event": one["event"], "time": one["ts"], "id": one["id"], "properties": one["props"]}
            found.append({**event, "user": one["user"], "account": one["account"]})
    return found


def sent_with_kills(server: Server, events: Sequence[dict[str, Any]], kills: int, chance: random.Random) -> None:
    """Send the events twice, shuffled, in requests of 500, each again until it is acknowledged."""
    key = server.key()
    server.start()
    every = [*events, *events]
    chance.shuffle(every)
    requests = [every[i : i + 500] for i in range(0, len(every), 500)]
    deaths = set(chance.sample(range(len(requests)), kills))
    for number, request in enumerate(requests):
        if number in deaths:
            role = chance.choice(["ingest", "compact"])
            os.kill(server.children[role], signal.SIGKILL)
            server.until_restarted(role)
        while True:
            with contextlib.suppress(OSError):
                if server.ask("POST", "/v1/events", request, key)[0] == 200:
                    break
            time.sleep(0.05)


def stored_files(server: Server, count: int) -> list[str]:
    """Where the files are that the ledger names, once they have so many rows."""
    book = server.folder / "book"
    for _ in range(1200):
        with contextlib.closing(sqlite3.connect(book / "ledger.sqlite", timeout=30)) as ledger:
            paths = [str(book / path) for (path,) in ledger.execute(NAMED)]
        asked = "SELECT count(*) FROM read_parquet(?, union_by_name = true)"
        if paths and duckdb.execute(asked, [paths]).fetchall()[0][0] >= count:
            return paths
        time.sleep(0.1)
    raise AssertionError("not compacted")


def answers(data: Path, question: str) -> Any:
    known = json.loads((data / "known_answers.json").read_text())
    return next(one["expected"] for one in known if one["id"] == question)


def assert_known(data: Path, paths: list[str], years: Sequence[int]) -> None:
    """DEV10 and DEV12, by DuckDB over the files."""
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        engine.execute(f"CREATE VIEW events AS SELECT * FROM read_parquet({paths}, union_by_name = true)")
        counted = dict(engine.execute("SELECT year(time), count(*) FROM events GROUP BY 1").fetchall())
        assert [[year, counted[year]] for year in years] == [one for one in answers(data, "DEV10") if one[0] in years]
        quarter = "'2024-Q' || quarter(time)"
        asked = 'SELECT {}, count(DISTINCT "user") FROM events WHERE year(time) = 2024 GROUP BY 1'
        users = engine.execute(asked.format(quarter)).fetchall() + engine.execute(asked.format("'2024'")).fetchall()
        assert sorted(users) == sorted(map(tuple, answers(data, "DEV12")))


def assert_asked(data: Path, server: Server, years: Sequence[int]) -> None:
    """DEV11, by our own run and query."""
    toml = server.folder / "tallybook.toml"
    toml.write_text(toml.read_text().replace("2020-01-01", f"{years[0]}-01-01"))
    server.cli("run", "--quiet", "--to", f"{years[-1]}-12-31", "--from", f"{years[0]}-01-01")
    within = ("--from", f"{years[0]}-01-01", "--to", f"{years[-1]}-12-31")
    asked = ("query", "insertions,median_insertions", "--scope", "year", *within)
    rows = json.loads(server.cli(*asked, "--format", "json"))["rows"]
    seen = [(int(row["period"][:4]), round(row["insertions"], 4), row["median_insertions"]) for row in rows]
    assert seen == [(year, mean, median) for year, mean, median, _ in answers(data, "DEV11") if year in years]


def test_a_year_sent_twice_with_kills_gives_the_known_answers(tmp_path: Path, shared_data: Path) -> None:
    server = Server(tmp_path / "rails", METRICS)
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    events = history(shared_data, "2023-12-31", "2025-01-02")
    sent_with_kills(server, events, 1, random.Random(seed))
    paths = stored_files(server, len(events))
    server.stop()
    assert_known(shared_data, paths, [2024])
    assert_asked(shared_data, server, [2024])


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2))
def test_the_whole_history_sent_twice_with_kills_gives_the_known_answers(
    tmp_path: Path, shared_data: Path, seed: int
) -> None:
    server = Server(tmp_path / "rails", METRICS)
    events = history(shared_data)
    sent_with_kills(server, events, 12, random.Random(seed))
    paths = stored_files(server, len(events))
    server.stop()
    counted = duckdb.execute("SELECT count(*), count(DISTINCT id) FROM read_parquet(?, union_by_name = true)", [paths])
    assert counted.fetchall() == [(99_429, 99_429)]
    assert_known(shared_data, paths, range(2019, 2026))
    assert_asked(shared_data, server, [2023, 2024, 2025])
