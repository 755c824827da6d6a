"""Guesses about people: whose new rows are signups, who is staff, and who is a customer of someone else."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from math import log10

from tallybook.draft.columns import is_private
from tallybook.draft.evidence import distinct_share
from tallybook.draft.level_guesses import LevelGuesses
from tallybook.draft.people import has_accounts, has_contacts, people_rank
from tallybook.draft.references import reference
from tallybook.draft.remote_rows import local_flag, without_remote
from tallybook.draft.row_conditions import RowFilter, is_unset
from tallybook.draft.row_filters import counted_rows, without_flags
from tallybook.draft.row_types import without_nobody
from tallybook.draft.seen import SeenTable
from tallybook.draft.table_guesses import Idea, Topic, is_customer_table
from tallybook.draft.table_words import CONTRACTS, MONEY, PEOPLE
from tallybook.draft.time_words import BORN
from tallybook.draft.times import end_column, is_deletion, time_of, why_time
from tallybook.draft.words import head, plainly, singular, stem, stems, words

MAX_STAFF_RATIO = 5
"""A table of people with fewer rows than the largest one by this factor does not contain the customers."""
_OF_OTHERS = stems(("expires", "expired", "until", "to"))
"""Words of times at which something of a person ends, such as a plan, and not the person."""
_ANYBODY = frozenset(("person", "people", "contact", "client"))
"""People who need not have an account."""
_GUESTS = frozenset(("guest", "anonymous"))
"""Words of flags of people who ordered without an account."""
MAX_ROWS_OF_A_PART = 20
"""With more rows for each row of another table, that one is a list, as of countries."""
_UNNAMED = frozenset(("visitor", "distinct", "anonymous", "device"))
"""Words of ids of people who need not have an account."""
_CREDENTIALS = frozenset(("password", "passwd", "encrypted"))


class PeopleGuesses(LevelGuesses):
    """Metrics of tables of people."""

    def _people(self, table: SeenTable) -> Iterator[Idea]:
        born = time_of(table, (*BORN, ("create",)))
        if born is None:
            return
        keys, why = self._facts(table, born, "count(*)")
        why.setdefault("time", why_time(table, born, BORN))
        self._by(table, keys, why)
        spoken = plainly(table.bare).replace("_", " ")
        account = self._may_sign_up(table)
        new = Idea(f"new_{plainly(table.bare)}", keys, why, f"counts new {spoken}", of=table.name)
        new.topic = Topic.SIGNUPS if account else Topic.ORGANIZATIONS
        new.score = self._people_score(table)
        if account and self._are_staff(table):
            new.doubt = f"only {table.total} rows: staff or tenants, beside a far larger table of people"
        rows = counted_rows(table, self.as_sql, deleted_count=True)
        without_nobody(table, self.as_sql, rows)
        without_flags(table, self.as_sql, rows, _GUESTS)
        without_remote(table, self.as_sql, rows)
        self._filtered(new, rows)
        yield new
        ended = end_column(table, born)
        if ended and ended.values and not is_deletion(ended) and not {stem(w) for w in ended.words} & _OF_OTHERS:
            about = f"counts current {spoken}: from {born.name} until {ended.name}"
            current = self._interval(table, born, ended, f"current_{plainly(table.bare)}", about)
            current.score, current.doubt = -2.0, new.doubt
            refused = RowFilter()
            for time in table.times:
                if {"rejected", "declined", "withdrawn"} & set(time.words) and time.values:
                    refused.add(is_unset(time, self.as_sql), f"{len(time.values)} of {table.rows} have {time.name}")
            self._filtered(current, refused)
            yield current

    def _may_sign_up(self, table: SeenTable) -> bool:
        """Whether new rows of a table of people can be signups."""
        anybody = head(table.bare) in _ANYBODY and not self._has_account(table)
        if anybody or not has_accounts(table) or not is_customer_table(table):
            return False
        return not self._belongs_to_people(table) and not self._links_people(table) and not self._is_part(table)

    def _is_part(self, table: SeenTable) -> bool:
        """Whether a table that no name, but addresses show to be about people has a few rows for each row of another
        table, as recipients of a document: the rows are parts of it, and nobody signed up."""
        if head(table.bare) in PEOPLE or self._logs_in(table):
            return False
        linked = (reference(self.seen, table, c) for c in table.columns if c.an_id and not c.key)
        others = [found[0] for found in linked if found is not None and not is_customer_table(found[0])]
        return any(table.total < MAX_ROWS_OF_A_PART * other.total for other in others)

    def _people_score(self, table: SeenTable) -> float:
        """How likely new rows are the signups, by the noun, a short name, a password, the number of rows, and
        references to them."""
        if not is_customer_table(table) or self._links_people(table):
            return -9.0
        extra = len(words(table.bare)) - 1
        score = 1.0 - 0.06 * people_rank(table) - 0.4 * extra
        score += 0.4 * self._logs_in(table) + 0.4 * self._pays(table)
        return score + 0.35 * log10(max(1, table.total)) + 0.02 * min(20, self.references.get(table.name, 0))

    def _links_people(self, table: SeenTable) -> bool:
        """Whether each row links a person of another table to something, such as players of a match or users of a
        team."""
        if self._logs_in(table) or any(is_private(column) and not column.an_id for column in table.columns):
            return False
        references_ = (reference(self.seen, table, column) for column in table.columns)
        linked = {found[0].name: found[0] for found in references_ if found is not None and found[0] is not table}
        return len(linked) > 1 and any(is_customer_table(other) and has_accounts(other) for other in linked.values())

    def _belongs_to_people(self, table: SeenTable) -> bool:
        """Whether each row belongs to a row of a table of people with a better name, as bank accounts belong to
        users."""
        for column in table.columns:
            other = reference(self.seen, table, column)
            if other is None or column.nulls or other[0] is table or not is_customer_table(other[0]):
                continue
            better = people_rank(other[0]) < people_rank(table)
            better = better or (head(table.bare) == "account" and len(words(table.bare)) > 1)
            if better and has_accounts(other[0]) and not self._are_staff(other[0]):
                return True
        return False

    def _are_staff(self, table: SeenTable) -> bool:
        """Whether the rows are few beside those of another table of people, of contacts, or of unnamed visitors."""
        people = [
            t.total
            for t in self.seen.tables
            if is_customer_table(t) and not self._links_people(t) and not self._is_part(t) and not _is_address_book(t)
        ]
        people += [t.total for t in self.seen.tables if has_contacts(t) and self.references.get(t.name, 0) > 1]
        people += [self._unnamed_visitors] if not self.references.get(table.name) else []
        return table.total * MAX_STAFF_RATIO < max(people, default=0)

    @cached_property
    def _unnamed_visitors(self) -> int:
        """The largest number of people in the rows of a table whose ids no table of people explains."""
        found = [0]
        for table in self.seen.tables:
            for column in table.columns:
                unnamed = column.an_id and {singular(w) for w in column.words} & _UNNAMED
                if unnamed and not column.key and reference(self.seen, table, column) is None:
                    found.append(len(set(map(str, column.values))))
        return max(found)

    def _logs_in(self, table: SeenTable) -> bool:
        """Whether the rows have a password."""
        return any({singular(w) for w in c.words} & _CREDENTIALS for c in table.columns)

    def _pays(self, table: SeenTable) -> bool:
        """Whether a table of money refers to the rows."""
        money = (other for other in self.seen.tables if head(other.bare) in MONEY)
        return any(self.refers(other, c)[0] is table for other in money for c in other.columns if c.an_id)

    def _has_contracts(self, table: SeenTable) -> bool:
        """Whether contracts or accounts of their own refer to the rows."""
        nouns = (*CONTRACTS, "account")
        theirs = (other for other in self.seen.tables if head(other.bare) in nouns and other is not table)
        return any(self.refers(other, c)[0] is table for other in theirs for c in other.columns if c.an_id)

    def _logs_in_elsewhere(self, table: SeenTable) -> bool:
        """Whether the passwords of the rows are in a table of their own that refers to them."""
        others = (other for other in self.seen.tables if other is not table and self._logs_in(other))
        return any(
            self.refers(other, c)[0] is table and distinct_share(c.values) > 0.95
            for other in others
            for c in other.columns
            if c.an_id
        )

    def _has_account(self, table: SeenTable) -> bool:
        known = self._logs_in(table) or self._pays(table)
        known = known or (local_flag(table) is not None and self._logs_in_elsewhere(table))
        return known or (head(table.bare) == "client" and self._has_contracts(table))


def _is_address_book(table: SeenTable) -> bool:
    """Whether the rows are those with whom a company deals: customers, vendors, and employees."""
    types = (c for c in table.columns if c.textual and set(c.words) & {"type", "kind"})
    named = ({singular(w) for text in c.texts for w in words(text)} for c in types)
    return any(found & {"customer", "client"} and found & {"vendor", "supplier"} for found in named)
