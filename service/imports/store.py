"""Imports in the store: how far each has come, and what it left out."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, insert, or_, select, update

from service.audit.store import record
from service.http.problems import ProblemError
from service.points.store import merchant_lock
from service.store.tables import import_errors, imports

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.audit.store import Actor
    from service.imports.kinds import ImportKind, Prepared
    from service.imports.lines import Batch
    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = ["add_batch", "end_import", "find_import", "forget_imports", "import_id_of", "list_errors", "start_import"]


def import_id_of(subject: str, key: str) -> str:
    """Return the id of the import that a key names: of a merchant's points, or of what is at one point."""
    digest = hashlib.sha256(f"{subject}\n{key}".encode()).hexdigest()
    return f"imp_{digest[:24]}"


def start_import(connection: WriteConnection, kind: ImportKind[Any], import_id: str) -> AnyRow | None:
    """Return an import, new or as far as it has come; None where that is not there which it is about."""
    merchant_lock(connection, kind.merchant_id)
    if not kind.has_subject(connection):
        return None
    found = find_import(connection, import_id)
    if found is not None:
        return found
    values = {
        "import_id": import_id,
        "merchant_id": kind.merchant_id,
        "state": "running",
        "lines_done": 0,
        "bytes_done": 0,
        "digest": hashlib.sha256().hexdigest(),
        "upserted": 0,
        "rejected": 0,
        "created_at": connection.now_us,
        "updated_at": connection.now_us,
    }
    connection.run(insert(imports), values)
    return find_import(connection, import_id)


def find_import(connection: ReadConnection, import_id: str) -> AnyRow | None:
    """Return an import."""
    return connection.row(select(imports).where(imports.c.import_id == import_id))


def add_batch(
    connection: WriteConnection,
    actor: Actor,
    kind: ImportKind[Any],
    import_id: str,
    batch: Batch,
    prepared: Prepared[Any],
) -> tuple[Batch, Prepared[Any]] | None:
    """
    Store a batch, and how far the import has come with it; return what is left of it for another write.

    Raises
    ------
    ProblemError
        If another request goes on with the same import.
    """
    merchant_lock(connection, kind.merchant_id)
    found = find_import(connection, import_id)
    if found is None or found.lines_done != batch.first - 1:
        text = "another request with the same Idempotency-Key goes on with this import"
        raise ProblemError("idempotency-in-progress", text, headers={"Retry-After": "1"})
    stored = kind.store(connection, prepared.facts)
    rest = None
    if stored.stopped_at is not None:
        batch, left = batch.parted(stored.stopped_at)
        rest = left, prepared.of_lines(left.numbers)
        prepared = prepared.of_lines(batch.numbers)
    bad = [{"import_id": import_id, **one._asdict()} for one in (*prepared.bad, *stored.bad)]
    if bad:
        connection.run(insert(import_errors), bad)
    progress = {
        "lines_done": batch.last,
        "bytes_done": batch.end.n_bytes,
        "digest": batch.end.digest,
        "upserted": found.upserted + stored.n_upserted,
        "rejected": found.rejected + len(bad),
        "updated_at": connection.now_us,
    }
    connection.run(update(imports).where(imports.c.import_id == import_id).values(progress))
    told = {**kind.detail, "lines": f"{batch.first}-{batch.last}", "upserted": stored.n_upserted}
    record(connection, actor, kind.action, import_id, kind.merchant_id, **told)
    return rest


def end_import(connection: WriteConnection, merchant_id: str, import_id: str) -> AnyRow | None:
    """Note that an import has come to its end; return it."""
    merchant_lock(connection, merchant_id)
    values = {"state": "done", "updated_at": connection.now_us}
    connection.run(update(imports).where(imports.c.import_id == import_id, imports.c.state != "done").values(values))
    return find_import(connection, import_id)


def list_errors(connection: ReadConnection, import_id: str, *, after: int = 0, limit: int = 100) -> Sequence[AnyRow]:
    """Return the lines that an import left out, in their order."""
    of_import = (import_errors.c.import_id == import_id, import_errors.c.line > after)
    return connection.rows(select(import_errors).where(*of_import).order_by(import_errors.c.line).limit(limit))


def forget_imports(connection: WriteConnection, before_us: int, broken_off_before_us: int, limit: int) -> int:
    """
    Delete the oldest imports, and the lines that they left out; return how many rows of both went.

    Parameters
    ----------
    before_us, broken_off_before_us
        Those go that ended before the one instant, or last went on before the other and did not end.
    limit
        How many rows go at most; what is left of an import goes next time.
    """
    if not connection.try_lock("imports kept"):
        return 0
    at = imports.c.updated_at
    is_old = or_(and_(imports.c.state == "done", at < before_us), at < broken_off_before_us)
    old = connection.rows(select(imports.c.import_id).where(is_old).order_by(at).limit(limit))
    n_gone = 0
    for (import_id,) in old:
        errors = list_errors(connection, import_id, limit=limit - n_gone)
        if errors:
            of_import = import_errors.c.import_id == import_id
            connection.run(delete(import_errors).where(of_import, import_errors.c.line <= errors[-1].line))
        n_gone += len(errors)
        if n_gone >= limit:
            break
        n_gone += connection.run(delete(imports).where(imports.c.import_id == import_id, is_old))
    return n_gone
