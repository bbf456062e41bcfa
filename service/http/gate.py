"""The gate before every route: whose key, how often, how much, for how long; and what became of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
import traceback
from functools import lru_cache
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from service.deadlines import Deadline
from service.http.access import not_found
from service.http.answers import GONE, Answer, send_answer, send_problem
from service.http.context import KEY, RequestContext
from service.http.intake import DESCRIPTION, OPEN, PROBES, is_link, is_streamed, limited_body, network_of, read_head
from service.http.newcomers import Newcomers
from service.http.problems import ProblemError, as_problem, internal_problem, is_of_memory, unauthenticated
from service.http.shares import LATER, Lasting, Shares
from service.keys.formats import holds_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

    from service.http.rates import Allowance
    from service.keys.ring import Caller
    from service.services import Services

    RawRoute = Callable[[Services, Scope, RequestContext], bytes | None]

__all__ = ["Gate"]

_LOG = logging.getLogger("service.requests")

_EVENTS = "/v1/events"
_OPEN_FOLDER = "/docs/"
_GRACE_S = 0.15
_PREFIX, _PREFIX_BYTES = "linli_", b"linli_"  # of every key
_MOST_KEY_BYTES = 64
_UPLOADS = 16
_MOST_FRAMES = 8


class Gate:
    """
    An ASGI application in front of the others.

    Parameters
    ----------
    services
        What it asks.
    raw
        Routes by method and path that answer at once, past the framework.
    app
        Answers everything else.
    """

    def __init__(self, services: Services, raw: dict[tuple[str, str], RawRoute], app: ASGIApp) -> None:
        self._services = services
        self._raw = raw
        self._methods = {path: ", ".join(sorted(m for m, p in raw if p == path)) for _, path in raw}
        self._app = app
        self._ids = _request_ids()
        limits = services.settings.limits
        # What may last for minutes has limits of its own: it must not use up those of all other requests.
        self._events, self._uploads = Lasting(limits.streams), Lasting(_UPLOADS)
        self._shares = Shares(max(1, limits.inflight // 2))
        self._newcomers = Newcomers(services)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or send it away."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        services, path = self._services, scope["path"]
        request_id = next(self._ids)
        headers = [(b"x-request-id", request_id.encode())]
        answer = Answer(send, headers, closes=services.is_draining)
        raw = self._raw.get((scope["method"], path))
        lasting = self._lasting(path)
        self._count(lasting, 1)
        try:
            context = await self._admitted(scope, request_id, headers)
            if raw is None or not await self._answered(raw, scope, answer, context):
                await self._passed_on(scope, receive, answer, context)
        except ClientDisconnect:  # nobody is there to be answered
            answer.status = answer.status or GONE
        except asyncio.CancelledError:
            if not services.is_stopping:
                raise
            await _cut_off(answer)
        except Exception as error:  # noqa: BLE001 - whatever fails, the caller gets an answer
            await _refuse(answer, error, request_id, services.settings.limits.deadline_s)
        finally:
            self._count(lasting, -1)
            route = path if raw is not None else _template(scope)
            seconds = time.perf_counter() - started
            services.metrics.count(route, answer.status, seconds)
            if raw is None or answer.status >= _BAD:
                _log(scope, route, request_id, answer.status, seconds)

    async def _answered(self, raw: RawRoute, scope: Scope, answer: Answer, context: RequestContext) -> bool:
        # Whoever is ready comes as far as here before the first goes on: the same code in a row runs twice as fast.
        # None holds a place meanwhile, for it waits for nothing: a thousand that come at once are no overload.
        self._services.n_inflight -= 1
        try:
            await asyncio.sleep(0)
            body = raw(self._services, scope, context)
            await asyncio.sleep(0)
        finally:
            self._services.n_inflight += 1
        if body is not None and not answer.sends_whole(body):
            async with asyncio.timeout(context.deadline.left_s()):
                await send_answer(answer, _OK, body, [])
        return body is not None

    async def _admitted(self, scope: Scope, request_id: str, headers: list[tuple[bytes, bytes]]) -> RequestContext:
        services, limits, path = self._services, self._services.settings.limits, scope["path"]
        is_long = is_streamed(path) or path == DESCRIPTION  # which is made once, for who asks first
        deadline = Deadline.after(limits.bulk_deadline_s if is_long else limits.deadline_s)
        if path in OPEN or path.startswith(_OPEN_FOLDER):
            if path not in PROBES:
                await self._count_stranger(scope, headers)
            return self._noted(scope, RequestContext(request_id, None, deadline))
        if services.is_stopping:
            raise ProblemError("draining", "this server is about to stop; another will answer", headers=LATER)
        lasting = self._lasting(path)
        self._demand_place(lasting)
        if is_link(path):  # whether its secret opens anything, its route knows
            await self._count_stranger(scope, headers)
            return self._noted(scope, RequestContext(request_id, None, deadline))
        authorization, is_encoded = read_head(scope["headers"])
        caller = self._caller(scope, authorization)
        if caller is None:
            await self._count_stranger(scope, headers)
            with self._outside(lasting):
                is_known = await self._newcomers.becomes_known(authorization[7:].decode("latin-1"))
            caller = self._caller(scope, authorization) if is_known else None
            if caller is None:
                raise unauthenticated(_HOW_TO)
            self._demand_place(lasting)
            del headers[1:]  # what strangers have left is none of its business
        rate = caller.rate or limits.key_rate
        allowance = services.rates.admit_now(caller.key_id, rate) or await services.rates.admit(caller.key_id, rate)
        _heed(allowance, rate, headers)
        if is_encoded:
            raise ProblemError("unsupported-encoding", "send the body as it is, without Content-Encoding")
        methods = self._methods.get(path)
        if methods is not None and (scope["method"], path) not in self._raw:
            raise ProblemError("method-not-allowed", f"this place knows {methods}", headers={"Allow": methods})
        return self._noted(scope, RequestContext(request_id, caller, deadline))

    def _demand_place(self, lasting: Lasting | None) -> None:
        n_inflight, limit = self._services.n_inflight, self._services.settings.limits.inflight
        if n_inflight > limit or (lasting is not None and lasting.n > lasting.limit):
            raise ProblemError("overloaded", "too many requests at once; try again", headers=LATER)

    def _lasting(self, path: str) -> Lasting | None:
        if path == _EVENTS:
            return self._events
        return self._uploads if is_streamed(path) else None

    @staticmethod
    def _noted(scope: Scope, context: RequestContext) -> RequestContext:
        scope[KEY] = context
        return context

    def _caller(self, scope: Scope, authorization: bytes) -> Caller | None:
        """Return whose key it is. Neither form nor sum of it is looked at: what is no key, nobody holds."""
        if authorization[:7].lower() != b"bearer " or len(authorization) > _MOST_KEY_BYTES:
            return None
        query: bytes = scope["query_string"]
        may_hold_key = _PREFIX_BYTES in query or _PREFIX in scope["path"]
        if may_hold_key and (holds_key(scope["path"]) or holds_key(query.decode("latin-1"))):
            return None
        return self._services.ring.caller_of(authorization[7:].decode("latin-1"), self._services.clock.now_us())

    @contextlib.contextmanager
    def _outside(self, lasting: Lasting | None) -> Iterator[None]:
        """Give the place of a request back for a while."""
        self._count(lasting, -1)
        try:
            yield
        finally:
            self._count(lasting, 1)

    def _count(self, lasting: Lasting | None, n: int) -> None:
        if lasting is None:
            self._services.n_inflight += n
        else:
            lasting.n += n

    async def _count_stranger(self, scope: Scope, headers: list[tuple[bytes, bytes]]) -> None:
        rates, rate = self._services.rates, self._services.settings.limits.ip_rate
        address = f"ip {network_of(scope['client'][0] if scope.get('client') else '')}"
        _heed(rates.admit_now(address, rate) or await rates.admit(address, rate), rate, headers)

    async def _passed_on(self, scope: Scope, receive: Receive, answer: Answer, context: RequestContext) -> None:
        if not scope["path"].isprintable():  # a NUL, which no database takes; a line feed, which routes overlook
            raise not_found()
        limited, lasting, caller = limited_body(scope, receive), self._lasting(scope["path"]), context.caller
        with contextlib.ExitStack() as stack:
            if caller is not None:
                stack.enter_context((lasting or self._shares).place_of(caller))
            if lasting is self._events:  # it lasts as long as its client
                await self._app(scope, limited, answer)
                return
            async with asyncio.timeout(context.deadline.left_s() + _GRACE_S):
                await self._app(scope, limited, answer)


_OK, _BAD = 200, 400
_HOW_TO = "send a key that lives: 'Authorization: Bearer linli_…', never in the address"


def _request_ids() -> Iterator[str]:
    while True:
        many = os.urandom(4096).hex()  # a system call for each would cost more than all else about it
        yield from (many[start : start + 16] for start in range(0, len(many), 16))


async def _refuse(answer: Answer, error: Exception, request_id: str, patience_s: float) -> None:
    problem = as_problem(error)
    if problem is None and isinstance(error, TimeoutError):
        problem = ProblemError("deadline-exceeded", "it was not done in time; it may still come to be", headers=LATER)
    if problem is None or is_of_memory(error):
        _LOG.error("request %s failed: %s", request_id, _told(error))
    problem = problem or internal_problem(request_id)
    if not answer.status:
        try:
            async with asyncio.timeout(patience_s):
                await send_problem(answer, problem, [])
        except TimeoutError:  # its client does not take what it asked for before
            answer.give_up()


async def _cut_off(answer: Answer) -> None:
    """End a request that a stopping server no longer waits for: with a problem, unless that had to wait, too."""
    if answer.can_begin:
        text = "this server stops, and it was not done in time; it may still come to be"
        await send_problem(answer, ProblemError("draining", text, headers=LATER), [])
    else:
        answer.give_up()


def _told(error: BaseException) -> str:
    """Return where an error and its causes arose, without their texts: these quote what was asked."""
    frames = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), lookup_lines=False)
    places = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[: -_MOST_FRAMES - 1 : -1])
    cause = error.__cause__ or error.__context__
    own = f"{type(error).__name__} at {places or 'an unknown place'}"
    return own if cause is None else f"{own}; after {_told(cause)}"


@lru_cache(maxsize=256)
def _policy(rate: int) -> tuple[bytes, bytes]:
    return (b"ratelimit-policy", b'"second";q=%d;w=1' % rate)


def _heed(allowance: Allowance, rate: int, headers: list[tuple[bytes, bytes]]) -> None:
    if (
        2 * allowance.remaining < rate
    ):  # whoever is far from the limit need not be told: each header costs a microsecond
        headers.append(_policy(rate))
        headers.append((b"ratelimit", b'"second";r=%d;t=%d' % (allowance.remaining, allowance.reset_s)))
    if not allowance.admitted:
        raise ProblemError(
            "rate-limited",
            f"at most {rate} requests a second; try again",
            headers={"Retry-After": str(allowance.reset_s)},
        )


def _template(scope: Scope) -> str:
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else "unknown"


def _log(scope: Scope, route: str, request_id: str, status: int, seconds: float) -> None:
    context = scope.get(KEY)
    caller = None if context is None else context.caller
    _LOG.info(
        "request",
        extra={
            "request_id": request_id,
            "method": scope["method"],
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 3),
            "key_id": None if caller is None else caller.key_id,
        },
    )
