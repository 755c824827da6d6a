# The names of this door, for type checkers: those of __init__.py.
from tallybook.draft.drafting import Draft as Draft, draft as draft
from tallybook.draft.previewing import Preview as Preview, preview as preview
