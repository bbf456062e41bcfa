"""Secrets and signatures by the Standard Webhooks specification 1.0 (symmetric, ``v1``)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["kept_secrets", "new_secret", "old_secrets", "signed_headers"]

_PREFIX = "whsec_"
_BYTES = 32


def new_secret() -> str:
    """Return a new secret as receivers keep it."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def kept_secrets(newest: str, before: Sequence[tuple[str, int]]) -> str:
    """Return old secrets as one text: the newest, which signs until an instant that is kept beside it, and others with theirs."""
    return " ".join([newest, *(f"{secret}:{until_us}" for secret, until_us in before)])


def old_secrets(kept: str | None, until_us: int | None, now_us: int) -> list[tuple[str, int]]:
    """
    Return those of `kept_secrets` that still sign, each with until when; none signs after ``until_us``.

    An earlier linli kept no instant beside a secret, and reads past one: base64 ends with its padding.
    """
    parted = [one.partition(":") for one in (kept or "").split()]
    until = [(secret, min(int(own or until_us or 0), until_us or 0)) for secret, _, own in parted]
    return [(secret, end_us) for secret, end_us in until if end_us > now_us]


def signed_headers(secrets_: Sequence[str], event_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """Return the headers by which a receiver knows whom a body is from: a signature for each secret, the newest first."""
    told = f"{event_id}.{at_s}.".encode() + body
    signatures = " ".join(f"v1,{_signature(secret, told)}" for secret in secrets_)
    return {"webhook-id": event_id, "webhook-timestamp": str(at_s), "webhook-signature": signatures}


def _signature(secret: str, told: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    return base64.b64encode(hmac.digest(key, told, hashlib.sha256)).decode()
