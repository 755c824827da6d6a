"""The HTTP server: the listener for usage events, pages and the API, and the processes of `tallybook serve`."""

from __future__ import annotations

from tallybook._door import opened

__getattr__, __dir__ = opened(
    __name__,
    {
        "assistants": ("serve_assistant",),
        "audit_log": ("audited",),
        "books": ("SharedBook",),
        "pages.shared_series": ("view_of_fields",),
        "pages.report": ("board_file", "chart_file"),
        "listeners": ("listening_socket", "close_listener", "shown_address"),
        "processes": ("LISTENING", "Processes", "ROLES"),
        "shares": ("ShareTerms", "create_share"),
        "worker": (
            "WorkerPlan",
            "check_certificate",
            "check_installed",
            "end_with_parent",
            "event_ledger",
            "run_worker",
        ),
    },
)
