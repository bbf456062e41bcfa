"""Whether what a service stands on can be used: what `linli doctor` finds where it is told which."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING

from service.checkup import BrokenError, DoubtfulError, Finding, found

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from service.settings import Settings

__all__ = ["check_place"]

_LEAST_BYTES = 1 << 30
_MOST_DRIFT_S = 2.0
_OTHERS = 0o007


def check_place(settings: Settings) -> list[Finding]:
    """Return what was found of database, index snapshots, disk, file modes and Redis, none of which is changed."""
    is_sqlite = settings.store.database is None
    checks: list[tuple[str, Callable[[], str]]] = [
        ("database", lambda: _sqlite(settings) if is_sqlite else _postgres(settings)),
        ("index snapshot", lambda: _snapshot(settings.store.data / "index")),
        ("disk space", lambda: _space(settings.store.data)),
    ]
    if settings.store.redis is not None:
        checks.append(("redis", lambda: _redis(str(settings.store.redis))))
    if sys.platform != "win32":
        checks.append(("file modes", lambda: _modes(settings.store.data)))
    return [found(name, check) for name, check in checks]


def _sqlite(settings: Settings) -> str:
    from service.store.schema import schema_told
    from service.store.sqlite_engines import integrity

    file = settings.store.data / "linli.db"
    if not file.exists():
        text = f"{file} is not there: 'linli serve' makes it"
        raise BrokenError(text)
    told = schema_told(settings.database_url)
    if (soundness := integrity(file)) != "ok":
        text = f"{file} is damaged ({'; '.join(soundness.splitlines())}): move it elsewhere and restore a backup"
        raise BrokenError(text)
    return f"{file} is sound, {told}, {file.stat().st_size:,} bytes"


def _postgres(settings: Settings) -> str:
    from sqlalchemy import text

    from service.store.postgres import postgres_engine
    from service.store.schema import schema_told

    told = schema_told(settings.database_url)
    engine = postgres_engine(settings.database_url, size=1)
    try:
        with engine.connect() as connection:
            before = time.time()
            row = connection.execute(
                text("SELECT extract(epoch FROM clock_timestamp()), current_setting('server_version')")
            ).one()
            drift_s = float(row[0]) - (before + time.time()) / 2
    finally:
        engine.dispose()
    if abs(drift_s) > _MOST_DRIFT_S:
        message = f"its clock differs from this machine's by {drift_s:.1f} s: set both by NTP"
        raise BrokenError(message)
    return f"PostgreSQL {row[1]}, {told}, its clock differs by {drift_s * 1000:.0f} ms"


def _snapshot(folder: Path) -> str:
    from service.feed.snapshot_files import newest_snapshot

    if not folder.exists():
        return "none yet: the next start reads the index from the database"
    newest = newest_snapshot(folder)
    return "none that can be used: the next start reads the database" if newest is None else f"{folder} has a sound one"


def _space(folder: Path) -> str:
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    usage = shutil.disk_usage(there)
    if usage.free < _LEAST_BYTES:
        text = f"{usage.free / 1e9:.1f} GB are free at {there}, at least 1 is needed"
        raise BrokenError(text)
    return f"{usage.free / 1e9:.1f} GB are free at {there}"


def _modes(folder: Path) -> str:
    file = (folder / "linli.db").resolve()  # the file itself, where the name is a link
    if not folder.exists():
        return f"{folder} is not there yet: linli makes it for its own user alone"
    if _is_open(folder):
        text = f"other users of this machine can read {folder}: chmod 700 {folder}"
        raise DoubtfulError(text)
    if file.exists() and _is_open(file) and _is_open(file.parent):
        text = f"other users of this machine can read {file}: chmod 600 {file}"
        raise DoubtfulError(text)
    return f"other users of this machine cannot read {folder}"


def _is_open(path: Path) -> bool:
    return bool(path.stat().st_mode & _OTHERS)


def _redis(url: str) -> str:
    import redis

    client = redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)
    try:
        client.ping()
        version = str(client.info("server").get("redis_version", "unknown"))
    except redis.RedisError as error:
        text = f"does not answer ({type(error).__name__}): workers poll and limits count for each of them"
        raise BrokenError(text) from error
    finally:
        client.close()
    return f"answers, version {version}"
