"""Deliveries to a tab of a Google Sheet, updated cell by cell, whatever people changed meanwhile."""
