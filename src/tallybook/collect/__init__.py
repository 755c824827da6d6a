"""From a company's databases to points: which days are missing, few statements, short snapshots."""

from __future__ import annotations

from tallybook._door import opened

__getattr__, __dir__ = opened(
    __name__,
    {
        "history.across": ("unpivoted",),
        "history.read": (
            "Layout",
            "read_table",
        ),
        "binding": ("BoundMetric", "bind", "day_of_value"),
        "daily_run": ("JOB", "RunContext", "horizon_of", "make_plan", "published", "run"),
        "ended": ("Ended",),
        "forget": ("WHAT", "forget_metric", "forget_person"),
        "gathering": ("by_index", "gather_days", "gather_intervals"),
        "history.imported": ("Imported", "differences", "store_history"),
        "history.points": ("History", "ImportColumns", "chosen_dims", "history_points"),
        "inspection": ("Inspection", "SourceLook", "look", "look_at"),
        "live": ("live_ground",),
        "planning": ("Horizon", "RunPlan", "RunRequest", "Work", "bind_metric", "last_bound"),
        "report": ("MetricReport", "OnProgress", "RunProgress", "RunReport"),
        "revise": ("revisions",),
        "sources.base": ("Source",),
        "sources.dialect": ("TimeForm",),
        "sources.duckdb": ("CONFIG", "DuckdbSource", "literal"),
        "sources.readings": ("EPOCHS", "day_of_digits"),
        "sources.registry": ("close_sources", "open_source", "open_sources"),
        "sources.server": ("ServerSource",),
        "sources.values": (
            "BOOL",
            "ColumnType",
            "DATE",
            "DEC",
            "DECLARED",
            "FLOAT",
            "INT",
            "NUMBERS",
            "OTHER",
            "TEXT",
            "TIMESTAMP",
            "TIMESTAMPTZ",
            "as_instant",
            "as_text",
            "text_form",
        ),
        "staging": ("Staging",),
        "statements": ("Group", "INTERVAL_PLAN", "KeyedPlan", "group_key"),
    },
)
