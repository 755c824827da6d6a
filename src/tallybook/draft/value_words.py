"""Words in values of states and types that decide which rows count."""

from __future__ import annotations

PAID_VALUES = frozenset(
    [
        "paid",
        "purchased",
        "succeeded",
        "success",
        "successful",
        "complete",
        "completed",
        "captured",
        "settled",
        "finalized",
        "finalised",
        "won",
        "sale",
    ]
)
"""Values of a status that say that money was received."""
ACCEPTED_VALUES = frozenset(
    [
        "fulfilled",
        "shipped",
        "delivered",
        "processing",
        "processed",
        "dispatched",
        "invoiced",
        "confirmed",
        "closed",
        "posted",
        "done",
    ]
)
"""Values of the status of an order that is not canceled. They count beside paid ones, and not instead of them."""
LOST_VALUES = frozenset(
    [
        "failed",
        "failure",
        "canceled",
        "cancelled",
        "cancel",
        "void",
        "voided",
        "refunded",
        "refund",
        "draft",
        "pending",
        "abandoned",
        "cart",
        "checkout",
        "trash",
        "deleted",
        "spam",
        "rejected",
        "declined",
        "denied",
        "expired",
        "error",
        "unpaid",
        "open",
        "incomplete",
        "uncollectible",
        "reversed",
        "chargeback",
        "disputed",
        "returned",
        "unconfirmed",
        "test",
        "missing",
        "lost",
    ]
)
"""Values of a status that say that no money was received, or that it was returned."""
JUNK_VALUES = frozenset(
    [
        "draft",
        "autodraft",
        "auto",
        "trash",
        "spam",
        "test",
        "deleted",
        "revision",
        "inherit",
        "autosave",
        "dummy",
        "sandbox",
        "abandoned",
        "attachment",
        "hidden",
    ]
)
"""Values of rows that do not count, whatever the table contains."""
NOT_STARTED_VALUES = frozenset(
    ["pending", "incomplete", "draft", "scheduled", "waiting", "unpaid", "requested", "invited"]
)
"""States of contracts that have not begun."""
JUNK_FLAGS = frozenset(
    [
        "test",
        "spam",
        "draft",
        "dummy",
        "mirror",
        "sandbox",
        "bot",
        "robot",
        "deleted",
        "trashed",
        "discarded",
        "fake",
        "demo",
        "internal",
        "testmode",
        "system",
        "void",
        "voided",
        "removed",
        "erased",
    ]
)
"""Words of flags that mark rows that do not count."""
LOST_FLAGS = frozenset(["reversed", "void", "voided", "canceled", "cancelled", "failed", "rejected"])
"""Words of flags that mark money that was not received."""
REFUND_FLAGS = frozenset(["refunded", "disputed", "chargedback", "chargeback", "returned"])
"""Words of flags that mark money that was returned, fully or in part."""
REFUND_VALUES = frozenset(
    ["refund", "refunded", "chargeback", "reversal", "payout", "withdrawal", "credit_note", "return", "charged_back"]
)
"""Values of a type of money that was returned or paid out."""
NO_MONEY_VALUES = frozenset(
    ["authorize", "authorise", "authorization", "authorisation", "auth", "preauth", "verify", "verification", "void"]
)
"""Values of a type of transactions that move no money: a later row has what was captured."""
MONEY_MOVED_VALUES = frozenset(["purchase", "capture", "captured", "sale", "charge", "payment", "settle", "settlement"])
NOT_YET_VALUES = frozenset(["draft", "pending", "open", "cart", "checkout", "unpaid", "unconfirmed", "incomplete"])
"""Lost values of money that may still be received."""
OVER_VALUES = frozenset(
    ["canceled", "cancelled", "expired", "terminated", "ended", "churned", "inactive", "deactivated", "lapsed"]
)
"""States of contracts that have ended."""
