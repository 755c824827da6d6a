"""Results to write: gaps, totals, text that programs take for something else, days long ago."""

from datetime import date
from decimal import Decimal

from tallybook.core.result.result import Result
from tallybook.core.result.values import Column

REVENUE = Column(name="revenue", role="metric", type="decimal", unit="EUR", show="total", title="Revenue")
MRR = Column(name="mrr", role="metric", type="decimal", unit="EUR", show="last")
SIGNUPS = Column(name="signups", role="metric", type="integer", show="total")
LATENCY = Column(name="latency", role="metric", type="float", unit="ms", show="total")
SHARE = Column(name="share", role="metric", type="float", format="percent")
PLAN = Column(name="plan", role="dimension", type="text")
NASTY = ["=1+1", "@SUM(A1)", "+1", "-1", "http://x", "\tx", "1", "TRUE", "", "_x0041_", "a\x01b"]


def row(day, **values):
    facts = {"complete": True, "days": 31, "days_expected": 31, "approximate": False}
    return {"period": day and date.fromisoformat(day), **facts, **values}


def result(*columns, data, scope="month"):
    return Result(
        metrics=[c.name for c in columns if c.role == "metric"],
        scope=scope,
        timezone="Europe/Berlin",
        week_starts="monday",
        columns=[Column(name="period", role="period", type="date"), *columns],
        data=data,
        explain="revenue is the sum of paid invoices.",
        version=7,
    )


def three_months():
    """One metric, a gap in the middle, the last month still running."""
    why = {"revenue": {"why": "not collected"}}
    return result(
        REVENUE,
        data=[
            row("2026-01-01", revenue=Decimal("1234.50")),
            row("2026-02-01", revenue=None, complete=False, days=0, days_expected=28, notes=why),
            row("2026-03-01", revenue=Decimal("-0.10"), complete=False, days=12),
        ],
    )


def by_plan(*plans):
    days = ("2026-01-01", "2026-02-01")
    return result(PLAN, SIGNUPS, data=[row(d, plan=p, signups=i) for d in days for i, p in enumerate(plans, 1)])


def everything():
    data = [
        row("2026-01-01", plan="pro", revenue=Decimal("1.5"), signups=3, latency=0.25),
        row("2026-01-01", plan=None, revenue=None, signups=2**70, latency=None),
        row(None, plan=None, revenue=Decimal("1.5"), signups=3, latency=0.25, total=True),
    ]
    return result(PLAN, REVENUE, SIGNUPS, LATENCY, data=data)


def names_in(folder):
    return [path.name for path in folder.iterdir()]


CASES = {
    "a gap": three_months,
    "everything": everything,
    "no rows": lambda: result(REVENUE, data=[]),
    "only totals": lambda: result(REVENUE, data=[row(None, revenue=Decimal(1), total=True)]),
    "nasty text": lambda: by_plan(*NASTY),
    "long ago": lambda: result(REVENUE, data=[row("1850-01-01", revenue=Decimal(1))], scope="year"),
    "all of time": lambda: result(PLAN, MRR, data=[row("2020-01-01", plan="a", mrr=Decimal(1))], scope="all"),
}
