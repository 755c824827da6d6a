"""The one sender of requests to servers of other people: addresses, time limits, classes of failure, signing."""
