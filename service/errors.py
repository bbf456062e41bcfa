"""What can go wrong with a job of the service; one class a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "BadFileError",
    "DeadlineExceededError",
    "ForbiddenUrlError",
    "LeaseLostError",
    "NotFeasibleError",
    "OverloadedError",
    "ServiceError",
    "StateConflictError",
    "StorageUnavailableError",
    "StoreStateError",
]


class ServiceError(ValueError):
    """Base of all errors of ``service``: its text is fit for the person who ran the command."""


class BadFileError(ServiceError):
    """
    A file, or one row of it, that cannot be used.

    Attributes
    ----------
    file
        The file as the caller named it.
    row
        Where the fault stands in the file, as a person finds it there; None where it is the whole file.
    reason
        What was expected and what came.
    """

    def __init__(self, file: Path | str, row: int | None, reason: str) -> None:
        self.file = file
        self.row = row
        self.reason = reason
        super().__init__(f"{file}: {reason}" if row is None else f"{file}, row {row}: {reason}")


class StorageUnavailableError(ServiceError):
    """The database does not answer, or no longer takes writes: nothing is known to be stored."""


class StateConflictError(ServiceError):
    """What is there stands against what was asked for."""


class NotFeasibleError(ServiceError):
    """
    A point cannot serve an order.

    Attributes
    ----------
    reason
        Of `engine.REASONS`.
    sku
        What is out of stock, where that is the reason.
    of_slot
        It is the preparation slot alone that is full.
    """

    def __init__(self, reason: str, sku: str | None = None, *, of_slot: bool = False) -> None:
        self.reason = reason
        self.sku = sku
        self.of_slot = of_slot
        super().__init__(reason if sku is None else f"{reason}: {sku}")


class OverloadedError(ServiceError):
    """More is waiting than can be done in time."""


class DeadlineExceededError(ServiceError):
    """What was asked for was not done in time; a write may still come to be."""


class ForbiddenUrlError(ServiceError):
    """
    An address that webhooks are not sent to.

    Attributes
    ----------
    argument
        Where it stands in a request, as a JSON pointer.
    """

    argument = "/url"


class LeaseLostError(ServiceError):
    """Another process does the work that this one was to do; nothing was written."""


class StoreStateError(ServiceError):
    """A database that this linli cannot start on: in use, of another schema, or none of linli's."""
