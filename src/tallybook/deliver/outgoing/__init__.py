"""The only sender of requests to external servers: addresses, time limits, classes of failure, and signing."""
