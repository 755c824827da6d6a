"""Whatever the rows, the definitions and the history: the book's answers are those of the judge.

Each example is a world of `strategies.py`: it is put into a real database, the book runs and reruns over it,
and each question is answered twice, by the book and by `tests/oracle` from the raw rows. How many there
are on each database is in `conftest.py` (WORLDS); the first line of a run prints it with the seed.

A failure is first made small. It reads: the question as one types it, what is wrong row by row, the metrics
asked for, the raw rows that count on each day, the runs; then the world's whole story (settings, tables, what
happened). The project of that small world stays in a folder named in the message (with its database, if that is
SQLite or DuckDB): ask there again by hand. Hypothesis adds the line that runs the large world again.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from hypothesis.internal.conjecture import engine

import tallybook
from tallybook.core import QueryError
from tallybook.storage import BookLocation
from tests.conftest import COSTLY, SOAK, WORLDS, sampled
from tests.loading import Database, open_database
from tests.oracle import (
    DAY,
    DERIVED,
    SCOPES,
    SHOWS,
    Agg,
    And,
    Answer,
    Ask,
    BookSpec,
    Column,
    Judge,
    MetricSpec,
    Num,
    Op,
    Pred,
    Ref,
    Refusal,
    Row,
    Table,
    Undecided,
    base_metrics,
    differences,
    end_of_day,
    evidence,
)
from tests.oracle.goals import GoalSpec, goal_differences, standing
from tests.strategies import (
    ZONES,
    Change,
    Delete,
    Forget,
    Import,
    Insert,
    Life,
    Move,
    Run,
    Step,
    World,
    smaller,
    told,
    worlds,
)

# The servers' fixtures are made once for all examples of a test: tables are dropped before they are made.
# We shrink a world ourselves: knowing what it is made of, a minute is enough.
RIGHT = settings(suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.reuse, Phase.generate])


def worlds_on(kind: str) -> settings:
    """As many worlds as are judged on this database."""
    return settings(RIGHT, max_examples=WORLDS.get(kind, 25))


REDUCING_SECONDS = int(os.environ.get("TALLYBOOK_REDUCING_SECONDS", "60"))
AS_OF_ASKS = 2
"""How many of an example's questions are also asked as of each of the days before."""
LIVE_ASKS = 2
"""How many of an example's questions are also asked of the source itself."""


@pytest.fixture(autouse=True, scope="module")
def every_world_is_a_new_one() -> Iterator[None]:
    """Hypothesis would make five of six worlds by copying pieces of the last one over one another: then a
    mistake that shows in one world of thirty is seldom met."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.ConjectureRunner, "generate_mutations_from", lambda runner, data: None)
        yield


@worlds_on("sqlite")
@given(world=worlds("sqlite", whole=SOAK))
def test_every_answer_is_right_on_sqlite(world: World) -> None:
    examine(world, "sqlite", "sqlite:///{folder}/app.sqlite")


@worlds_on("duckdb")
@given(world=worlds("duckdb", whole=SOAK))
def test_every_answer_is_right_on_duckdb(world: World) -> None:
    examine(world, "duckdb", "duckdb:///{folder}/app.duckdb")


@worlds_on("postgresql")
@given(world=worlds("postgresql", whole=SOAK))
def test_every_answer_is_right_on_postgresql(postgresql_url: str, world: World) -> None:
    examine(world, "postgresql", postgresql_url)


@worlds_on("mariadb")
@given(world=worlds("mysql", whole=SOAK))
def test_every_answer_is_right_on_mariadb(mariadb_url: str, world: World) -> None:
    examine(world, "mariadb", mariadb_url)


@pytest.mark.soak
@worlds_on("chdb")
@given(world=worlds("clickhouse", whole=SOAK))
def test_every_answer_is_right_on_clickhouse(world: World) -> None:
    examine(world, "chdb", "chdb:///{folder}/app.chdb")


# ---------------------------------------------------------------------- a world goes wrong: a smaller one


def examine(world: World, kind: str, url: str) -> None:
    """Live through `world`; when that goes wrong, fail with the smallest world found that goes wrong too."""

    def fault(one: World) -> Exception | None:
        with tempfile.TemporaryDirectory(prefix="tallybook-right-", ignore_cleanup_errors=True) as folder:
            return fault_of(one, url.format(folder=folder), Path(folder))

    if fault(world) is None:
        return
    least = reduced(world, fault)
    kept = Path(tempfile.gettempdir()) / f"tallybook-right-{kind}"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir()
    why = fault_of(least, url.format(folder=kept), kept) or AssertionError("it does not go wrong every time")
    why.add_note(f"\nThe project is kept: --project {kept}\nIts story:\n\n{least.story()}")
    raise why


def fault_of(world: World, url: str, folder: Path) -> Exception | None:
    try:
        judged(world, url, folder)
    except Exception as why:  # noqa: BLE001 - whatever it is, `examine` raises it
        return why
    return None


def reduced(world: World, fault: Callable[[World], Exception | None]) -> World:
    """The smallest world found within a minute that goes wrong in the same way."""
    kind, until = _way(fault(world)), time.monotonic() + REDUCING_SECONDS
    found: World | None = world
    while found is not None:
        world, found = found, None
        for one in smaller(world):
            if time.monotonic() > until:
                return world
            if _way(fault(one)) == kind:
                found = one
                break
    return world


def _way(why: Exception | None) -> tuple[type, str] | None:
    """The type of an error and the function of ours that raised it; None for none."""
    if why is None:
        return None
    raised = [f.name for f in traceback.extract_tb(why.__traceback__) if "tallybook" in f.filename]
    return type(why), raised[-1] if raised else ""


# ------------------------------------------------------------------------------------- playing a world


@dataclass
class Play:
    """A world being lived through: the database, the book, and what the judge knows of both."""

    life: Life
    database: Database
    book: Any
    clock: list[datetime]
    folder: Path
    url: str
    reports: list[str] = field(default_factory=list)

    @property
    def today(self) -> date:
        """The day that the clock shows in the book's zone."""
        return self.clock[0].astimezone(ZoneInfo(self.life.world.book.timezone)).date()

    def take(self, step: Step) -> None:
        step = self.life.dated(step)
        if isinstance(step, Run):
            self.clock[0] = self.life.at(step)
            self.reports.append(f"{told(step)}: {self.book.run(from_=step.from_, to=step.to)!r}")
        elif isinstance(step, Insert):
            self.database.insert(self.life.tables[step.table], step.rows)
        elif isinstance(step, Change):
            self.database.replace(self.life.tables[step.table], step.row)
        elif isinstance(step, Delete):
            self.database.delete(self.life.tables[step.table], [step.id])
        elif isinstance(step, Forget):
            self.book.forget(self.life.declared(step.metric))
        elif isinstance(step, Import):
            file = self.folder / "import.csv"
            file.write_text(step.csv(), encoding="utf-8", newline="")
            self.book.import_history(self.life.declared(step.metric), file, decimal=".")
        elif isinstance(step, Move):
            self.book.move(BookLocation(folder=self.folder / step.folder))
        self.life.take(step)
        self.declare()

    def declare(self) -> None:
        """Write what is declared now, and open the book again where that changed."""
        file, text = self.folder / "tallybook.toml", self.life.toml(self.url)
        if file.exists() and file.read_text(encoding="utf-8") == text:
            return
        file.write_text(text, encoding="utf-8")
        if self.book is not None:
            self.book.close()
        self.book = tallybook.open(self.folder, now=lambda: self.clock[0])

    def knows(self, ask: Ask) -> bool:
        """Whether the metrics of a question have their names by now."""
        return not self.life.old & set(base_metrics(self.life.judge(), ask.metrics))


def start(world: World, url: str, folder: Path) -> Play:
    """Put the tables into the database and open a book over them."""
    database, life = open_database(url), Life.begun(world)
    for number, table in enumerate(life.tables.values()):
        database.create(table, index=number % 2 == 0)
    play = Play(life, database, None, [end_of_day(world.start, world.book.timezone)], folder, url)
    play.declare()
    return play


def judged(world: World, url: str, folder: Path) -> None:
    """Live through `world`; after each run ask one of its questions, in the end all of them."""
    play, then = start(world, url, folder), {}
    try:
        for number, step in enumerate(world.steps):
            play.take(step)
            if isinstance(step, Run) and world.asks:
                ask = world.asks[number % len(world.asks)]
                if play.knows(ask):
                    check(play, ask)
                then[play.today] = play.life.past()
            if isinstance(step, Import) and then:
                then[play.today] = play.life.past()
            if isinstance(step, Forget):
                then = {day: past.without(step.metric) for day, past in then.items()}
        for ask in world.asks:
            check(play, ask)
        check_older(play)
        for (day, past), ask in product([*then.items()][:-1], world.asks[:AS_OF_ASKS]):
            check(play, ask, as_of=day, judge=past.judge(play.life.specs))
        for ask in [ask for ask in world.asks if can_be_live(play, ask)][:LIVE_ASKS]:
            check(play, ask, live=True)
        for goal, day in product(world.goals, world.goal_days(play.life.closed)):
            check_goal(play, goal, day)
    finally:
        getattr(play.book, "close", lambda: None)()


def check_older(play: Play) -> None:
    """Every answer says how many days are known only under another definition, and none that none are."""
    life = play.life
    for name in sorted(set(life.believed) - life.old):
        days = sorted(life.older(name))
        unit = life.specs[name].unit_from
        if not life.believed[name] and not life.imported.get(name):
            with pytest.raises(QueryError) as nothing:
                play.book.query(name, scope="all", by=[unit] if unit else [])
            assert ("known under" in nothing.value.hint) == bool(days), nothing.value
            continue
        explain = play.book.query(name, scope="all", by=[unit] if unit else []).explain
        said = re.findall(r"([\d,]+) days? of (\w+) \((\S+) to (\S+)\) (?:is|are) stored under", explain)
        expected = [(f"{len(days):,}", name, str(days[0]), str(days[-1]))] if days else []
        assert said == expected, f"{explain}\n\nexpected: {expected}\n{play.reports}"


def check_goal(play: Play, goal: GoalSpec, day: date) -> None:
    """Ask the book and the judge how far a goal is in the period of a day, and fail where they differ."""
    judge = play.life.judge()
    try:
        expected = standing(judge, goal, day)
    except (Refusal, Undecided):
        return
    got = play.book.goals(goal.name, on=day)
    assert len(got) == 1 or expected is None
    found = goal_differences(expected, got[0].to_dict()) if expected else []
    if found:
        ask = Ask(
            metrics=(goal.metric,), from_=got[0].period, to=day, scope=goal.scope, where=goal.where, show=goal.show
        )
        wrong(play, judge, ask, [f"tallybook goals {goal.name} --on {day}", goal.toml(), *found, str(got[0])], "")


def can_be_live(play: Play, ask: Ask) -> bool:
    """Whether the source must answer as a book that has collected every closed day since `start`."""
    life, world = play.life, play.life.world
    specs = [life.specs[name] for name in base_metrics(life.judge(), ask.metrics)]
    if any(spec.history and life.older(spec.name) for spec in specs):
        return (
            False  # Nothing says whether the source or the file answers for a day that is imported and was collected.
        )
    within = world.start <= ask.from_ and ask.to <= life.closed and ask.window != "all"
    reaches_back = within and first_day_asked(life.judge(), ask) < world.start
    return within and not reaches_back and not any(spec.carry for spec in specs)


def first_day_asked(judge: Judge, ask: Ask) -> date:
    """The first day that an answer is made of, windows, comparisons and the day before a change among them."""
    try:
        periods = Answer(judge, ask).periods()
    except (Refusal, Undecided):
        return ask.from_
    days = [span for period in periods for _, span in period.both]
    return min((span.before if ask.show == "change" else span.first for span in days), default=ask.from_)


def check(play: Play, ask: Ask, *, live: bool = False, as_of: date | None = None, judge: Judge | None = None) -> None:
    """Ask the book and the judge, and fail where they differ. `as_of`: a day before, and the judge of then."""
    judge = judge or play.life.judge(live=live)
    how = f" --as-of {as_of}" if as_of else " --live" if live else ""
    try:
        expected: list[Row] | str = judge.answer(ask)
    except Undecided:
        return
    except Refusal as why:
        expected = str(why)
    try:
        got = play.book.query(*ask.metrics, **ask.keywords(), live=live, as_of=as_of).rows()
    except tallybook.Refused as why:
        if not isinstance(expected, str):
            wrong(play, judge, ask, [f"the book refuses a question that has an answer: {why}"], how)
        return
    except Exception as why:
        why.add_note(f"It was asked: {ask.command()}{how}")
        raise
    if isinstance(expected, str):
        wrong(play, judge, ask, [f"the book must refuse ({expected}); it says {got[:3]!r} …"], how)
    found = differences(expected, got, ask)
    if found:
        wrong(play, judge, ask, found, how)


class WrongAnswer(AssertionError):
    """The book and the judge differ; the message has what is needed to see which of them is right."""


def wrong(play: Play, judge: Judge, ask: Ask, found: Sequence[str], how: str) -> None:
    """Fail with everything that is needed to see who is right."""
    specs = [*ask.metrics, *(n for n in base_metrics(judge, ask.metrics) if n not in ask.metrics)]
    parts = [
        f"The answer is not right ({play.life.world.dialect}):",
        f"  {ask.command()}{how}",
        "",
        *(f"  {what}" for what in found[:12]),
        *([f"  … and {len(found) - 12} more"] if len(found) > 12 else []),
        "",
        *(replace(play.life.world, metrics=play.life.specs).metric_toml(name) for name in specs),
        "What counts, from the raw rows:",
        evidence(judge, ask),
        "",
        "Runs so far:",
        *(f"  {report}" for report in play.reports),
    ]
    raise WrongAnswer("\n".join(parts)) from None


# ------------------------------------------------------------------------- every question, one world

PLANS = ("pro", "team", None, "Team")
COMPANY = (
    Column(name="id", type="int"),
    Column(name="at", type="timestamp"),
    Column(name="started", type="timestamp"),
    Column(name="ended", type="timestamp"),
    Column(name="day", type="date"),
    Column(name="received", type="int"),
    Column(name="plan", type="text"),
    Column(name="country", type="text"),
    Column(name="user_id", type="bigint"),
    Column(name="amount", type="decimal", scale=2, real=True),
    Column(name="seconds", type="float"),
)
FIRST, LAST = date(2024, 2, 12), date(2024, 4, 9)
QUESTIONS = {
    "signups": MetricSpec(name="signups", table="company", time="at", measure=Agg("count"), by=("plan", "country")),
    "revenue": MetricSpec(
        name="revenue",
        table="company",
        time="at",
        measure=Agg("sum", ("amount",)),
        where=Pred("amount", ">", 0),
        by=("plan", "country"),
    ),
    "price": MetricSpec(name="price", table="company", time="at", measure=Agg("avg", ("amount",)), by=("plan",)),
    "latency": MetricSpec(
        name="latency",
        table="company",
        time="at",
        measure=Agg("quantile", ("seconds",), q="0.95", spelling="p"),
        by=("plan",),
    ),
    "active": MetricSpec(
        name="active",
        table="company",
        time="at",
        measure=Agg("count_distinct", ("user_id",), And(Pred("plan", "is not null"), Pred("amount", ">", 0))),
        by=("plan", "country"),
    ),
    "heavy": MetricSpec(
        name="heavy",
        table="company",
        time="at",
        measure=Agg("sum", ("amount",)),
        per="user_id",
        then="p90",
        by=("plan", "country"),
    ),
    "last_price": MetricSpec(
        name="last_price", table="company", time="at", measure=Agg("last", ("amount",)), by=("plan",)
    ),
    "mrr": MetricSpec(
        name="mrr",
        table="company",
        kind="level",
        shape="interval",
        from_="started",
        until="ended",
        measure=Agg("sum", ("amount",)),
        by=("plan", "country"),
    ),
    "customers": MetricSpec(
        name="customers",
        table="company",
        kind="level",
        shape="interval",
        from_="started",
        until="ended",
        measure=Agg("count_distinct", ("user_id",)),
        by=("plan",),
        over_time="average",
    ),
    "seats": MetricSpec(
        name="seats",
        table="company",
        kind="level",
        shape="daily",
        time="day",
        measure=Agg("count"),
        by=("plan", "user_id"),
        carry=2,
    ),
    "calls": MetricSpec(
        name="calls",
        table="company",
        shape="daily_aggregate",
        time="at",
        received="received",
        series=("plan", "user_id"),
        measure=Agg("sum", ("amount",)),
        by=("plan",),
    ),
    "visitors": MetricSpec(
        name="visitors",
        table="company",
        kind="uniques",
        time="day",
        measure=Agg("sum", ("user_id",)),
        by=("plan",),
    ),
    "per_user": MetricSpec(
        name="per_user", kind=DERIVED, shape=DERIVED, measure=Op("/", Ref("revenue"), Ref("active"))
    ),
    "share": MetricSpec(
        name="share",
        kind=DERIVED,
        shape=DERIVED,
        measure=Op("/", Op("*", Num("100"), Ref("revenue")), Ref("mrr", "average")),
    ),
}


def company() -> World:
    """Eight weeks of a small company in New York, with a DST change, a gap, late rows and a running month."""
    chance = random.Random(20240310)
    rows = []
    for number in range(1, 401):
        at = datetime(2024, 2, 12, 5) + timedelta(minutes=chance.randrange(60 * 24 * 58))
        since = at - timedelta(days=chance.randrange(30))
        rows.append(
            {
                "id": number,
                "at": at,
                "started": since,
                "ended": None if chance.random() < 0.3 else since + timedelta(hours=chance.randrange(-20, 700)),
                "day": (at - timedelta(hours=5)).date(),
                "received": number * 7919 % 1_000_003,
                "plan": chance.choice(PLANS),
                "country": chance.choice(["DE", "at", "AT", None]),
                "user_id": chance.randrange(40),
                "amount": Decimal(chance.randrange(-500, 3000)).scaleb(-2),
                "seconds": chance.choice([0.1, 0.25, 1.5, 2.75, 40.0]),
            }
        )
    late = tuple({**row, "id": 1000 + row["id"], "received": 1_000_003 + row["received"]} for row in rows[::40])
    return World(
        dialect="sqlite",
        book=BookSpec("America/New_York", "sunday"),
        start=FIRST,
        lookback=3,
        tables={"company": Table(name="company", columns=COMPANY, rows=rows)},
        metrics=QUESTIONS,
        steps=(
            Run(date(2024, 3, 12), FIRST, date(2024, 3, 4)),
            Run(date(2024, 3, 12), date(2024, 3, 8), date(2024, 3, 12)),
            Insert("company", late),
            Run(date(2024, 4, 3), date(2024, 3, 11), date(2024, 4, 3)),
            Delete("company", 7),
        ),
        asks=(),
    )


@pytest.fixture(scope="module")
def company_book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    folder = tmp_path_factory.mktemp("company")
    play = start(company(), f"sqlite:///{folder}/app.sqlite", folder)
    for step in play.life.world.steps:
        play.take(step)
    yield play
    getattr(play.book, "close", lambda: None)()


@pytest.mark.cases(28)
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", QUESTIONS)
def test_every_scope_breakdown_filter_and_show(
    name: str, scope: Any, company_book: Play, seed: int, soak: bool
) -> None:
    """Questions sampled from all that there are about one metric."""
    judge = company_book.life.judge()
    dims = sorted(judge.dims(name))
    by = [(), *((dim,) for dim in dims), *([tuple(dims), tuple(reversed(dims))] if len(dims) == 2 else [])]
    where = [
        (),
        *(((dim, op, value),) for dim in dims[-1:] for op in ("=", "!=") for value in ("pro", "AT", "3", None)),
    ]
    days = [(FIRST, LAST), (FIRST - DAY * 9, date(2024, 3, 6)), (date(2024, 3, 5), date(2024, 3, 5))]
    switches = list(product([False, True], repeat=2))
    every = list(product(by, where, days, [None, *SHOWS], switches))
    chosen = random.Random(f"{seed} {name} {scope}").sample(every, min(len(every), 250 if soak else 6))
    for split, conditions, (first, last), show, (fill, totals) in chosen:
        ask = Ask(
            metrics=(name,),
            from_=first,
            to=last,
            scope=scope,
            by=split,
            where=conditions,
            show=show,
            fill=fill,
            totals=totals,
        )
        check(company_book, ask)


@RIGHT
@given(data=st.data())
def test_several_metrics_in_one_question(company_book: Play, data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(sorted(QUESTIONS)), min_size=2, max_size=4, unique=True))
    dims = sorted(set.intersection(*(company_book.life.judge().dims(name) for name in names)))
    first = FIRST + DAY * data.draw(st.integers(-3, 50))
    ask = Ask(
        metrics=tuple(names),
        from_=first,
        to=first + DAY * data.draw(st.integers(0, 50)),
        scope=data.draw(st.sampled_from(SCOPES)),
        by=tuple(data.draw(st.lists(st.sampled_from(dims), unique=True))) if dims else (),
        fill=data.draw(st.booleans()),
        totals=data.draw(st.booleans()),
    )
    check(company_book, ask)


# ------------------------------------------------------------------------------- more than a world draws


@pytest.mark.parametrize("spread", sampled([900, 1500, 5000], 1, "spreads"))
def test_percentiles_of_many_values_stay_within_what_is_stated(spread: int, tmp_path: Path, seed: int) -> None:
    """Up to 1,000 different values a day are exact; above, 1% of the larger neighbour, and said so."""
    chance = random.Random(spread)
    rows = [
        {
            "id": number,
            "at": datetime(2024, 3, 1 + number % 3, 12),
            "plan": "pro" if number % 2 else "team",
            "seconds": (place := chance.randrange(spread) - spread // 3) * abs(place) / 7,
        }
        for number in range(1, 8001)
    ]
    columns = tuple(column for column in COMPANY if column.name in ("id", "at", "plan", "seconds"))
    asked = [Agg("quantile", ("seconds",), q=q) for q in ("0.01", "0.5", "0.95", "0.999", "1")]
    specs = [MetricSpec(name=f"q{i}", table="t", time="at", measure=agg, by=("plan",)) for i, agg in enumerate(asked)]
    world = World(
        dialect="duckdb",
        book=BookSpec("UTC"),
        start=date(2024, 3, 1),
        lookback=0,
        tables={"t": Table(name="t", columns=columns, rows=rows)},
        metrics={spec.name: spec for spec in specs},
        steps=(Run(date(2024, 3, 3)),),
        asks=tuple(
            Ask(
                metrics=(name,),
                from_=date(2024, 3, 1),
                to=date(2024, 3, 3),
                scope=scope,
                by=by,
                totals=True,
            )
            for name in ("q0", "q1", "q2", "q3", "q4")
            for scope in ("day", "all")
            for by in ((), ("plan",))
        ),
    )
    if not SOAK:
        world = replace(world, asks=tuple(random.Random(seed).sample(world.asks, 12)))
    judged(world, f"duckdb:///{tmp_path}/app.duckdb", tmp_path)


YEARS = {
    "Pacific/Apia": (date(2011, 12, 20), date(2012, 1, 10)),
    "Africa/Cairo": (date(2024, 1, 1), date(2024, 12, 31)),
}


@pytest.mark.parametrize("timezone", sampled(ZONES, 1, "zones"))
def test_a_day_of_every_zone_has_its_own_instants(timezone: str, tmp_path: Path) -> None:
    """A fact every half hour of a year."""
    first, last = YEARS.get(timezone, (date(2018, 1, 1), date(2018, 12, 31)))
    instants = [
        datetime(first.year, first.month, first.day, tzinfo=UTC) + timedelta(minutes=30 * i)
        for i in range(48 * ((last - first).days + 1))
    ]
    columns = (Column(name="id", type="int"), Column(name="at", type="timestamptz"))
    rows = [{"id": number, "at": at} for number, at in enumerate(instants)]
    world = World(
        dialect="duckdb",
        book=BookSpec(timezone),
        start=first,
        lookback=0,
        tables={"t": Table(name="t", columns=columns, rows=rows)},
        metrics={"facts": MetricSpec(name="facts", table="t", time="at", measure=Agg("count"))},
        steps=(Run(last),),
        asks=tuple(Ask(metrics=("facts",), from_=first, to=last, scope=scope) for scope in SCOPES),
    )
    judged(world, f"duckdb:///{tmp_path}/app.duckdb", tmp_path)


# ------------------------------------------------------------------------------------ the loading itself


def stored_rows(world: World, url: str) -> None:
    """What the database holds is what the judge reads, before and after rows are changed."""
    database = open_database(url)
    for table in world.tables.values():
        database.create(table)
        assert database.rows(table) == table.rows
        if table.rows:
            changed = {**table.rows[0], "id": table.rows[-1]["id"]}
            database.replace(table, changed)
            database.delete(table, [row["id"] for row in table.rows[:-1]])
            assert database.rows(table) == [changed]
        database.drop(table)


@pytest.mark.sampled
@settings(RIGHT, max_examples=COSTLY.max_examples)
@given(data=st.data())
def test_the_database_holds_the_rows_that_the_judge_reads(database_url: str, data: st.DataObject) -> None:
    stored_rows(data.draw(worlds(open_database(database_url).dialect)), database_url)
