"""All bytes that a service keeps, wherever: what somebody who is erased must not be found in."""

from __future__ import annotations

from tests.contract.service.talking import dump
from tests.servers import ValkeyServer
from tests.serving import Place, Serving

__all__ = ["MOST_S", "kept_by", "stored_at"]

MOST_S = 60.0
"""How long it may take until nothing is left."""


def kept_by(serving: Serving, redis: ValkeyServer | None) -> dict[str, bytes]:
    """Return all bytes that a service keeps, by where: its files, its database, its log, Redis."""
    kept = stored_at(serving.place) | {"log": serving.log.read_bytes()}
    if redis is not None:
        kept["redis"] = _all_of(redis)
    return kept


def stored_at(place: Place) -> dict[str, bytes]:
    """Return all bytes of a store, by where: the files of its folder, its database."""
    files = {str(path): path.read_bytes() for path in place.folder.rglob("*") if path.is_file()}
    return files | {"database": dump(place)}


def _all_of(server: ValkeyServer) -> bytes:
    with server.client() as client:
        keys = client.keys("*")
        return b"\n".join(keys) + b"\n".join(client.dump(key) or b"" for key in keys)
