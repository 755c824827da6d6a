# The names of this door, for type checkers: those of __init__.py.
from tallybook.deliver.actions_of_rules import (
    FIRING as FIRING,
    ActionNames as ActionNames,
    destination_of as destination_of,
    is_of_rules as is_of_rules,
    rule_deliveries as rule_deliveries,
)
from tallybook.deliver.after_a_run import (
    deliver_after_a_run as deliver_after_a_run,
    deliver_rest as deliver_rest,
    delivery_context as delivery_context,
)
from tallybook.deliver.deliveries import (
    DeliveryContext as DeliveryContext,
    deliver as deliver,
    shown as shown,
    up_to_date_deliveries as up_to_date_deliveries,
)
from tallybook.deliver.destinations.base import (
    DeliveryMode as DeliveryMode,
    FileDestination as FileDestination,
    OutputSettings as OutputSettings,
)
from tallybook.deliver.destinations.google_sheets.onward import name as name
from tallybook.deliver.destinations.google_sheets.tab import OVERVIEW as OVERVIEW
from tallybook.deliver.destinations.registry import (
    kind_of_file as kind_of_file,
    replacing as replacing,
    writer_for as writer_for,
)
from tallybook.deliver.destinations.rest_hooks import (
    sample_messages as sample_messages,
    subscribe as subscribe,
    subscriptions as subscriptions,
    unsubscribe as unsubscribe,
)
from tallybook.deliver.erasing import ForgottenEntity as ForgottenEntity, forget_entity as forget_entity
from tallybook.deliver.exchange import (
    fetch as fetch,
    post as post,
    within as within,
    words_of as words_of,
)
from tallybook.deliver.outbox_rounds import (
    OutboxProgress as OutboxProgress,
    outbox_progress as outbox_progress,
)
from tallybook.deliver.outgoing.bounded import bounded_answers as bounded_answers
from tallybook.deliver.tracing import (
    DeliveryTrace as DeliveryTrace,
    replay_delivery as replay_delivery,
    trace_delivery as trace_delivery,
)
