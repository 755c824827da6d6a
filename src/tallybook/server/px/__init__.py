"""Users, accounts, attributes and stored events in the REST API of Gainsight PX."""
