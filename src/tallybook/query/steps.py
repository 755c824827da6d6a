"""A SELECT of named steps, one after the other, as a reader of SQL expects them."""

from __future__ import annotations


class Steps:
    """Collects the steps of a statement; each is a CTE that a later step, or the last SELECT, reads once."""

    def __init__(self) -> None:
        self._steps: dict[str, str] = {}

    def add(self, title: str, sql: str) -> str:
        """Add a step and return its title, which stands for its rows in later steps."""
        assert title not in self._steps
        self._steps[title] = sql
        return title

    def select(self, sql: str) -> str:
        """The whole statement, with `sql` as its last SELECT."""
        # Steps are not indented: a literal may contain line breaks.
        titled = ",\n".join(f"{title} AS (\n{step}\n)" for title, step in self._steps.items())
        return f"WITH {titled}\n{sql}" if titled else sql
