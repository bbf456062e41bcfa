"""What is known of a request before its route is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import Request

from service.http.problems import unauthenticated

if TYPE_CHECKING:
    from service.deadlines import Deadline
    from service.keys.ring import Caller
    from service.services import Services

__all__ = ["KEY", "RequestContext", "context_of", "services_of"]

KEY = "linli"
"""Where the context stands in an ASGI scope."""


@dataclass(slots=True)
class RequestContext:
    """
    A request that was let in.

    Attributes
    ----------
    request_id
        Told in the answer's head and in every log line about it.
    caller
        Whose key came with it; None on routes that ask for none.
    deadline
        When nobody waits for it any more.
    """

    request_id: str
    caller: Caller | None
    deadline: Deadline

    @property
    def key_holder(self) -> Caller:
        """The caller; raises where no key came."""
        if self.caller is None:
            raise unauthenticated("send a key: 'Authorization: Bearer linli_…'")
        return self.caller


def context_of(request: Request) -> RequestContext:
    """Return a request's context."""
    found: RequestContext = request.scope[KEY]
    return found


def services_of(request: Request) -> Services:
    """Return what the routes work with."""
    found: Any = request.app.state.services
    services: Services = found
    return services
