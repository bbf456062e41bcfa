"""``linli backup`` and ``linli restore``: all facts in one file, and back."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.store_options import Data, Database
from service.cli.targets import check_targets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from service.backups.archives import Manifest
    from service.settings import Settings

__all__ = ["register"]

AsJson = Annotated[bool, typer.Option("--json", help="Print what the backup says of itself as JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("backup")(backup_command)
    app.command("restore")(restore_command)


def backup_command(
    file: Annotated[Path, typer.Argument(help="The backup to write, such as linli-2026-03-01.zip.")],
    data: Data = None,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """
    Write all facts as of one instant into one file, while linli serves.

    The file is written whole or not at all, with checksums. It holds keys only as digests. A backup of SQLite can be
    restored into PostgreSQL, and the other way round.
    """
    from service.backups.store import back_up
    from service.settings import load_settings

    settings = load_settings(data=data, database=database)
    check_targets({"FILE": file}, read=_files_of(settings))
    with _progress() as progress:
        manifest = back_up(settings.database_url, file, progress)
    _tell(manifest, f"written: {file}, {file.stat().st_size:,} bytes", as_json=as_json)


def restore_command(
    file: Annotated[Path, typer.Argument(help="The backup to read.")],
    data: Data = None,
    database: Database = None,
    force: Annotated[bool, typer.Option("--force", help="Replace everything that the database holds.")] = False,
    as_json: AsJson = False,
) -> None:
    """
    Put a backup back into an empty database, all of it or nothing.

    linli must not serve it meanwhile. A backup of which one bit has changed is refused. Whoever follows the change
    feed has to read everything anew afterwards, since the feed gets another name; keys and cursors stay valid. A key
    that was revoked since the backup was made lives again, unless the database that is replaced knew that: look at
    linli key list.
    """
    from service.backups.store import restore
    from service.settings import load_settings

    settings = load_settings(data=data, database=database)
    with _alone(settings), _progress() as progress:
        manifest = restore(settings.database_url, file, replaces=force, progress=progress)
    told = f"restored: {file}, made {manifest.made_at} by linli {manifest.linli}"
    _tell(manifest, told, as_json=as_json)
    if not as_json:
        typer.echo("Keys that were revoked, and buyers that were erased, since then may be there again: linli key list")


def _alone(settings: Settings) -> contextlib.AbstractContextManager[None]:
    from service.store.opening import serving_alone

    return serving_alone(settings.store.data) if settings.store.database is None else contextlib.nullcontext()


def _files_of(settings: Settings) -> list[Path]:
    """Return the database's files on this machine: with SQLite its file, and what SQLite and linli put beside it."""
    if settings.store.database is not None:
        return []
    named = settings.store.data / "linli.db"
    file = named.resolve()  # SQLite puts its log beside the file itself, where the name is a link
    beside = [file.with_name(f"{file.name}{suffix}") for suffix in ("-wal", "-shm", "-journal")]
    return [named, *beside, named.with_name("serving.lock")]


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str, float], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=1.0)
        yield lambda stage, share: bar.update(task, description=stage, completed=share)


def _tell(manifest: Manifest, told: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(manifest), indent=2))
        return
    rows = ", ".join(f"{n:,} {name}" for name, n in manifest.rows.items() if n)
    typer.echo(f"{told}\n{rows}; schema {manifest.schema}, feed {manifest.feed_id} at {manifest.position}")
