"""Pickup codes: six digits, made from the store's secret, so that no list of them is kept anywhere."""

from __future__ import annotations

import hashlib
import hmac

__all__ = ["CODE_DIGITS", "code_digest", "code_of", "collector_digest", "customer_digest", "digest_of"]

CODE_DIGITS = 6


def code_of(secret: bytes, order_id: str, number: int) -> str:
    """Return the code of an order; each number gives another."""
    told = hmac.digest(secret, f"pickup-code\n{order_id}\n{number}".encode(), hashlib.sha256)
    return f"{int.from_bytes(told[:8]) % 10**CODE_DIGITS:0{CODE_DIGITS}d}"


def code_digest(secret: bytes, point_id: str, code: str) -> str:
    """Return what the store keeps of a code at a point: equal for equal codes, and of no use without the secret."""
    return digest_of(secret, "code", f"{point_id}\n{code}")


def customer_digest(secret: bytes, kind: str, owner: str, name: str) -> str:
    """Return what is kept of an app's own name for a customer, a ``buyer`` or a ``device``: another for each app."""
    return digest_of(secret, kind, f"{owner}\n{name}")


def collector_digest(secret: bytes, name: str) -> str:
    """Return what is kept of a collector's name: the same in small and capital letters, and however it is spaced."""
    return digest_of(secret, "collector", " ".join(name.split()).casefold())


def digest_of(secret: bytes, kind: str, text: str) -> str:
    """Return a keyed digest of what need only be compared: of a buyer, a device, a collector's name."""
    return hmac.digest(secret, f"{kind}\n{text}".encode(), hashlib.sha256).hex()[:32]
