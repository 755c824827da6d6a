"""The declarations of a book as plain values: its settings, sources, metrics, deliveries, goals, schedule and alerts.

Nothing here reads a file, a clock or a database. `config` makes these values from `tallybook.toml`, and
`config/catalog` checks them against one another."""
