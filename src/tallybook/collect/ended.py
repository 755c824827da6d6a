"""How a run ended, for the code that reports it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tallybook.core import DONE, TallybookError

if TYPE_CHECKING:
    from tallybook.collect.report import RunReport


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The report of the run that just ended, or why there is no report."""

    report: RunReport | None = None
    crash: TallybookError | None = None

    @property
    def well(self) -> bool:
        return self.report is not None and self.report.exit_code == DONE
