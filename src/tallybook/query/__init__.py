"""A question, how it is answered from points, and the answer."""

from tallybook.query.ask import Query
from tallybook.query.answer import answer

__all__ = ["Query", "answer"]
