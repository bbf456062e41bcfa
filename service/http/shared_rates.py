"""How many requests a caller may make in a second, counted in Redis with all other workers."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from service.http.rates import Allowance

if TYPE_CHECKING:
    from service.http.rates import LocalRates

__all__ = ["SharedRates", "connect"]

_LOG = logging.getLogger(__name__)

_KEY = "linli:rate:"
_LEASE = 0.02
_SHARE_OF_LEFT = 16
_PATIENCE_S = 0.05
_LONG_PATIENCE_S = 1.0  # of what nobody waits for: a connection over TLS may take longer than a request may
_REST_S = 1.0
_NO_TURN = math.inf

# For each key: how many of the tokens asked for the current second still has, and how many are left then. The second is
# Redis' own, the same for every worker. One that is not the noted one is a new one, be it earlier: a clock that was set
# back must not keep a caller out until it has caught up.
_TAKE = """
local now = redis.call('TIME')
local answer = {now[1], 1000000 - now[2]}
for i, key in ipairs(KEYS) do
  local wanted, rate, taken = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i]), 0
  local second, count = string.match(redis.call('GET', key) or '', '^(%d+) (%d+)$')
  if second == now[1] then taken = tonumber(count) end
  local given = math.max(0, math.min(wanted, rate - taken))
  if given > 0 then redis.call('SET', key, now[1] .. ' ' .. taken + given, 'PX', 2000) end
  answer[#answer + 1] = given
  answer[#answer + 1] = math.max(0, rate - taken - given)
end
return answer
"""


def connect(url: str) -> Redis:
    """Return a client that connects when it is first asked, and asks once: the breaker decides what comes then."""
    return Redis.from_url(url, protocol=2, retry=Retry(NoBackoff(), 0), max_connections=2)


@dataclass(slots=True)
class _Lease:
    """
    Tokens of one second that this worker holds.

    Of it, ``taken`` are all that the worker has had in that second; ``left_there`` are those that nobody had taken then.
    """

    tokens: int
    taken: int
    left_there: int
    until: float


@dataclass(slots=True)
class _Ask:
    rate: int
    waiting: list[asyncio.Future[Allowance]]


class SharedRates:
    """
    Counts in Redis, which a worker asks for a few tokens at once; where Redis does not answer, counts alone.

    Whoever waits is asked for in one round trip. After a failure a breaker is open: nobody waits, ``local`` answers,
    and a task of its own tries Redis again and again. It is closed where a second begins, so that none has both counts.
    Belongs to the event loop that first waits for it. One Redis, not a cluster of them.

    Parameters
    ----------
    redis
        Of `connect`; closed with this.
    local
        Grants at most twice the rate over all workers. In the second in which Redis is lost half of that, since Redis
        granted too: so no second has more than twice the rate.
    patience_s
        How long Redis may take.
    rest_s
        How long it is left alone after a failure.
    """

    def __init__(
        self, redis: Redis, local: LocalRates, *, patience_s: float = _PATIENCE_S, rest_s: float = _REST_S
    ) -> None:
        self._redis = redis
        self._local = local
        self._patience_s = patience_s
        self._rest_s = rest_s
        self._leases: dict[str, _Lease] = {}
        self._second = b""
        self._asks: dict[str, _Ask] = {}
        self._asking: asyncio.Task[None] | None = None
        self._closes_at = 0.0
        self._lost_at = -_NO_TURN
        self._tries_at = 0.0
        self.n_failures = 0

    @property
    def is_open(self) -> bool:
        """Whether the breaker is open: Redis is not asked."""
        return time.monotonic() < self._closes_at

    async def admit(self, caller: str, rate: int) -> Allowance:
        """Count a request."""
        found = self.admit_now(caller, rate)
        if found is not None:
            return found
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._asks.setdefault(caller, _Ask(rate, [])).waiting.append(future)
        if self._asking is None:
            self._asking = loop.create_task(self._ask_for_all())
        allowance: Allowance = await future
        return allowance

    def admit_now(self, caller: str, rate: int) -> Allowance | None:
        """Count a request if this worker holds a token, or knows that none is left."""
        lease, now = self._leases.get(caller), time.monotonic()
        if lease is not None and now < lease.until:
            if lease.tokens > 0:
                lease.tokens -= 1
                return Allowance(True, lease.tokens + lease.left_there, 1)
            if lease.left_there == 0:
                return Allowance(False, 0, 1)
        return self._alone(caller, rate, now) if now < self._closes_at else None

    async def close(self) -> None:
        """End what it does and disconnect."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        self._answer_alone()
        await self._redis.aclose()

    def _alone(self, caller: str, rate: int, now: float) -> Allowance | None:
        if now >= self._tries_at and self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._try_again())
        was_just_lost = now < self._lost_at + 1.0
        return self._local.admit_now(caller, max(1, rate // 2) if was_just_lost else rate)

    async def _ask_for_all(self) -> None:
        try:
            while self._asks:
                asks, self._asks = self._asks, {}
                asked_at = time.monotonic()
                try:
                    answer = await self._take(asks, self._patience_s)
                except BaseException:
                    self._asks = _joined(asks, self._asks)
                    raise
                self._deal(asks, answer, asked_at)
        except Exception as error:  # noqa: BLE001 - whatever fails there, callers get an answer from here
            self._open(error)
            self._answer_alone()
        finally:
            self._asking = None

    async def _try_again(self) -> None:
        try:
            answer = await self._take({"": _Ask(1, [])}, _LONG_PATIENCE_S)
        except Exception as error:  # noqa: BLE001 - it is down as before
            _LOG.debug("Redis still fails: %s", type(error).__name__)
            self._tries_at = time.monotonic() + self._rest_s
        else:
            self._tries_at, self._closes_at = _NO_TURN, time.monotonic() + int(answer[1]) / 1e6
            _LOG.info("Redis counts rates again")
        finally:
            self._asking = None

    async def _take(self, asks: dict[str, _Ask], patience_s: float) -> list[Any]:
        arguments: list[int] = []
        for caller, ask in asks.items():
            arguments += (max(len(ask.waiting), self._ahead(caller, ask.rate), 1), ask.rate)
        async with asyncio.timeout(patience_s):
            reply: Any = self._redis.eval(_TAKE, len(asks), *(_KEY + caller for caller in asks), *arguments)
            answer: list[Any] = await reply
        return answer

    def _ahead(self, caller: str, rate: int) -> int:
        """
        Return how many tokens to take though nobody waits for them yet.

        At most as many as this worker has had in this second, for what it takes and does not use is lost to the others:
        so however many workers there are, a caller gets at least half its rate. And fewer where little is left.
        """
        lease = self._leases.get(caller)
        if lease is None or time.monotonic() >= lease.until:
            return 0
        return min(lease.taken, int(rate * _LEASE), lease.left_there // _SHARE_OF_LEFT)

    def _deal(self, asks: dict[str, _Ask], answer: list[Any], asked_at: float) -> None:
        second, us_left, *numbers = answer
        if second != self._second:
            self._second, self._leases = second, {}
        until = asked_at + us_left / 1e6
        for (caller, ask), tokens, left_there in zip(asks.items(), numbers[::2], numbers[1::2], strict=True):
            before = self._leases.get(caller)
            taken = tokens if before is None else before.taken + tokens
            lease = self._leases[caller] = _Lease(tokens, taken, left_there, until)
            for future in ask.waiting:
                if future.done():  # whoever waited has gone
                    continue
                is_admitted = lease.tokens > 0
                lease.tokens -= is_admitted
                future.set_result(Allowance(is_admitted, lease.tokens + left_there, 1))

    def _open(self, error: Exception) -> None:
        self.n_failures += 1
        self._lost_at = now = time.monotonic()
        self._closes_at, self._tries_at = _NO_TURN, now + self._rest_s
        _LOG.warning("Redis does not count rates (%s); each worker counts alone", type(error).__name__)

    def _answer_alone(self) -> None:
        asks, self._asks = self._asks, {}
        for caller, ask in asks.items():
            for future in ask.waiting:
                if not future.done():
                    future.set_result(self._local.admit_now(caller, max(1, ask.rate // 2)))


def _joined(earlier: dict[str, _Ask], later: dict[str, _Ask]) -> dict[str, _Ask]:
    for caller, ask in later.items():
        earlier.setdefault(caller, _Ask(ask.rate, [])).waiting.extend(ask.waiting)
    return earlier
