"""The thin outside: points and orders files, planning, the demo, and the command line."""

__all__: list[str] = []
