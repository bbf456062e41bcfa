"""The demonstration: from a street map to matched orders, in one command."""
