"""Days and periods of a book's calendar, for metrics written in Python.

from tallybook.calendar import start_of, end_of"""

from tallybook.core.calendar import Period, end_of, start_of

__all__ = ["Period", "end_of", "start_of"]
