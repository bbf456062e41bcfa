"""An import as it comes: read, checked in a thread, stored batch by batch, no more ahead than one batch."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect

from service.audit.store import actor_of
from service.http.access import not_found
from service.http.problems import ProblemError, unauthenticated
from service.imports.lines import LineCutter
from service.imports.store import add_batch, end_import, start_import

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from service.http.context import RequestContext
    from service.imports.kinds import ImportKind, Prepared
    from service.imports.lines import Batch
    from service.services import Services
    from service.store.connections import AnyRow, WriteConnection

__all__ = ["import_stream"]

_running: set[str] = set()


async def import_stream(
    services: Services,
    stream: AsyncIterator[bytes],
    kind: ImportKind[Any],
    import_id: str,
    context: RequestContext,
) -> dict[str, int]:
    """
    Store what a stream holds, from where an earlier one of the same import broke off.

    Returns
    -------
    dict
        How often something stood in for what a line left out.

    Raises
    ------
    ProblemError
        If that is not there which it is about, the same import runs already, what was done of it begins otherwise, it is
        too long, or the key that it came with does not hold any more.
    """
    if import_id in _running:
        text = "the first request with this Idempotency-Key is still running; try again"
        raise ProblemError("idempotency-in-progress", text, headers={"Retry-After": "1"})
    _running.add(import_id)
    try:
        return await _Import(services, kind, import_id, context).run(stream)
    except ClientDisconnect as error:
        raise ProblemError("bad-request", "the stream broke off; send it again with the same key") from error
    finally:
        _running.discard(import_id)


class _Import:
    """One import of one request."""

    def __init__(self, services: Services, kind: ImportKind[Any], import_id: str, context: RequestContext) -> None:
        self._services = services
        self._kind = kind
        self._import_id = import_id
        self._context = context
        self._caller = context.key_holder
        self._actor = actor_of(context)
        self._deadline = context.deadline
        self._filled: Counter[str] = Counter()
        self._storing: asyncio.Task[None] | None = None

    async def run(self, stream: AsyncIterator[bytes]) -> dict[str, int]:
        """Take the whole stream."""
        kind, import_id, write = self._kind, self._import_id, self._services.store.write
        row = await write(lambda connection: start_import(connection, kind, import_id), self._deadline)
        if row is None:
            raise not_found()
        try:
            async for batch in _batches(stream, row):
                await self._take(batch)
            await self._stored()
        finally:
            await self._let_end()
        if row.state != "done":
            await write(lambda connection: end_import(connection, kind.merchant_id, import_id), self._deadline)
        return dict(self._filled)

    async def _take(self, batch: Batch) -> None:
        kind = self._kind
        if batch.last > kind.most_lines:
            text = f"at most {kind.most_lines} lines are taken in one import; the lines before {batch.first} are stored"
            raise ProblemError("batch-too-large", text)
        # While a thread reads this batch, the one before it is stored.
        prepared = await self._services.work.run(self._context, kind.prepare, batch)
        self._filled += prepared.filled
        await self._stored()
        self._storing = asyncio.create_task(self._store(batch, prepared))

    async def _store(self, batch: Batch, prepared: Prepared[Any]) -> None:
        """Store a batch, in as many writes as it takes."""
        rest: tuple[Batch, Prepared[Any]] | None = (batch, prepared)
        while rest is not None:
            rest = await self._services.store.write(partial(self._add, *rest), self._deadline)

    def _add(
        self, batch: Batch, prepared: Prepared[Any], connection: WriteConnection
    ) -> tuple[Batch, Prepared[Any]] | None:
        rest = add_batch(connection, self._actor, self._kind, self._import_id, batch, prepared)
        # Last of all in the transaction, which takes the batch back: it may have waited long for others.
        if not self._services.ring.still_holds(self._caller, self._services.clock.now_us()):
            text = f"the key was revoked or has expired; the lines before {batch.first} are stored"
            raise unauthenticated(text)
        return rest

    async def _stored(self) -> None:
        storing, self._storing = self._storing, None
        if storing is not None:
            await storing

    async def _let_end(self) -> None:
        """Wait for the batch that is being stored, where the import ends early."""
        storing, self._storing = self._storing, None
        if storing is not None:
            with contextlib.suppress(Exception):
                await storing


async def _batches(stream: AsyncIterator[bytes], row: AnyRow) -> AsyncIterator[Batch]:
    """Yield the batches of a stream behind what is done of it."""
    cutter = LineCutter(row.lines_done, row.bytes_done)
    is_known = row.bytes_done == 0
    async for block in stream:
        rest = block
        if cutter.n_to_pass:
            rest = cutter.pass_over(block)
        if not is_known and not cutter.n_to_pass:
            _check_same(cutter, row)
            is_known = True
        if rest:
            if row.state == "done":
                raise _reused("it holds more than the one that this Idempotency-Key came with before")
            for batch in cutter.feed(rest):
                yield batch
    if cutter.n_to_pass:
        raise _reused("it holds less than the one that this Idempotency-Key came with before")
    for batch in cutter.end():
        yield batch


def _check_same(cutter: LineCutter, row: AnyRow) -> None:
    if cutter.digest != row.digest:
        text = f"its first {row.lines_done} lines are not those that this Idempotency-Key came with before"
        raise _reused(text)


def _reused(reason: str) -> ProblemError:
    return ProblemError("idempotency-key-reused", f"{reason}; give a new one for another file")
