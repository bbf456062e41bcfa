"""Who may make which key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.clock import from_us

if TYPE_CHECKING:
    from service.keys.ring import Caller

__all__ = ["OF_MERCHANTS", "fault_of_key", "fault_of_merchants_key"]

OF_MERCHANTS = ("merchant", "station", "crew")
"""Scopes of keys that a merchant may make."""

_OF_NO_MERCHANT = ("admin", "planner")


def fault_of_key(scope: str, merchant_id: str | None, crew: str | None = None) -> tuple[str, str] | None:
    """Return the field of a new key that is at fault and why, None if it may be."""
    if crew is not None and scope != "crew":
        return "crew", "is of a key of scope crew alone"
    if crew is not None and (merchant_id is None or not crew.startswith(f"{merchant_id}:") or "/" not in crew):
        return "crew", "must be a point of the merchant, a slash and a crew of it, such as corner:main/anna"
    if scope == "merchant" and merchant_id is None:
        return "merchant_id", "is required for a key of scope merchant"
    if scope in _OF_NO_MERCHANT and merchant_id is not None:
        return "merchant_id", f"must not be given: a key of scope {scope} is of no merchant"
    return None


def fault_of_merchants_key(
    maker: Caller, scope: str, rate: int | None, default_rate: int, expires_us: int | None = None
) -> tuple[str, str] | None:
    """
    Return the field of a new key that its maker, a merchant, may not choose so, and why.

    What is None the new key has from its maker's: in particular it ends with that.
    """
    if scope not in OF_MERCHANTS:
        return "scope", f"must be {', '.join(OF_MERCHANTS[:-1])} or {OF_MERCHANTS[-1]} in a key that a merchant makes"
    most = maker.rate or default_rate
    if rate is not None and rate > most:
        return "rate", f"must be at most {most}, that of your own key"
    if maker.expires_us is not None and expires_us is not None and expires_us > maker.expires_us:
        return "expires_at", f"must be at most {from_us(maker.expires_us).isoformat()}, when your own key ends"
    return None
