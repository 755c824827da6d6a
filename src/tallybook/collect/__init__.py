"""From a company's databases to staged points: what is missing, in few statements, in short snapshots."""

from tallybook.collect.plan import Asked
from tallybook.collect.report import MetricReport, Progress, RunReport
from tallybook.collect.run import Means, make_plan, run

__all__ = ["Asked", "Means", "MetricReport", "Progress", "RunReport", "make_plan", "run"]
