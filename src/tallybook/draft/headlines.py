"""Gives the best metric of each topic its usual name, and chooses the few metrics that are switched on."""

from __future__ import annotations

from collections.abc import Sequence

from tallybook.core import RESERVED_NAMES
from tallybook.draft.table_guesses import Idea, Topic
from tallybook.draft.words import plural

MAX_ON, MIN_ON = 12, 9
"""More metrics than the first number are drafted as comments. Less important metrics fill the draft only up to the
second number."""
MAX_PER_TABLE = 3
MAX_DAILY_PER_TABLE = 6
MAX_COMMENTED = 30
MAX_OF_TOPIC = {
    Topic.SIGNUPS: 1,
    Topic.REVENUE: 3,
    Topic.RECURRING: 3,
    Topic.ACTIVE: 2,
    Topic.CONTRACTS: 2,
    Topic.PAYMENTS: 3,
    Topic.NEW_CONTRACTS: 2,
    Topic.WORK: 2,
    Topic.DAYS: 7,
    Topic.USE: 3,
    Topic.LINES: 1,
    Topic.ORGANIZATIONS: 1,
    Topic.OTHERS: 2,
    Topic.RATINGS: 1,
    Topic.REST: 0,
}


def named(ideas: Sequence[Idea]) -> list[Idea]:
    """The ideas in the order of importance with unique names; the best of a topic gets its usual name."""
    found = sorted(ideas, key=lambda idea: (idea.topic, -idea.score))
    _name_best(found, Topic.SIGNUPS, "signups")
    _name_revenue(found)
    _name_active(found)
    _one_table_of_contracts(found)
    found.sort(key=lambda idea: (idea.topic, bool(idea.doubt), -idea.score))
    taken: set[str] = set(RESERVED_NAMES)
    for idea in found:
        base, number = idea.name, 2
        while idea.name.casefold() in taken:
            idea.name, number = f"{base}_{number}", number + 1
        taken.add(idea.name.casefold())
    return found


def _name_best(ideas: Sequence[Idea], topic: Topic, name: str) -> None:
    best = next((i for i in ideas if i.topic == topic and not i.doubt and i.score > -1), None)
    if best is not None:
        best.name = name
    for idea in ideas:
        if idea.topic == topic and idea is not best:
            idea.topic = Topic.ORGANIZATIONS


def _name_revenue(ideas: Sequence[Idea]) -> None:
    """Name the sums of the best table of money; those of other tables keep their names and come later."""
    best = next((i for i in ideas if i.topic == Topic.REVENUE and not i.doubt and i.score > 0), None)
    if best is None:
        best = next((i for i in ideas if i.topic == Topic.LINES and i.score > 0 and not i.doubt), None)
        if best is not None:  # orders without an amount: what their lines sum up to
            best.topic = Topic.REVENUE
    of_people = best is not None and any(i.entity and i.of == best.of for i in ideas)
    for idea in ideas:
        if best is not None and of_people and idea.topic == Topic.PAYMENTS and idea.entity and idea.of != best.of:
            idea.doubt = f"{best.of} shows better who pays"
        if idea.topic != Topic.REVENUE:
            continue
        if best is not None and idea.of == best.of and idea.keys["measure"] != "count(*)":
            idea.name = "revenue"
        else:
            idea.topic = Topic.PAYMENTS
            idea.score -= 2.0
            idea.doubt = idea.doubt or (idea.unsure[0] if idea.unsure else "")


def _name_active(ideas: Sequence[Idea]) -> None:
    """Name the distinct people of the table that shows best who was active. All others are comments."""
    signups = next((i for i in ideas if i.topic == Topic.SIGNUPS), None)
    entities = list(dict.fromkeys(i.entity for i in ideas if i.topic == Topic.ACTIVE and i.score > 0))
    wanted = (signups.of if signups else "").lower()
    entities.sort(key=lambda entity: entity not in wanted)
    for idea in ideas:
        if (
            entities
            and idea.topic == Topic.PAYMENTS
            and idea.entity
            and not idea.name.startswith(("buying_", "ordering_"))
        ):
            idea.topic = Topic.REST  # use shows better who is active than payments do
    first: Idea | None = None
    for entity in entities[:2]:
        best = next(i for i in ideas if i.topic == Topic.ACTIVE and i.entity == entity)
        best.name, first = f"active_{plural(entity)}", first or best
        lesser = {i.of for i in ideas if i.topic == Topic.ACTIVE and i.entity == first.entity} - {first.of}
        best.doubt = f"{first.of} shows better who was active" if best.of in lesser else ""


def _one_table_of_contracts(ideas: Sequence[Idea]) -> None:
    """Make comments of contracts of other tables with the same noun: two tables of subscriptions count them twice."""
    best: dict[str, Idea] = {}
    mine = [i for i in ideas if i.topic in (Topic.CONTRACTS, Topic.RECURRING, Topic.NEW_CONTRACTS) and i.noun]
    for idea in sorted(mine, key=lambda i: ("from" not in i.keys, len(i.of))):
        best.setdefault(idea.noun, idea)
    for idea in mine:
        if best[idea.noun].of != idea.of:
            idea.doubt = idea.doubt or f"{best[idea.noun].of} has the same, with a beginning and an end"


def switched_on(ideas: Sequence[Idea]) -> tuple[list[Idea], list[Idea]]:
    """(metrics that are on, metrics as comments), each in the order of importance.

    First a few of each topic, so that no topic takes all places; then the next ones, up to a smaller number."""
    chosen: list[Idea] = []
    for bounded, most in ((True, MAX_ON), (False, MIN_ON)):
        for idea in ideas:
            if (
                len(chosen) < most
                and not idea.doubt
                and idea not in chosen
                and not (bounded and _is_full(idea, chosen))
            ):
                chosen.append(idea)
    names = {idea.name for idea in chosen}
    for idea in ideas:
        if idea.name not in names:
            idea.doubt = idea.doubt or _why_less(idea, chosen)
    return [i for i in ideas if i.name in names], [i for i in ideas if i.name not in names]


def _why_less(idea: Idea, chosen: Sequence[Idea]) -> str:
    """The reason why a metric without a doubt is not switched on."""
    table = [other.name for other in chosen if other.of == idea.of]
    if len(table) >= MAX_PER_TABLE:
        return f"{len(table)} metrics of {idea.of} are on already"
    return f"less important than the {len(chosen)} that are on"


def _is_full(idea: Idea, chosen: Sequence[Idea]) -> bool:
    """Whether the topic or the table of a metric already has its share."""
    topic = sum(other.topic == idea.topic for other in chosen)
    table = sum(other.of == idea.of and other.topic > Topic.RECURRING for other in chosen)
    per_table = MAX_DAILY_PER_TABLE if idea.topic == Topic.DAYS else MAX_PER_TABLE
    return topic >= MAX_OF_TOPIC[idea.topic] or (idea.topic > Topic.RECURRING and table >= per_table)
