# The names of this door, for type checkers: those of __init__.py.
from tallybook.draft.drafting import Draft as Draft, draft as draft
