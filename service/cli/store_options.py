"""The options of commands that work on a service's store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Data", "Database"]

Data = Annotated[
    Path | None, typer.Option(help="Folder of the SQLite file, whatever LINLI_DATABASE says [linli-data].")
]
Database = Annotated[str | None, typer.Option(help="postgresql+psycopg://…; SQLite without.")]
