# The names of this door, for type checkers: those of __init__.py.
from tallybook.query.answers import answer as answer
from tallybook.query.behind.coverage import calendar_of as calendar_of, together as together
from tallybook.query.behind.diff import as_json as as_json, changed_keys as changed_keys, side_by_side as side_by_side
from tallybook.query.behind.lineage import lineage as lineage, used_by as used_by
from tallybook.query.behind.why import evidence as evidence
from tallybook.query.cached import Answers as Answers
from tallybook.query.compare import with_stored as with_stored
from tallybook.query.context import Coverage as Coverage, QueryContext as QueryContext
from tallybook.query.goals import Standing as Standing, standings as standings
from tallybook.query.lines import csv as csv
from tallybook.query.merge import TOTALS as TOTALS, Parts as Parts, Points as Points
from tallybook.query.questions import (
    Filter as Filter,
    Query as Query,
    ask as ask,
    known_delivery as known_delivery,
    known_metric as known_metric,
    parse_filter as parse_filter,
    with_range as with_range,
)
from tallybook.query.ranges import ALL as ALL, MAX_GAP_DAYS as MAX_GAP_DAYS, spans as spans
from tallybook.query.reach import clipped as clipped
from tallybook.query.reader import BookReader as BookReader
from tallybook.query.unseen import unseen_values as unseen_values
