"""Import paths for users' tests. The implementations are a distribution of their own, `tallybook-emulators`."""
