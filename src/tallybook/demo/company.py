"""What happens at the demo's company, day by day: customers come, upgrade, pay, ask, leave.

Each day has its own random numbers, so a world that ends later begins with the same days."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random

from tallybook.demo import names
from tallybook.demo.clock import Workday, a_month_later


@dataclass(frozen=True, slots=True, kw_only=True)
class PricePlan:
    """`price` in cents a seat and month, `churn` a month, `calls` a working day of a typical customer."""

    price: int
    share: float
    seats: int
    churn: float
    calls: float


PLANS = {
    "starter": PricePlan(price=1290, share=0.56, seats=3, churn=0.034, calls=0.75),
    "team": PricePlan(price=2490, share=0.33, seats=9, churn=0.017, calls=1.9),
    "business": PricePlan(price=4490, share=0.11, seats=34, churn=0.007, calls=6.5),
}
TRIAL = "trial"
TRIAL_CALLS = 0.35
TRIAL_LASTS = timedelta(days=14)
NEXT_PLAN = {"starter": "team", "team": "business"}
DISCOUNTS = (0, 0, 0, 5, 10, 15, 20)
PRIORITIES = {"low": 5, "normal": 9, "high": 3, "urgent": 1}
PATIENCE = {"low": 160, "normal": 60, "high": 18, "urgent": 4}
"""Hours until half of the tickets are closed."""
ROLES = {"member": 8, "admin": 2, "viewer": 3}


@dataclass(slots=True, kw_only=True)
class Subscription:
    id: int
    account_id: int
    plan: str
    mrr: int
    seats: int
    started_at: datetime
    cancelled_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Account:
    id: int
    name: str
    country: str | None
    created_at: datetime
    appetite: float
    plan: str = TRIAL
    seats: int = 1
    discount: int = 0
    users: list[int] = field(default_factory=list)
    subscription: Subscription | None = None
    unseen_until: date = date.min
    """The nightly count of seats misses this account before that day."""

    @property
    def calls(self) -> float:
        """API calls expected on an ordinary working day."""
        typical = TRIAL_CALLS if self.plan == TRIAL else PLANS[self.plan].calls
        return typical * self.appetite


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    id: int
    account_id: int
    role: str
    plan: str
    country: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """An invoice, with `amount` in cents. The bank reports `paid_at` only at `booked_at`. None: never paid."""

    id: int
    account_id: int
    plan: str
    issued_at: datetime
    paid_at: datetime | None
    booked_at: datetime | None
    refunded_at: datetime | None
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    id: int
    account_id: int
    priority: str
    opened_at: datetime
    closed_at: datetime


class Company:
    """The company's customers so far. Nothing happens at or after `until` (naive UTC)."""

    def __init__(self, *, founded: date, until: datetime, scale: float) -> None:
        self.founded = founded
        self.until = until
        self.scale = scale
        self.accounts: list[Account] = []
        self.users: list[User] = []
        self.subscriptions: list[Subscription] = []
        self.invoices: list[Invoice] = []
        self.tickets: list[Ticket] = []
        self.active: dict[int, Account] = {}
        self.agenda: defaultdict[date, list[tuple[Happening, Account]]] = defaultdict(list)

    def live(self, today: Workday, rng: Random) -> None:
        """Simulate everything on one day except its API calls and its count of seats."""
        for happening, account in self.agenda.pop(today.day, []):
            happening(self, account, today, rng)
        newcomers = 0.8 * 1.0013 ** (today.day - self.founded).days * self.scale
        for moment in self.moments(newcomers, today, rng):
            self.sign_up(moment, today, rng)
        for moment in self.moments(0.012 * len(self.active), today, rng):
            self.add_user(rng.choice(list(self.active.values())), moment, rng)
        for moment in self.moments(0.014 * len(self.active), today, rng):
            self.open_ticket(rng.choice(list(self.active.values())), moment, rng)

    def moments(self, mean: float, today: Workday, rng: Random) -> Iterator[datetime]:
        """About `mean` instants of the day, fewer on quiet days, none in the future."""
        drawn = (today.moment(rng) for _ in range(about(mean * today.bustle, rng)))
        return (moment for moment in sorted(drawn) if moment < self.until)

    def sign_up(self, moment: datetime, today: Workday, rng: Random) -> None:
        """A new customer with a few users starts a trial."""
        country = names.country(rng)
        account = Account(
            id=len(self.accounts) + 1,
            name=names.name(country, rng),
            country=country,
            created_at=moment,
            appetite=rng.lognormvariate(-0.3, 0.8),
        )
        self.accounts.append(account)
        self.active[account.id] = account
        for _ in range(1 + about(1.5, rng)):
            self.add_user(account, moment, rng)
        self.agenda[today.day + TRIAL_LASTS].append((Company.end_trial, account))

    def add_user(self, account: Account, moment: datetime, rng: Random) -> None:
        user = User(
            id=len(self.users) + 1,
            account_id=account.id,
            role=pick(ROLES, rng) if account.users else "owner",
            plan=account.plan,
            country=account.country,
            created_at=moment,
        )
        self.users.append(user)
        account.users.append(user.id)

    def open_ticket(self, account: Account, moment: datetime, rng: Random) -> None:
        priority = pick(PRIORITIES, rng)
        open_for = timedelta(seconds=int(PATIENCE[priority] * 3600 * rng.lognormvariate(0, 1)))
        self.tickets.append(
            Ticket(
                id=len(self.tickets) + 1,
                account_id=account.id,
                priority=priority,
                opened_at=moment,
                closed_at=moment + open_for,
            )
        )

    def end_trial(self, account: Account, today: Workday, rng: Random) -> None:
        """End a trial: a third of the trials become customers, and the others leave."""
        moment = today.moment(rng)
        if moment >= self.until:
            return
        if rng.random() > 0.34:
            del self.active[account.id]
            return
        account.plan = pick({name: plan.share for name, plan in PLANS.items()}, rng)
        account.seats = 1 + int(PLANS[account.plan].seats * rng.lognormvariate(-0.2, 0.6))
        account.discount = rng.choice(DISCOUNTS)
        self.subscribe(account, moment, rng)
        self.bill(account, moment, rng)
        self.agenda[a_month_later(today.day)].append((Company.renew, account))

    def renew(self, account: Account, today: Workday, rng: Random) -> None:
        """Simulate the end of a month: the customer leaves, or stays, perhaps with another plan or more seats."""
        moment = today.moment(rng)
        if moment >= self.until:
            return
        if rng.random() < PLANS[account.plan].churn:
            self.leave(account, moment)
            return
        if self.change(account, rng):
            self.subscribe(account, moment, rng)
        self.bill(account, moment, rng)
        self.agenda[a_month_later(today.day)].append((Company.renew, account))

    def change(self, account: Account, rng: Random) -> bool:
        """Perhaps change the plan or the number of seats. Returns whether anything changed."""
        roll = rng.random()
        if roll < 0.014 and account.plan in NEXT_PLAN:
            account.plan = NEXT_PLAN[account.plan]
            account.seats = int(account.seats * 1.6) + 1
        elif roll < 0.07:
            account.seats += 1 + account.seats // 8
        elif roll < 0.085 and account.seats > 2:
            account.seats -= 1 + account.seats // 10
        else:
            return False
        return True

    def subscribe(self, account: Account, moment: datetime, rng: Random) -> None:
        """A new row from `moment` on; the row before it ends at the same instant."""
        if account.subscription:
            account.subscription.cancelled_at = moment
        if rng.random() < 0.012:
            self.mistake(account, moment, rng)
        account.subscription = self.add_subscription(account, moment)

    def add_subscription(self, account: Account, moment: datetime) -> Subscription:
        subscription = Subscription(
            id=len(self.subscriptions) + 1,
            account_id=account.id,
            plan=account.plan,
            mrr=PLANS[account.plan].price * account.seats * (100 - account.discount) // 100,
            seats=account.seats,
            started_at=moment,
        )
        self.subscriptions.append(subscription)
        return subscription

    def mistake(self, account: Account, moment: datetime, rng: Random) -> None:
        """A row entered by mistake: it ends when it starts, or before."""
        back = rng.choice((timedelta(), timedelta(hours=1), timedelta(days=1)))
        self.add_subscription(account, moment).cancelled_at = moment - back

    def bill(self, account: Account, moment: datetime, rng: Random) -> None:
        """This month's invoice: the subscription, and usage above it. Cards pay at once, banks later."""
        assert account.subscription is not None
        usage = int(account.subscription.mrr * max(0.0, rng.gauss(-0.05, 0.12)))
        paid_at, booked_at = payment(moment, rng)
        self.invoices.append(
            Invoice(
                id=len(self.invoices) + 1,
                account_id=account.id,
                plan=account.plan,
                issued_at=moment,
                paid_at=paid_at,
                booked_at=booked_at,
                refunded_at=refund(booked_at, rng),
                amount=account.subscription.mrr + usage,
            )
        )

    def leave(self, account: Account, moment: datetime) -> None:
        assert account.subscription is not None
        account.subscription.cancelled_at = moment
        account.subscription = None
        del self.active[account.id]


Happening = Callable[[Company, Account, Workday, Random], None]


def payment(issued_at: datetime, rng: Random) -> tuple[datetime | None, datetime | None]:
    """When an invoice is paid and when that becomes known: (paid_at, booked_at), or (None, None) for never."""
    roll = rng.random()
    if roll < 0.03:
        return None, None
    if roll < 0.72:
        paid_at = issued_at + timedelta(seconds=rng.randint(2, 90))
        return paid_at, paid_at
    paid_at = issued_at + timedelta(hours=rng.randint(30, 24 * 24))
    return paid_at, paid_at + timedelta(hours=rng.randint(4, 60))


def refund(booked_at: datetime | None, rng: Random) -> datetime | None:
    """When the money is refunded, which changes the invoice in place. Nearly always None."""
    if booked_at is None or rng.random() > 0.012:
        return None
    return booked_at + timedelta(days=rng.randint(1, 20))


def about(mean: float, rng: Random) -> int:
    """An integer that is `mean` on average, within 30%. Also correct for small means."""
    return int(mean * (0.7 + 0.6 * rng.random()) + rng.random())


def pick(weights: Mapping[str, float], rng: Random) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]
