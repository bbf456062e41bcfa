"""``linli migrate``: the database's schema brought up to this linli's."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from service.cli.store_options import Data, Database

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("migrate")(migrate_command)


def migrate_command(
    data: Data = None,
    database: Database = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the revisions as JSON.")] = False,
) -> None:
    """
    Bring the database's schema up to date, in one transaction: all steps or none.

    Nothing happens where it is up to date. Make a backup first.
    """
    from service.settings import load_settings
    from service.store.opening import make_folder
    from service.store.schema import migrate, newest_revision

    settings = load_settings(data=data, database=database)
    make_folder(settings)
    before, after = migrate(settings.database_url), newest_revision()
    if as_json:
        typer.echo(json.dumps({"before": before, "after": after}))
    elif before == after:
        typer.echo(f"the schema is {after} already")
    else:
        typer.echo(f"the schema was {before or 'empty'} and is {after}")
