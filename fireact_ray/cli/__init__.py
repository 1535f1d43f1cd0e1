"""The ways in: the `fireact` command, and what jobs share with it."""
