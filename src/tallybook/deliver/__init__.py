"""Updates declared files and sheets: runs the query of each delivery and writes the answer to its destination."""

from __future__ import annotations

from tallybook._door import opened

__getattr__, __dir__ = opened(
    __name__,
    {
        "after_a_run": ("deliver_after_a_run", "deliver_rest", "delivery_context"),
        "deliveries": ("DeliveryContext", "deliver", "shown", "up_to_date_deliveries"),
        "destinations.base": ("DeliveryMode", "FileDestination", "OutputSettings"),
        "destinations.google_sheets.onward": ("name",),
        "destinations.google_sheets.tab": ("OVERVIEW",),
        "destinations.rest_hooks": ("sample_messages", "subscribe", "subscriptions", "unsubscribe"),
        "destinations.registry": ("kind_of_file", "replacing", "writer_for"),
        "erasing": ("ForgottenEntity", "forget_entity"),
        "outbox_rounds": ("OutboxProgress", "outbox_progress"),
        "tracing": ("DeliveryTrace", "replay_delivery", "trace_delivery"),
        "exchange": ("fetch", "post", "within", "words_of"),
        "outgoing.bounded": ("bounded_answers",),
        "actions_of_rules": ("FIRING", "ActionNames", "destination_of", "is_of_rules", "rule_deliveries"),
    },
)
