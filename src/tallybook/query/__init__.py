"""A question, how it is answered from points, and the answer."""

from tallybook.query.answer import answer
from tallybook.query.ask import Query

__all__ = ["Query", "answer"]
