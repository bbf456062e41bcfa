"""The command line as a module, for tests that run it under a tool: ``python -m tests.faults.commands migrate``."""

from service.cli import main

if __name__ == "__main__":
    main()
