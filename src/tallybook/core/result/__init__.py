"""Results: columns and rows, as plain values for programs, and as text for people."""
