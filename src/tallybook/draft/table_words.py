"""Words in names of tables, and what such a table contains."""

from __future__ import annotations

import re

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
"""Tables of people, best first; their new rows are signups."""
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
"""Tables of money, best first; the best one is the revenue."""
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
