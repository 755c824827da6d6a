"""What a book delivers: the context of its deliveries, and the deliveries after a run."""

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
    """What delivering from a book needs."""
    project, reader = service.reader.project, service.reader
    hooks = hook_deliveries(project.catalog.deliveries.values(), reader.store.ledger)
    # Whoever knows the target of a subscription can write to it, and receivers repeat it in what they answer.
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
        more=rule_deliveries(project.catalog) | hooks,
    )


def deliver_after_a_run(context: DeliveryContext) -> list[DeliveryReport]:
    """Deliver what is new. What was collected is stored: another process that delivers now does not undo it."""
    if not (context.catalog.deliveries or context.more) or context.ledger.version() == 0:
        return []
    try:
        return deliver(context, seconds=RUN_SECONDS)
    except Busy as busy:
        return waiting(context.catalog, busy)


def deliver_rest(context: DeliveryContext) -> list[DeliveryReport]:
    """Send for a while what is due in the outbox, of deliveries that have any left."""
    left = due_deliveries(context)
    if not left:
        return []
    try:
        return deliver(context, left, seconds=RUN_SECONDS)
    except Busy:
        return []
