"""The demo's two large tables: API calls, and one row per day of every large customer's seats."""

from collections import defaultdict
from datetime import date, timedelta
from itertools import accumulate
from random import Random

from tallybook.demo.clock import DAY, Workday
from tallybook.demo.company import Account, Company, about

# Endpoint: how often it is called, its median latency in ms.
ENDPOINTS = {
    "/v1/events": (46, 28),
    "/v1/accounts": (18, 45),
    "/v1/search": (20, 110),
    "/v1/reports": (12, 340),
    "/v1/export": (4, 1100),
}
PATHS = list(ENDPOINTS)
PATH_WEIGHTS = list(accumulate(often for often, _ in ENDPOINTS.values()))
SPEED = {"trial": 1.25, "starter": 1.15, "team": 1.0, "business": 0.8}
CLIENT_ERRORS = (400, 401, 404, 404, 422, 429)
SERVER_ERRORS = (500, 502, 503, 503)
SECONDS = [f":{minute:02}:{second:02}" for minute in range(60) for second in range(60)]

Call = tuple[int, int | None, str, str, str, int, int, str]
"""account_id, user_id, plan, endpoint, called_at, latency_ms, status, inserted_at"""
Seats = tuple[str, int, int]
"""day, account_id, seats"""


class Gateway:
    """The entrance of the API. It records every call, some of them days later."""

    def __init__(self, company: Company) -> None:
        self.company = company
        self.late: defaultdict[date, list[Call]] = defaultdict(list)

    def calls(self, today: Workday, rng: Random) -> list[Call]:
        """The calls inserted today, starting with late arrivals of earlier days. None are from the future."""
        fresh = self.fresh(today, rng)
        until = self.company.until.isoformat(sep=" ")
        return [call for call in self.late.pop(today.day, []) + fresh if call[-1] < until]

    def fresh(self, today: Workday, rng: Random) -> list[Call]:
        """The day's calls in time order, without those kept back for a later day."""
        accounts = list(self.company.active.values())
        weights = list(accumulate(account.calls for account in accounts))
        if not accounts:
            return []
        count = about(weights[-1] * today.bustle, rng)
        times = spread(count, today, rng)
        callers = rng.choices(accounts, cum_weights=weights, k=count)
        paths = rng.choices(PATHS, cum_weights=PATH_WEIGHTS, k=count)
        trouble = incident(today, rng)
        calls = [
            call(caller, path, time, time[:13] in trouble, rng)
            for caller, path, time in zip(callers, paths, times, strict=True)
        ]
        return self.keep_back(calls, today, rng)

    def keep_back(self, calls: list[Call], today: Workday, rng: Random) -> list[Call]:
        """Customers behind their own gateway send 1.5% of the calls one to nine days late, at night."""
        kept = []
        for one in calls:
            if rng.random() < 0.015:
                arrival = today.day + timedelta(days=min(9, 1 + int(rng.expovariate(0.6))))
                at = f"{arrival} 02{SECONDS[int(rng.random() * 3600)]}"
                self.late[arrival].append((*one[:-1], at))
            else:
                kept.append(one)
        return kept


def spread(count: int, today: Workday, rng: Random) -> list[str]:
    """`count` instants of the day as sorted naive UTC text."""
    hours = [hour.isoformat(sep=" ")[:13] for hour in today.hours]
    drawn = rng.choices(hours, cum_weights=today.weights, k=count)
    return sorted(hour + SECONDS[int(rng.random() * 3600)] for hour in drawn)


def incident(today: Workday, rng: Random) -> set[str]:
    """The UTC hours ('YYYY-MM-DD HH') in which the API has an incident. Most days have none."""
    if rng.random() > 1 / 45:
        return set()
    first = rng.randrange(8, 16)
    return {hour.isoformat(sep=" ")[:13] for hour in today.hours[first : first + 2]}


def call(caller: Account, path: str, time: str, trouble: bool, rng: Random) -> Call:
    random = rng.random
    # A few users do most of the work; calls of machines have no user.
    users = caller.users
    user = None if random() < 0.03 else users[int(len(users) * random() ** 2)]
    latency = ENDPOINTS[path][1] * SPEED[caller.plan] * rng.lognormvariate(0.0, 0.55)
    roll = random()
    if roll < (0.35 if trouble else 0.004):
        status = rng.choice(SERVER_ERRORS)
    elif roll > 0.965:
        status = rng.choice(CLIENT_ERRORS)
    else:
        status = 200
    if trouble:
        latency *= 4
    return caller.id, user, caller.plan, path, time, int(latency) + 1, status, time


def count_seats(company: Company, today: Workday, rng: Random) -> list[Seats]:
    """The nightly count of seats in use at business customers. It sometimes misses some customers."""
    if today.end > company.until or rng.random() < 1 / 150:
        return []
    rows = []
    for account in company.active.values():
        if account.plan != "business":
            continue
        if rng.random() < 0.004:
            account.unseen_until = today.day + rng.choice((1, 1, 1, 2, 2, 6)) * DAY
        if today.day >= account.unseen_until:
            share = 0.82 + 0.1 * today.bustle + 0.04 * rng.random()
            rows.append((today.day.isoformat(), account.id, max(1, int(account.seats * share))))
    return rows
