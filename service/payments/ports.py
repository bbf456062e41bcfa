"""What linli asks of whoever moves money."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from service.errors import ServiceError

__all__ = ["Outcome", "PaymentProvider", "ProviderUnknownError"]


class Outcome(StrEnum):
    """What came of it."""

    AUTHORISED = "authorised"
    DECLINED = "declined"
    UNKNOWN = "unknown"  # it never heard of it


class ProviderUnknownError(ServiceError):
    """The provider did not answer: nobody knows what came of it, and it must be asked."""


class PaymentProvider(Protocol):
    """
    Moves money, each movement once for its reference, however often it is asked.

    Every method is called from several threads, ends within ten seconds, and may raise `ProviderUnknownError`; it may then
    have come about or not.
    """

    def authorise(self, reference: str, amount_minor: int, currency: str, means: str) -> Outcome:
        """Set an amount aside; ``means`` stands for the customer's means of payment."""
        ...

    def find(self, reference: str) -> Outcome:
        """Tell what came of an authorisation."""
        ...

    def capture(self, reference: str, amount_minor: int) -> Outcome:
        """Take what was set aside, or a part of it; the rest is set free. Declined, it can never be taken any more."""
        ...

    def release(self, reference: str) -> None:
        """Set free what was set aside, if it was; an authorisation that comes behind it is declined."""
        ...
