"""What tests use in place of the world outside: real implementations, for users' own tests too."""
