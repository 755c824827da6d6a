"""Names of tables and columns as words, and what these words say about what a table holds."""

from __future__ import annotations

import re
from collections.abc import Sequence

PEOPLE = (
    "user",
    "account",
    "customer",
    "member",
    "subscriber",
    "company",
    "organization",
    "organisation",
    "org",
    "workspace",
    "tenant",
    "team",
    "client",
    "person",
    "people",
    "signup",
    "registration",
    "profile",
    "lead",
    "contact",
)
"""Best first: whose coming counts as a signup."""
MONEY = (
    "invoice",
    "payment",
    "charge",
    "order",
    "sale",
    "purchase",
    "transaction",
    "receipt",
    "bill",
    "booking",
    "donation",
    "refund",
    "payout",
    "transfer",
)
"""Best first: which of several is the revenue."""
LINES = ("line", "item", "detail")
USAGE = (
    "event",
    "call",
    "login",
    "session",
    "visit",
    "pageview",
    "view",
    "request",
    "activity",
    "action",
    "log",
    "click",
    "hit",
    "search",
    "download",
    "upload",
    "message",
    "play",
    "stream",
    "track",
    "impression",
    "ping",
    "usage",
    "run",
    "job",
    "commit",
    "build",
    "deployment",
)
CONTRACTS = (
    "subscription",
    "membership",
    "contract",
    "license",
    "licence",
    "rental",
    "lease",
    "enrollment",
    "assignment",
    "plan",
    "seat",
    "reservation",
)
WORK = ("ticket", "issue", "task", "case", "incident", "request", "bug", "deal", "opportunity")
DAILY = frozenset(("daily", "balance", "snapshot", "stat", "stats", "inventory", "stock"))
TECHNICAL = re.compile(
    r"(?i)^(schema_migrations?|ar_internal_metadata|alembic_version|flyway.*|liquibase.*|databasechangelog.*|knex_.*|"
    r"django_(migrations|session|content_type|admin_log)|auth_(permission|group|group_permissions)|_prisma_migrations|"
    r"spatial_ref_sys|sqlite_.*|.*_migrations|goose_db_version|sequelizemeta|pg_.*)$"
)

BORN = (
    ("created",),
    ("inserted",),
    ("creation",),
    ("registered",),
    ("registration",),
    ("signup",),
    ("signed",),
    ("joined",),
    ("opened",),
    ("added",),
    ("started",),
    ("received",),
    ("posted",),
    ("submitted",),
)
PAID = (
    ("paid",),
    ("payment",),
    ("received",),
    ("charged",),
    ("captured",),
    ("invoice",),
    ("order",),
    ("purchase",),
    ("sale",),
    ("sold",),
    ("booked",),
    ("issued",),
    ("billed",),
    ("transaction",),
)
DONE = (
    ("called",),
    ("occurred",),
    ("happened",),
    ("timestamp",),
    ("ts",),
    ("logged",),
    ("requested",),
    ("sent",),
    ("started",),
    ("viewed",),
    ("time",),
)
BEGUN = (
    ("started",),
    ("start",),
    ("starts",),
    ("began",),
    ("begin",),
    ("from",),
    ("since",),
    ("activated",),
    ("subscribed",),
    ("opened",),
    ("hired",),
    ("joined",),
    ("effective",),
    ("rental",),
    ("assigned",),
    ("created",),
    ("registered",),
)
ENDED = (
    ("cancelled",),
    ("canceled",),
    ("ended",),
    ("end",),
    ("ends",),
    ("churned",),
    ("terminated",),
    ("closed",),
    ("until",),
    ("to",),
    ("expired",),
    ("resolved",),
    ("completed",),
    ("finished",),
    ("returned",),
    ("return",),
    ("left",),
    ("deactivated",),
    ("archived",),
    ("deleted",),
    ("removed",),
)
LATER = frozenset(
    [
        "updated",
        "update",
        "modified",
        "changed",
        "last",
        "deleted",
        "removed",
        "archived",
        "seen",
        "sync",
        "synced",
        "expires",
        "expiry",
        "expired",
        "expiration",
        "due",
        "birth",
        "birthday",
        "dob",
        "born",
        "cancelled",
        "canceled",
        "ended",
        "end",
        "ends",
        "closed",
        "until",
        "trial",
        "next",
        "renewal",
        "renews",
        "scheduled",
        "valid",
        "processed",
        "estimated",
        "expected",
        "required",
        "shipped",
        "delivered",
        "fulfilled",
        "period",
        "reset",
        "confirmed",
        "verified",
        "locked",
        "resolved",
        "completed",
        "finished",
        "returned",
        "return",
        "retry",
        "anchor",
        "refunded",
        "void",
        "voided",
        "planned",
        "churned",
        "terminated",
        "left",
    ]
)
"""Words of times that come after the fact, or are no time of it."""
NOT_AN_END = frozenset(
    ["trial", "period", "renew", "renewal", "renews", "next", "expected", "planned", "due", "scheduled", "estimated"]
)

DIMENSIONS = [
    "plan",
    "tier",
    "country",
    "region",
    "status",
    "state",
    "type",
    "kind",
    "category",
    "source",
    "channel",
    "currency",
    "platform",
    "device",
    "os",
    "browser",
    "language",
    "locale",
    "role",
    "priority",
    "severity",
    "event",
    "action",
    "method",
    "segment",
    "industry",
    "payment",
    "store",
    "market",
    "provider",
    "gateway",
    "genre",
    "rating",
    "department",
    "label",
    "feature",
    "endpoint",
    "medium",
    "campaign",
    "reason",
    "outcome",
    "result",
    "version",
    "paid",
    "free",
    "active",
    "subscription",
]
"""Words of columns that one wants to split by, best first."""
PRIVATE = frozenset(
    [
        "email",
        "mail",
        "name",
        "firstname",
        "lastname",
        "fullname",
        "surname",
        "phone",
        "mobile",
        "fax",
        "address",
        "street",
        "zip",
        "zipcode",
        "postal",
        "postcode",
        "ip",
        "password",
        "hash",
        "digest",
        "token",
        "secret",
        "ssn",
        "birthday",
        "birth",
        "username",
        "login",
        "url",
        "uri",
        "link",
        "avatar",
        "image",
        "photo",
        "latitude",
        "longitude",
        "lat",
        "lng",
        "lon",
        "iban",
        "card",
        "gender",
        "sex",
        "religion",
        "user",
        "account",
        "customer",
        "member",
        "person",
        "vat",
        "signature",
        "fingerprint",
    ]
)
PROSE = frozenset(
    [
        "title",
        "description",
        "note",
        "notes",
        "body",
        "comment",
        "comments",
        "subject",
        "content",
        "text",
        "message",
        "summary",
        "bio",
        "html",
        "json",
        "payload",
        "data",
        "metadata",
        "meta",
        "query",
        "reference",
        "ref",
        "number",
        "sku",
        "code",
        "slug",
        "path",
        "uuid",
        "guid",
        "hash",
        "key",
        "file",
        "filename",
        "page",
    ]
)
AMOUNTS = (
    "amount_paid",
    "paid_amount",
    "grand_total",
    "total_amount",
    "total_price",
    "amount_total",
    "total",
    "total_cents",
    "amount",
    "amount_cents",
    "amount_received",
    "gross_amount",
    "gross",
    "payment",
    "revenue",
    "price",
    "total_due",
    "amount_due",
    "net_amount",
    "net",
    "subtotal",
    "sub_total",
)
AMOUNT_WORDS = frozenset(
    ["amount", "total", "price", "payment", "revenue", "fee", "sum", "gross", "cents", "mrr", "arr"]
)
NO_AMOUNT = frozenset(
    [
        "tax",
        "discount",
        "rate",
        "percent",
        "percentage",
        "shipping",
        "count",
        "quantity",
        "number",
        "refunded",
        "expected",
        "tip",
        "id",
        "refund",
        "freight",
        "points",
    ]
)
PAID_VALUES = (
    "paid",
    "succeeded",
    "success",
    "successful",
    "complete",
    "completed",
    "captured",
    "settled",
    "fulfilled",
)
ACTORS = (
    "user",
    "account",
    "customer",
    "member",
    "visitor",
    "actor",
    "client",
    "person",
    "author",
    "player",
    "company",
    "organization",
    "organisation",
    "workspace",
    "tenant",
    "team",
    "employee",
    "staff",
    "reporter",
)


def words(name: str) -> tuple[str, ...]:
    """`InvoiceDate`, `invoice_date` and `invoicedate` as (invoice, date)."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    found: list[str] = []
    for word in re.split(r"[\W_]+", apart.lower()):
        stuck = (
            re.fullmatch(r"(\w{3,})(date|time|id)", word) if word not in ("update", "paid", "valid", "void") else None
        )
        found += [stuck[1], stuck[2]] if stuck else [word] if word else []
    return tuple(found)


def singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if re.search(r"(ss|x|ch|sh)es$", word):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is", "news")) else word


def plural(word: str) -> str:
    if word in ("people", "feedback", "staff", "inventory", "equipment", "usage", "data"):
        return word
    if word.endswith("s") and not word.endswith("ss"):
        return word
    if re.search(r"[^aeiou]y$", word):
        return word[:-1] + "ies"
    return word + ("es" if re.search(r"(ss|x|ch|sh)$", word) else "s")


def head(name: str) -> str:
    """The noun of a table's name: what one row is."""
    found = words(name)
    return singular(found[-1]) if found else name


def plainly(name: str) -> str:
    """A table's name as that of a metric: `InvoiceLine` as invoice_lines."""
    found = words(name) or ("table",)
    made = "_".join((*found[:-1], plural(found[-1])))
    return f"_{made}" if made[0].isdigit() else made


def rank(name: str, wanted: Sequence[tuple[str, ...]]) -> int | None:
    """Which of the wanted words is in the name; the first is the best."""
    found = set(words(name))
    return next((place for place, all_of in enumerate(wanted) if set(all_of) <= found), None)
