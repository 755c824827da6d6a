"""A question, how it is answered from points, and the answer."""

from __future__ import annotations

from tallybook._door import opened

__getattr__, __dir__ = opened(
    __name__,
    {
        "answers": ("answer",),
        "behind.coverage": ("calendar_of", "together"),
        "behind.diff": ("as_json", "changed_keys", "side_by_side"),
        "behind.lineage": ("lineage", "used_by"),
        "behind.why": ("evidence",),
        "cached": ("Answers",),
        "compare": ("with_stored",),
        "context": ("Coverage", "QueryContext"),
        "goals": ("Standing", "standings"),
        "lines": ("csv",),
        "merge": ("Parts", "Points", "TOTALS"),
        "questions": ("Filter", "Query", "ask", "known_delivery", "known_metric", "parse_filter", "with_range"),
        "ranges": ("ALL", "MAX_GAP_DAYS", "spans"),
        "reach": ("clipped",),
        "reader": ("BookReader",),
        "unseen": ("unseen_values",),
    },
)
