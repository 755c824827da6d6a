"""What every test may ask for: databases, a seed, the shared data. And how the run is set up.

TALLYBOOK_SEED=N           the order of the tests, Hypothesis and `seed`, all as in the run that printed N
TALLYBOOK_SOAK=1           the long run (`make soak`); with --part one of its parts
TALLYBOOK_TEST_SERVERS=required   a database server or browser that cannot be had is a failure, not a skip
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings

from tests import engines, reused, servers
from tests.browser import chromium, started_chromium, web_context, web_page  # noqa: F401  # fixtures
from tests.parts import PARTS, part_of
from tests.replicas import pair_of_servers, replicated  # noqa: F401  # fixtures
from tests.soak import SoakReport

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent
SOAK = os.environ.get("TALLYBOOK_SOAK") == "1"
DATABASES = ("sqlite", "duckdb", *servers.KINDS)

WORLDS = {"sqlite": 300, "duckdb": 300, "postgresql": 50, "mariadb": 50, "surfaces": 60} if SOAK else {
    "sqlite": 3, "duckdb": 3, "postgresql": 2, "mariadb": 2, "surfaces": 3,
}  # fmt: skip
"""How many random worlds test_right.py judges on each database, and test_surfaces.py on DuckDB."""

# `derandomize` is said because Hypothesis turns it on by itself where CI is set: we want new examples each
# run, reproducible by the seed.
PROFILE = {"deadline": None, "print_blob": True, "derandomize": False}
settings.register_profile("default", max_examples=6, suppress_health_check=[HealthCheck.too_slow], **PROFILE)
settings.register_profile("soak", max_examples=100, suppress_health_check=list(HealthCheck), **PROFILE)
settings.load_profile("soak" if SOAK else "default")
COSTLY = settings(max_examples=100 if SOAK else 3)
"""For a test whose examples take long: a book is run several times in each."""
MEMORY, ROOM_BYTES = Path("/dev/shm"), 4 * 1024**3
"""Where files wait for no disk, and the room that the folders of tests may take there."""

# Compiled modules are kept, for the next run and for the hundreds of processes that tests start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# PyMySQL and HTTP clients read the system's certificates for each connection, which takes 50 ms. No test needs them.
os.environ["SSL_CERT_FILE"] = os.devnull

if not SOAK:
    engines.reuse()


# ---------------------------------------------------------------------------------------------- the run


def sampled(every: Sequence[T], number: int, what: str) -> list[T]:
    """Of the parameters of a test, so many by the run's seed, in their order; in the long run, all of them."""
    dice = random.Random(f"{os.environ.get('TALLYBOOK_SEED', '0')} {what}")
    chosen = sorted(dice.sample(range(len(every)), min(number, len(every))))
    return list(every) if SOAK else [every[place] for place in chosen]


def in_memory() -> bool:
    """Whether the files of the tests fit into memory, where no write waits for a disk. The long run writes to the disk."""
    return MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM_BYTES


def is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed and make the folder of the run's servers, before any worker starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # by a shell's background job; child processes inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not is_worker(config):
        # Set in the environment, because that is what workers inherit.
        os.environ["TALLYBOOK_SEED"] = os.environ.get("TALLYBOOK_SEED") or str(random.SystemRandom().randrange(2**32))
        folder, alive = servers.start_run()
        os.environ["TALLYBOOK_TEST_RUN"] = str(folder)
        if not SOAK and in_memory():
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))  # where `tmp_path` is
        config.add_cleanup(lambda: servers.end_run(folder, alive))
        config.pluginmanager.register(SoakReport(config, config.getoption("--part") if SOAK else None))
    number = int(os.environ["TALLYBOOK_SEED"])
    if config.getoption("randomly_seed", None) == "default":
        config.option.randomly_seed = number
    if config.getoption("--hypothesis-seed", None) is None:
        config.option.hypothesis_seed = number


def pytest_sessionstart(session: pytest.Session) -> None:
    """Every second worker imports the test files from the last one on. So each worker compiles half of them, where they are
    not compiled yet, and reads the other half."""
    config = session.config
    number = int(config.workerinput["workerid"].removeprefix("gw")) if is_worker(config) else 0
    if number % 2 and config.args == config.getini("testpaths"):
        for path in sorted((ROOT / "tests").rglob("test_*.py"), reverse=True):
            with contextlib.suppress(Exception, pytest.skip.Exception):  # the collection reports it
                importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


def pytest_report_header() -> str:
    number = os.environ["TALLYBOOK_SEED"]
    worlds = ", ".join(f"{kind} {number}" for kind, number in WORLDS.items())
    again = f"TALLYBOOK_SEED={number} runs the same again"
    return f"seed: {number} ({again}){', soak' if SOAK else ''}; random worlds: {worlds}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests marked `soak` to the soak run, and those that are dealt to other databases."""
    if not SOAK:
        left = {item for item in items if item.get_closest_marker("soak")}
        if not config.option.keyword and not any("::" in arg for arg in config.args):
            left |= dealt_to_others([item for item in items if item not in left])
            left |= not_chosen([item for item in items if item not in left])
        config.hook.pytest_deselected(items=[item for item in items if item in left])
        items[:] = [item for item in items if item not in left]


def dealt_to_others(items: Sequence[pytest.Item]) -> set[pytest.Item]:
    """The cases that the everyday run leaves out, by the run's seed. The long run has every case on every database.

    A test marked `sampled` runs each case on SQLite and on one other database. Any other test with several cases on
    each database runs each case on half of the databases, from four cases on on one of them; together they run on all."""
    tests: dict[str, dict[str, dict[str, pytest.Item]]] = {}
    for item in items:
        params = dict(getattr(getattr(item, "callspec", None), "params", {}))
        kind = next((params.pop(name) for name in ("kind", "database_url", "place") if name in params), None)
        if kind:
            cases = tests.setdefault(item.nodeid.partition("[")[0], {})
            cases.setdefault(repr(params), {})[getattr(kind, "__name__", kind)] = item
    others: set[pytest.Item] = set()
    for name, cases in tests.items():
        dice = random.Random(f"{os.environ['TALLYBOOK_SEED']} {name}")
        one = next(iter(next(iter(cases.values())).values()))
        others |= _sampled_out(cases, dice) if one.get_closest_marker("sampled") else _other_halves(cases, dice)
    return others


def _sampled_out(cases: Mapping[str, Mapping[str, pytest.Item]], dice: random.Random) -> set[pytest.Item]:
    """Of each case, the databases but SQLite and one other, which the cases take in turn."""
    servers_and_files = sorted({kind for on in cases.values() for kind in on if kind != "sqlite"})
    dice.shuffle(servers_and_files)
    left = set()
    for place, case in enumerate(sorted(cases)):
        there = [kind for kind in servers_and_files if kind in cases[case]]
        left |= {cases[case][kind] for kind in there if kind != there[place % len(there)]}
    return left


def _other_halves(cases: Mapping[str, Mapping[str, pytest.Item]], dice: random.Random) -> set[pytest.Item]:
    kinds = sorted({kind for on in cases.values() for kind in on})
    everywhere = sorted(case for case, on in cases.items() if len(on) == len(kinds))
    if len(everywhere) < 2 or len(kinds) < len(DATABASES):
        return set()
    dice.shuffle(everywhere)
    turns = 2 if len(everywhere) < 4 else len(kinds)
    left: set[pytest.Item] = set()
    for place, case in enumerate(everywhere):
        turn = place % turns
        if turn == 0:
            dice.shuffle(kinds)
        left |= {cases[case][kind] for number, kind in enumerate(kinds) if number % turns != turn}
    return left


def not_chosen(items: Sequence[pytest.Item]) -> set[pytest.Item]:
    """Of a test marked `cases(number)`, all cases but so many, which the run's seed chooses."""
    tests: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("cases"):
            tests.setdefault(item.nodeid.partition("[")[0], []).append(item)
    left: set[pytest.Item] = set()
    for name, cases in tests.items():
        (number,) = cases[0].get_closest_marker("cases").args
        cases.sort(key=lambda item: item.nodeid)
        random.Random(f"{os.environ['TALLYBOOK_SEED']} {name}").shuffle(cases)
        left |= set(cases[number:])
    return left


def pytest_collection() -> None:
    gc.disable()  # what is imported and collected is kept: looking through it takes seconds


def pytest_collection_finish() -> None:
    """Keep what is imported and collected out of each garbage collection of the tests."""
    gc.enable()
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    gc.unfreeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--part", choices=sorted(PARTS), help="only the tests of one part of the long run (tests/parts.py)"
    )
    parser.addoption("--adapter", help="tests/conformance on one adapter: its name, or module:Class of a harness")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the files of other parts."""
    part, name = config.getoption("--part"), collection_path.name
    return True if part and name.startswith("test_") and part_of(name) != part else None


@pytest.fixture(scope="session")
def seed() -> int:
    """The run's seed, for tests that sample: `random.Random(seed)`."""
    return int(os.environ["TALLYBOOK_SEED"])


@pytest.fixture(scope="session")
def soak() -> bool:
    """Whether this is the long run: `kills = 500 if soak else 10`."""
    return SOAK


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of the shared data: databases and questions that none of us made."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("there is no ../shared/data beside this checkout")
    return folder


# ---------------------------------------------------------------------------------------- the databases


def server_or_skip(kind: str) -> servers.Server:
    try:
        return servers.server(kind, Path(os.environ["TALLYBOOK_TEST_RUN"]))
    except servers.Missing as why:
        if os.environ.get("TALLYBOOK_TEST_SERVERS") == "required":
            raise
        pytest.skip(str(why))


@pytest.fixture(scope="session")
def postgresql_server() -> servers.Server:
    """The run's PostgreSQL: address, administrator, log file."""
    return server_or_skip("postgresql")


@pytest.fixture(scope="session")
def mariadb_server() -> servers.Server:
    """The run's MariaDB: address, administrator, log file."""
    return server_or_skip("mariadb")


@pytest.fixture(scope="module")
def own_server(postgresql_server: servers.Server) -> Iterator[servers.OwnServer]:
    """A PostgreSQL server that the tests of a file may stop and start again."""
    home = Path(tempfile.mkdtemp(prefix="tallybook-own-", dir="/tmp"))
    home.chmod(0o755)  # the server's account must get through
    (home / "postgresql").mkdir()
    own = servers.OwnServer(home / "postgresql")
    yield own
    own.stop()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def postgresql_admin(postgresql_server: servers.Server) -> Iterator[Any]:
    """A superuser's psycopg connection, in autocommit mode."""
    with closing(postgresql_server.connect()) as connection:
        yield connection


@pytest.fixture
def mariadb_admin(mariadb_server: servers.Server) -> Iterator[Any]:
    """An all-powerful PyMySQL connection, in autocommit mode."""
    with closing(mariadb_server.connect()) as connection:
        yield connection


@pytest.fixture
def make_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """`make_database("sqlite" | "duckdb" | "postgresql" | "mariadb")`: the URL of a new, empty database."""
    made: list[tuple[servers.Server, str]] = []

    def make(kind: str) -> str:
        if kind in FILES:
            path = tmp_path / f"{uuid.uuid4().hex[:8]}.{kind}"
            FILES[kind](path)
            return f"{kind}:///{path}"
        server = request.getfixturevalue(f"{kind}_server")
        made.append((server, reused.database(server) if kind == "postgresql" else server.create_database()))
        return server.url(made[-1][1])

    yield make
    for server, name in made:
        if server.kind == "postgresql":
            reused.give_back(server, name)
        else:
            server.drop_database(name)


def touch_sqlite(path: Path) -> None:
    sqlite3.connect(path).close()
    path.touch()  # SQLite itself writes nothing until there is something to write


def touch_duckdb(path: Path) -> None:
    path.write_bytes(empty_duckdb())


@functools.cache
def empty_duckdb() -> bytes:
    """An empty file: DuckDB takes 25 ms to make one."""
    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.duckdb"
        duckdb.connect(path).close()
        return path.read_bytes()


FILES: dict[str, Callable[[Path], None]] = {"sqlite": touch_sqlite, "duckdb": touch_duckdb, "chdb": Path.mkdir}


@pytest.fixture
def postgresql_url(make_database: Callable[[str], str]) -> str:
    """The URL of an empty PostgreSQL database of this test's own."""
    return make_database("postgresql")


@pytest.fixture
def mariadb_url(make_database: Callable[[str], str]) -> str:
    """The URL of an empty MariaDB database of this test's own, in utf8mb4."""
    return make_database("mariadb")


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, make_database: Callable[[str], str]) -> str:
    """Runs the test four times, each with an empty database of another kind."""
    return make_database(request.param)
