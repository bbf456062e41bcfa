"""Points: import from maps and files, read and write them, give them to an engine."""
