"""A tab of a Google Sheet, brought up to date cell by cell, whatever people did to it meanwhile."""
