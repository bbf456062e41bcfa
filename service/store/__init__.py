"""Where the facts are: SQLite or PostgreSQL, the same statements for both."""
