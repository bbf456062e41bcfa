"""Who may use a route: a dependency that routes name, which the tests read too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from service.http.context import RequestContext, context_of
from service.http.problems import ProblemError

__all__ = [
    "Admin",
    "AdminOrMerchant",
    "Allowed",
    "Anyone",
    "Counter",
    "Crewed",
    "Orderer",
    "Ordering",
    "Parties",
    "Visitors",
    "app_of",
    "crew_of",
    "not_found",
    "owner_of",
]

_SCHEME = HTTPBearer(
    scheme_name="key", auto_error=False, description="A key such as linli_app_…; `linli key create` makes one."
)


@dataclass(frozen=True)
class Allowed:
    """Lets the callers of some scopes pass."""

    scopes: tuple[str, ...]

    async def __call__(self, request: Request, _described: Annotated[Any, Depends(_SCHEME)]) -> RequestContext:
        """Return the context of a request that may pass."""
        context = context_of(request)
        if context.key_holder.scope not in self.scopes:
            text = f"this needs a key of scope {' or '.join(self.scopes)}, yours is {context.key_holder.scope}"
            raise ProblemError("forbidden", text)
        return context


Admin = Annotated[RequestContext, Depends(Allowed(("admin",)))]
AdminOrMerchant = Annotated[RequestContext, Depends(Allowed(("admin", "merchant")))]
Ordering = Annotated[RequestContext, Depends(Allowed(("admin", "app")))]
Counter = Annotated[RequestContext, Depends(Allowed(("admin", "merchant", "station")))]
Parties = Annotated[RequestContext, Depends(Allowed(("admin", "merchant", "app", "station")))]
Crewed = Annotated[RequestContext, Depends(Allowed(("admin", "merchant", "crew")))]
Visitors = Annotated[RequestContext, Depends(Allowed(("admin", "merchant", "app", "crew")))]
Orderer = Annotated[RequestContext, Depends(Allowed(("admin", "merchant", "app")))]
Anyone = Annotated[RequestContext, Depends(Allowed(("admin", "merchant", "app", "planner", "station", "crew")))]


def owner_of(context: RequestContext) -> str | None:
    """Return the merchant whose things alone a caller may see, None for one who may see all."""
    caller = context.key_holder
    return None if caller.scope == "admin" else caller.merchant_id or ""


def app_of(context: RequestContext) -> str | None:
    """Return the app that asks, None for callers that are none: by its key's label, so that its next key sees the same."""
    caller = context.key_holder
    return (caller.label or caller.key_id) if caller.scope == "app" else None


def crew_of(context: RequestContext) -> tuple[str, str] | None:
    """Return the point and the name of the crew whose key asks, empty for a key that says none; None for other scopes."""
    caller = context.key_holder
    if caller.scope != "crew":
        return None
    point_id, _, crew_id = caller.crew.partition("/")
    return point_id, crew_id


def not_found() -> ProblemError:
    """Return the answer about what is not there, and about what is another's: nobody can tell them apart."""
    return ProblemError("not-found", "there is nothing here that this key may see")
