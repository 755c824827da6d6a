"""The modes of a delivery to a tab: what happens to its rows and cells."""

HISTORY, LATEST, MIRROR = "history", "latest", "mirror"
SHEET_MODES = (HISTORY, LATEST, MIRROR)
"""history: rows that are no longer queried stay. mirror: the tab has exactly the answer. latest: one row for each
metric."""
RESTORE, KEEP = "restore", "keep"
BY_HAND = (RESTORE, KEEP)
"""What happens to a cell of ours that a person edited: restore writes our value again, keep leaves the edit."""
