"""Delivers to a tab of a Google Sheet, updating it cell by cell, whatever people changed in the meantime."""
