"""Secrets and signatures by the Standard Webhooks specification 1.0 (symmetric, ``v1``)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["new_secret", "signed_headers"]

_PREFIX = "whsec_"
_BYTES = 32


def new_secret() -> str:
    """Return a new secret as receivers keep it."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def signed_headers(secrets_: Sequence[str], event_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """Return the headers by which a receiver knows whom a body is from: a signature for each secret, the newest first."""
    told = f"{event_id}.{at_s}.".encode() + body
    signatures = " ".join(f"v1,{_signature(secret, told)}" for secret in secrets_)
    return {"webhook-id": event_id, "webhook-timestamp": str(at_s), "webhook-signature": signatures}


def _signature(secret: str, told: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    return base64.b64encode(hmac.digest(key, told, hashlib.sha256)).decode()
