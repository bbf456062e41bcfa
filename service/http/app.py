"""The application: services, routes, gate, error table, in one list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from service.audit import routes as audit
from service.bookings import act_routes as booking_acts
from service.bookings import calendar_routes, crew_routes
from service.bookings import routes as bookings
from service.bookings import slot_routes as slots
from service.crews import import_routes as crew_imports
from service.crews import routes as crews
from service.crews import service_routes
from service.events import routes as events
from service.http import operation
from service.http.docs import add_docs, describe
from service.http.gate import Gate
from service.http.routing import check_strict, register_problems
from service.imports import routes as imports
from service.keys import routes as keys
from service.matching import routes as matching
from service.matching.single_route import MATCH, match
from service.merchants import routes as merchants
from service.orders import act_routes as acts
from service.orders import counter_page
from service.orders import counter_routes as counter
from service.orders import routes as orders
from service.orders import routing_routes as routing
from service.points import change_routes
from service.points import routes as points
from service.stock import routes as stock
from service.webhooks import routes as webhooks

if TYPE_CHECKING:
    from fastapi import APIRouter

    from service.services import Services

__all__ = ["create_app", "describe_api"]

_ABOUT = (
    "Which nearby place can really serve this need, here, at this time. Merchants register points and their offers, "
    "apps ask for a match. `Authorization: Bearer linli_…` on every request; errors are RFC 9457 problems."
)


def create_app(services: Services) -> Gate:
    """Return the ASGI application over services that are open."""
    app = _with_routes()
    app.state.services = services
    register_problems(app, _routers())
    add_docs(app, _routers(), matching.BODIES)
    return Gate(services, _raw_routes(), app)


def describe_api() -> dict[str, Any]:
    """Return the description of every route, as /openapi.json tells it."""
    return describe(_with_routes(), _routers(), matching.BODIES)


def _with_routes() -> FastAPI:
    app = FastAPI(
        title="linli 邻里",
        version="1",
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # it would repeat a query, and whatever Host the client sent
    )
    app.router.redirect_slashes = False  # a path that is not known says nothing about others
    for router in _routers():
        check_strict(router)
        app.include_router(router)
    return app


def _routers() -> list[APIRouter]:
    return [
        operation.router,
        matching.router,
        merchants.router,
        points.router,
        change_routes.router,
        stock.router,
        imports.router,
        crews.router,
        service_routes.router,
        crew_imports.router,
        slots.router,
        bookings.router,
        booking_acts.router,
        crew_routes.router,
        calendar_routes.router,
        orders.router,
        acts.router,
        counter.router,
        counter_page.router,
        orders.erasing,
        routing.router,
        keys.router,
        audit.router,
        events.router,
        webhooks.router,
    ]


def _raw_routes() -> dict[tuple[str, str], Any]:
    return {MATCH: match}
