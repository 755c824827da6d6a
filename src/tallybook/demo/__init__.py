"""The demo: a small software company's database, and a walk through Tallybook on it.

`python -m tallybook.demo FOLDER` writes the database and its `tallybook.toml`, then types the commands a user would
type. `saas.write` makes only the database, at any size."""
