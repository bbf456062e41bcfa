"""Orders to collect in a store, from the hold to the end."""
