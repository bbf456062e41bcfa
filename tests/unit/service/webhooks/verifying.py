"""A receiver's check of a webhook, as the Standard Webhooks specification has it: written apart from what it checks."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

__all__ = ["TOLERANCE_S", "is_ours"]

TOLERANCE_S = 5 * 60


def is_ours(secret: str, headers: Mapping[str, str], body: bytes, now_s: float) -> bool:
    """Tell whether a webhook is from who has the secret, unaltered and new."""
    known = {name.lower(): value for name, value in headers.items()}
    event_id, at = known["webhook-id"], known["webhook-timestamp"]
    if not at.isdigit() or abs(now_s - int(at)) > TOLERANCE_S:
        return False
    kind, _, key = secret.partition("_")
    assert kind == "whsec"
    sum_ = hmac.new(base64.b64decode(key), b".".join([event_id.encode(), at.encode(), body]), hashlib.sha256)
    wanted = base64.b64encode(sum_.digest()).decode()
    told = [part.partition(",") for part in known["webhook-signature"].split(" ")]
    return any(version == "v1" and hmac.compare_digest(one, wanted) for version, _, one in told)
