"""What merges points. DuckDB in this process, in memory, reading the Parquet files; it keeps nothing."""
