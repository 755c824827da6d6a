"""Builds a SELECT from named steps in order."""

from __future__ import annotations


class Steps:
    """Collects the steps of a statement. Each step is a CTE that a later step or the last SELECT reads once."""

    def __init__(self) -> None:
        self._steps: dict[str, str] = {}

    def add(self, title: str, sql: str) -> str:
        """Add a step and return its title, by which later steps read its rows."""
        assert title not in self._steps
        self._steps[title] = sql
        return title

    def select(self, sql: str) -> str:
        """The whole statement, with `sql` as its last SELECT."""
        # Steps are not indented, because a literal may contain line breaks.
        titled = ",\n".join(f"{title} AS (\n{step}\n)" for title, step in self._steps.items())
        return f"WITH {titled}\n{sql}" if titled else sql
