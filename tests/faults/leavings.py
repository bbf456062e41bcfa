"""All bytes that a service keeps, wherever: what somebody who is erased must not be found in."""

from __future__ import annotations

from tests.contract.service.talking import dump
from tests.servers import ValkeyServer
from tests.serving import Serving

__all__ = ["MOST_S", "kept_by"]

MOST_S = 60.0
"""How long it may take until nothing is left."""


def kept_by(serving: Serving, redis: ValkeyServer | None) -> dict[str, bytes]:
    """Return all bytes that a service keeps, by where: its files, its database, its log, Redis."""
    files = {str(path): path.read_bytes() for path in serving.place.folder.rglob("*") if path.is_file()}
    kept = files | {"database": dump(serving.place), "log": serving.log.read_bytes()}
    if redis is not None:
        kept["redis"] = _all_of(redis)
    return kept


def _all_of(server: ValkeyServer) -> bytes:
    with server.client() as client:
        keys = client.keys("*")
        return b"\n".join(keys) + b"\n".join(client.dump(key) or b"" for key in keys)
