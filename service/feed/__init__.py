"""How a change in the store reaches every index, key ring and event stream."""
