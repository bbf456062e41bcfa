"""Two small cities, what they answer, and a snapshot file taken apart and signed anew."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import shapely

from engine import Engine
from service.feed.snapshot_files import SnapshotMeta

OFFERS = ["retail/pickup", "retail/delivery"]
PREFIX = struct.Struct("<16sQ32s")
Words = dict[str, Any]


def city(seed: int, n: int = 60) -> Engine:
    rng = np.random.default_rng(seed)
    square = shapely.box(121.4, 31.1, 121.6, 31.3)
    return Engine.from_columns(
        [f"p{seed}-{i}" for i in range(n)],
        [OFFERS[i % 2] for i in range(n)],
        31.2 + rng.normal(0, 0.05, n),
        121.5 + rng.normal(0, 0.05, n),
        areas=[(square, 9000.0, None)[i % 3] for i in range(n)],
        hours=[("24/7", "Mo-Fr 08:00-18:00", None)[i % 3] for i in range(n)],
        timezone="Asia/Shanghai",
        capacity=[None if i % 4 else 1 + i % 7 for i in range(n)],
        features=[["lift"] if i % 5 == 0 else None for i in range(n)],
    )


def meta_of(seed: int) -> SnapshotMeta:
    return SnapshotMeta("feed-1", f"{seed}:0", "2026-11-24T12:00:00Z", 60, {"seed": seed, "tags": ["é", None, 1.5]})


def answers(engine: Engine) -> list[object]:
    lat, lng = np.repeat(np.linspace(31.1, 31.3, 6), 6), np.tile(np.linspace(121.4, 121.6, 6), 6)
    told: list[object] = [engine.version, engine.n_rows]
    for offer in OFFERS:
        found = engine.nearest_many(lat, lng, offer, k=3, at=np.datetime64("2026-11-24T03:00:00"))
        told += [found.point_ids(), found.distance_m.tolist()]
        told += [engine.point_ids(engine.serving_many(lat, lng, offer).row)]
    return told


def taken_apart(content: bytes) -> tuple[Words, int]:
    """Return the words of the header, and where the arrays begin."""
    _, n_bytes, _ = PREFIX.unpack_from(content)
    return json.loads(content[PREFIX.size : PREFIX.size + n_bytes]), -(-(PREFIX.size + n_bytes) // 64) * 64


def with_header(content: bytes, header: bytes) -> bytes:
    """Put another header there, with its right digest."""
    magic, _, _ = PREFIX.unpack_from(content)
    head = PREFIX.pack(magic, len(header), hashlib.blake2b(header, digest_size=32).digest()) + header
    return head + bytes(-len(head) % 64) + content[taken_apart(content)[1] :]


def with_words(content: bytes, change: Callable[[Words], object]) -> bytes:
    """Change what the header says, and sign it."""
    words, _ = taken_apart(content)
    change(words)
    return with_header(content, json.dumps(words).encode())


def signed(content: bytes) -> bytes:
    """Make every checksum that of the bytes that stand there."""
    words, start = taken_apart(content)
    for placed in words["arrays"]:
        first, last = span(placed, start)
        placed["crc32"] = zlib.crc32(content[first:last])
    return with_words(content, lambda its: its.update(words))


def span(placed: Words, start: int) -> tuple[int, int]:
    """Return where the bytes of an array begin and end."""
    first = start + placed["offset"]
    return first, first + np.dtype(placed["dtype"]).itemsize * int(np.prod(placed["shape"], dtype=np.int64))
