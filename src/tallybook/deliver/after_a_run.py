"""Makes the deliveries of a book after a run, and their context."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from tallybook.config import mask, masked, secrets_of_address
from tallybook.core import Busy, DeliveryReport
from tallybook.deliver.actions_of_rules import rule_deliveries
from tallybook.deliver.deliveries import RUN_SECONDS, DeliveryContext, deliver, waiting
from tallybook.deliver.destinations.rest_hooks import hook_deliveries
from tallybook.deliver.outbox_rounds import due_deliveries
from tallybook.deliver.past import PastAnswers
from tallybook.query import QueryService


def delivery_context(service: QueryService, clock: Callable[[], datetime]) -> DeliveryContext:
    """The context of the deliveries of a book."""
    project, reader = service.reader.project, service.reader
    hooks = hook_deliveries(project.catalog.deliveries.values(), reader.store.ledger)
    # Anyone who knows the target of a subscription can write to it, and receivers repeat it in their answers.
    targets = [secrets_of_address(str(one.options["url"]), {}) for one in hooks.values()]
    secrets = {text: instead for found in targets for text, instead in found.items()}
    return DeliveryContext(
        catalog=project.catalog,
        folder=project.folder,
        ledger=reader.store.ledger,
        answers=PastAnswers(service),
        today=reader.today,
        clock=clock,
        variables=project.variables,
        service=service,
        mask=lambda text: masked(mask(text, project), secrets),
        more=rule_deliveries(project.catalog, reader.store.ledger) | hooks,
    )


def deliver_after_a_run(context: DeliveryContext) -> list[DeliveryReport]:
    """Deliver what is new. If another process is delivering now, the run still counts, because its points are
    stored."""
    if not (context.catalog.deliveries or context.more) or context.ledger.version() == 0:
        return []
    try:
        return deliver(context, seconds=RUN_SECONDS)
    except Busy as busy:
        return waiting(context.catalog, busy)


def deliver_rest(context: DeliveryContext) -> list[DeliveryReport]:
    """Send due outbox items for a while, for the deliveries that still have some."""
    left = due_deliveries(context)
    if not left:
        return []
    try:
        return deliver(context, left, seconds=RUN_SECONDS)
    except Busy:
        return []
