"""The stream of events: what changed, told as it changes."""
