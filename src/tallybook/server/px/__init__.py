"""The REST API of Gainsight PX for users, accounts, attributes and stored events."""
