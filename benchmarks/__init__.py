"""What Tallybook costs, beside what the same work costs without it: `python -m benchmarks.run`."""
