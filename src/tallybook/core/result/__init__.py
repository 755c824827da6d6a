"""An answer: its columns and rows, as plain values for programs, as text and numbers for people."""
