"""A small company with pages to look at: levels, flows, a ratio, distinct counts, a gap, goals, notes, a board."""

from __future__ import annotations

import functools
import shutil
import tempfile
from datetime import date, timedelta
from pathlib import Path

from tests.ingest.test_event_log import Ingest
from tests.projects import Project

NOW = "2024-03-10T12:00"
FIRST, LAST = date(2024, 1, 1), date(2024, 3, 9)
DAYS = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
PLANS = {"pro": 3, "team": 2, "free": 5}
API_TYPES = {"Events": 300, "Search": 120, "Accounts": 90, "Reports": 60, "Machine Learning": 20}
METRICS = """
[metrics.mrr]
title = "Recurring revenue"
kind = "level"
table = "subscriptions"
time = "day"
measure = "sum(mrr)"
by = ["plan"]
unit = "EUR"
group = "Money"
pinned = true
better = "higher"

[metrics.signups]
table = "users"
time = "at"
measure = "count(*)"
by = ["plan", "country"]
group = "Growth"
pinned = true

[metrics.visitors]
table = "visits"
time = "day"
measure = "count(distinct visitor)"
group = "Growth"

[metrics.apiCalls]
title = "API calls a day"
table = "calls"
time = "day"
measure = "sum(calls)"
by = ["apiType"]
group = "Usage"

[metrics.latency]
table = "calls"
time = "day"
measure = "avg(ms)"
unit = "ms"
better = "lower"

[metrics.exports]
table = "users"
time = "at"
measure = "count(*)"

[metrics.mrr_per_signup]
measure = "mrr / signups"
unit = "EUR"
group = "Money"

[metrics.seats]
kind = "level"
table = "seats"
time = "day"
measure = "sum(seats)"
by = ["account"]

[accounts]

[goals.signups]
metric = "signups"
target = 400

[[notes]]
day = "2024-02-12"
text = "Prices <b>changed</b>"
metrics = ["signups"]

[boards.weekly]
title = "Weekly review"
last = "6 weeks"
views = [
  { metrics = ["mrr"], by = ["plan"], chart = "stacked" },
  { metrics = ["signups"], chart = "bar" },
  { metrics = ["visitors"] },
  { metrics = ["mrr"], chart = "number" },
]
"""


def company(folder: Path, *, collected: bool = True) -> Project:
    """The company on Sunday 2024-03-10: the week from 2024-03-04 has 6 of 7 days."""
    template = _template(collected=collected)
    shutil.copytree(template, folder)
    database = folder.with_suffix(".db")
    shutil.copyfile(template.with_suffix(".db"), database)
    file = folder / "tallybook.toml"
    file.write_text(file.read_text().replace(str(template), str(folder)))
    return Project(folder, f"sqlite:///{database}", now=NOW)


@functools.cache
def _template(*, collected: bool) -> Path:
    """The company's project, made once; tests take copies."""
    folder = Path(tempfile.mkdtemp(prefix="tallybook-paged-")) / "company"
    made = Project(folder, f"sqlite:///{folder.with_suffix('.db')}", now=NOW)
    made.table(
        "subscriptions (day date, plan text, mrr int)",
        [(day, plan, 1000 * weight + 10 * n) for n, day in enumerate(DAYS) for plan, weight in PLANS.items()],
    )
    made.table(
        "users (at text, plan text, country text)",
        [
            (f"{day} 10:00:00", plan, ("DE", "FR", "US")[(n + i) % 3])
            for n, day in enumerate(DAYS)
            for plan, weight in PLANS.items()
            for i in range(weight + n % 3)
        ],
    )
    made.table("visits (day date, visitor int)", [(day, v) for n, day in enumerate(DAYS) for v in range(n % 5, 20)])
    made.table(
        "calls (day date, apiType text, calls int, ms int)",
        [(day, kind, size + n % 7, 40 + n % 9) for n, day in enumerate(DAYS) for kind, size in API_TYPES.items()],
    )
    made.table(
        "seats (day date, account text, seats int)",
        [(day, f"a{n}", 10 * n + day.day % 3) for day in DAYS for n in (1, 2)],
    )
    made.declare(METRICS)
    if collected:
        others = ("mrr", "signups", "visitors", "apiCalls", "latency", "seats")
        made.book.run(*others)
        made.book.run("exports", from_="2024-01-01", to="2024-01-21")
        made.book.run("exports", from_="2024-02-05", to="2024-03-09")
    made.close()
    return folder


PEOPLE = """
[metrics.requests]
title = "Requests"
source = "events"
table = "request"
time = "time"
measure = "count(*)"
by = ["account", "user"]

[users]
table = "people"
account = "account_id"
attributes = ["email", "role"]

[rules.quiet]
for = "account"
when = "plan = 'pro' and size < 15"
backfill = true
then = { to = "message", message = "tips" }

[messages.tips]
title = "Hello"
text = "You have {size} seats"
"""
"""An event of users and a rule, to declare beside METRICS."""
HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>'
"""What a sender may write. On a page it is text; a browser that reads it as HTML reports what the policy blocked."""
USERS = 14
"""Of the account a1. The user u3 sent three requests a day in the last week, u0 none."""


def with_people(made: Project, declared: str = PEOPLE) -> Project:
    """The company with accounts a0 to a2, users of a1 who send requests, and a rule that was evaluated."""
    made.declare(METRICS + declared)
    for n in range(3):
        made.book.push_attributes(
            "accounts", f"a{n}", attributes={"plan": "pro", "name": f"Acme <{n}>", "size": 10 * n}
        )
    roles = {3: "<i>owner</i>"}
    rows = [(f"u{n}", "a1", f"user{n}@acme.com", roles.get(n, "member")) for n in range(USERS)]
    made.table("people (id text, account_id text, email text, role text)", rows)
    events = Ingest(made.folder / "book")
    events.now = made.now
    for back in range(1, 8):
        at = f"{made.now.date() - timedelta(days=back)}T09:00:00Z"
        events.send(
            *(
                {
                    "event": "request",
                    "time": at,
                    "user": f"u{n}",
                    "account": "a1",
                    "id": f"{back}-{n}-{again}",
                    "properties": {"page": HOSTILE},
                }
                for n in range(1, USERS)
                for again in range(3 if n == 3 else 1)
            )
        )
    events.compact()
    events.commit.close()
    events.events.close()
    made.run(source_moved=["app"])
    made.book.rules.evaluate()
    return made
