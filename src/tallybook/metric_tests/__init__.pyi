# The names of this door, for type checkers: those of __init__.py.
from tallybook.metric_tests.declared import EXAMPLE as EXAMPLE, read_trials as read_trials
from tallybook.metric_tests.run import run_trials as run_trials
