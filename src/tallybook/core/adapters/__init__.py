"""What adapters say about themselves, and the registries with one line for each of them."""
