"""Reads and edits .xlsx files as packages of XML parts: sheets, cells, styles, tables, and attachments of people."""
