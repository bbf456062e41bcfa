"""The thin outside: HTTP on one side, nouns on the other."""
