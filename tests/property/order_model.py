"""What orders must do, written down a second time: a plain model of three points and their orders, that knows nothing of linli."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["AT_ONCE", "ENDED", "EVENTS", "NEXT", "STATES", "Line", "Model", "Order", "RefusedError"]

RESERVE, ANSWER, SUBSTITUTE, REMIND, HOLD, FREE, AT_LEAST = 600, 900, 600, 4 * 3600, 24 * 3600, 1800, 300
SLOT, COOL_DOWN, MOST_MOVES = 1800, 900, 3
FEES = {("accepted", "cancel"): 20, ("ready", "cancel"): 50, ("ready", "release"): 50}  # of a hundred
ENDED = ("collected", "cancelled", "rejected", "expired", "not_collected")
STATES = ("held", "placed", "accepted", "ready", *ENDED)
AT_ONCE = ("place", "accept", "ready", "cancel", "reject", "offer", "take", "decline", "collect")
EVENTS = ("hold", *AT_ONCE, "move", "split", "expire", "remind", "release")
NEXT = {
    **{(state, "cancel"): "cancelled" for state in ("held", "placed", "accepted", "ready")},
    **{(state, "reject"): "rejected" for state in ("held", "placed", "accepted", "ready")},
    **{(state, "move"): "placed" for state in ("placed", "accepted", "ready")},
    **{(state, event): state for state in ("placed", "accepted") for event in ("offer", "take", "decline")},
    ("held", "place"): "placed",
    ("held", "expire"): "expired",
    ("placed", "accept"): "accepted",
    ("accepted", "ready"): "ready",
    ("ready", "collect"): "collected",
    ("ready", "remind"): "ready",
    ("ready", "release"): "not_collected",
}
S = 1_000_000


class RefusedError(Exception):
    """It must be refused, and change nothing."""


@dataclass
class Line:
    sku: str
    quantity: int
    price: int
    state: str = "wanted"
    replaces: int | None = None
    answer_by: int = 0


@dataclass
class Order:
    point: str
    at: int
    lines: list[Line]
    expires: int
    free: int
    made: int
    state: str = "held"
    fee: int = 0
    ready: int = 0
    remind: int | None = None
    been: list[str] = field(default_factory=list)
    max_points: int = 1

    @property
    def is_open(self) -> bool:
        return self.state not in ENDED

    @property
    def was_late(self) -> bool:
        return self.ready > self.at > self.made

    @property
    def total(self) -> int:
        return sum(line.price * line.quantity for line in self.lines if line.state == "wanted")

    @property
    def due(self) -> int | None:
        waiting = [line.answer_by for line in self.lines if line.state == "offered"]
        times = [self.expires, *waiting, *([] if self.remind is None else [self.remind])]
        return min(times) if self.is_open else None


class Model:
    def __init__(self, points: list[str], counted: dict[str, int], prices: dict[str, int], most: int, per_slot: int):
        self.counted = {point: dict(counted) for point in points}
        self.prices, self.most, self.per_slot = prices, most, per_slot
        self.orders: dict[str, Order] = {}
        self.rejected: list[tuple[str, int]] = []

    def held(self, point: str, sku: str) -> int:
        return sum(
            line.quantity
            for order in self.orders.values()
            if order.point == point and order.is_open
            for line in order.lines
            if line.sku == sku and line.state in ("wanted", "offered")
        )

    def in_work(self, point: str) -> int:
        return sum(order.point == point and order.is_open for order in self.orders.values())

    def taken(self, point: str) -> dict[int, int]:
        found: dict[int, int] = {}
        for order in self.orders.values():
            if order.point == point and (order.is_open or order.state == "collected"):
                start = order.at // (SLOT * S) * (SLOT * S)
                found[start] = found.get(start, 0) + 1
        return found

    def _fits(self, point: str, at: int, lines: list[Line]) -> bool:
        has = all(
            self.counted[point].get(line.sku, -1) - self.held(point, line.sku) >= line.quantity
            for line in lines
            if line.state == "wanted"
        )
        start = at // (SLOT * S) * (SLOT * S)
        return has and self.in_work(point) < self.most and self.taken(point).get(start, 0) < self.per_slot

    def hold(self, name: str, point: str, units: dict[str, int], at: int | None, now: int, max_points: int = 1) -> None:
        lines = [Line(sku, quantity, self.prices[sku]) for sku, quantity in units.items()]
        expires = now + RESERVE * S if at is None else max(now + AT_LEAST * S, min(at, now + RESERVE * S))
        if not self._fits(point, now if at is None else at, lines):
            raise RefusedError
        at = now if at is None else at
        self.orders[name] = Order(point, at, lines, expires, at - FREE * S, now, max_points=max_points)

    def fits(self, name: str, event: str) -> bool:
        return (self.orders[name].state, event) in NEXT

    def act(self, name: str, event: str, now: int, line: int = 0, sku: str = "", *, part: str = "") -> str:
        """Let an event happen; return what it came to, since what is rejected may be moved, a part of it as another."""
        order = self.orders[name]
        if not self.fits(name, event):
            raise RefusedError
        if event == "place" and order.expires <= now:
            raise RefusedError
        if event == "ready" and any(one.state == "offered" for one in order.lines):
            raise RefusedError
        if event == "offer":
            self._offer(order, line, sku, now)
        elif event in ("take", "decline"):
            self._answer(order, line, event == "take", now)
            return event
        elif event == "reject" and self._moves(order, now, part):
            return "move"
        self._go(order, event, now)
        return event

    def _go(self, order: Order, event: str, now: int) -> None:
        if order.state != "held" or event != "reject":
            percent = FEES.get((order.state, event), 0)
            is_late = order.was_late if order.state == "ready" else now > order.at
            if not is_late and (event != "cancel" or now > order.free):
                order.fee = order.total * percent // 100 if percent else 0
        if event == "reject":
            self.rejected.append((order.point, now))
        if event == "collect":
            for line in order.lines:
                if line.state == "wanted":
                    self.counted[order.point][line.sku] -= line.quantity
        order.state = NEXT[order.state, event]
        self._wait(order, event, now)

    def _wait(self, order: Order, event: str, now: int) -> None:
        if event in ("place", "move"):
            order.expires = max(now + AT_LEAST * S, min(order.at, now + ANSWER * S))
        if event == "accept":
            moments = [line.answer_by + AT_LEAST * S for line in order.lines if line.state == "offered"]
            order.expires = max([order.at + HOLD * S, *moments])
        if event == "ready":
            order.ready, order.expires = now, max(order.at, now) + HOLD * S
            order.free = order.expires if order.was_late else order.free
        if event in ("ready", "move", "remind"):
            order.remind = max(order.at, now) + REMIND * S if event == "ready" else None

    def _offer(self, order: Order, number: int, sku: str, now: int) -> None:
        line = order.lines[number - 1] if 0 < number <= len(order.lines) else None
        if line is None or line.state != "wanted" or line.sku == sku:
            raise RefusedError
        if any(one.replaces == number and one.state == "offered" for one in order.lines):
            raise RefusedError
        new = Line(sku, 1, self.prices[sku], "offered", number, now + SUBSTITUTE * S)
        left = self.counted[order.point].get(sku, -1) - self.held(order.point, sku)
        if new.price > line.price * line.quantity or left < 1:
            raise RefusedError
        order.lines.append(new)
        order.expires = max(order.expires, new.answer_by + AT_LEAST * S)

    def _answer(self, order: Order, number: int, takes: bool, now: int, *, by_clock: bool = False) -> None:
        line = order.lines[number - 1] if 0 < number <= len(order.lines) else None
        if line is None or line.state != "offered" or line.replaces is None or (line.answer_by <= now and not by_clock):
            raise RefusedError
        line.state = "wanted" if takes else "declined"
        order.lines[line.replaces - 1].state = "replaced" if takes else "missing"
        if not any(one.state in ("wanted", "offered") for one in order.lines):
            self._go(order, "reject", now)

    def _moves(self, order: Order, now: int, part: str) -> bool:
        """Let the first other point take all, or the second, or the first one SKU and the second the rest."""
        if order.state == "held" or len(order.been) >= MOST_MOVES:
            return False
        one, two = (point for point in self.counted if point != order.point)
        wanted = [line for line in order.lines if line.state == "wanted"]
        least = min((line.sku for line in wanted), default="")
        first, rest = [line for line in wanted if line.sku == least], [line for line in wanted if line.sku != least]
        if self._takes_over(one, order, wanted, now) or self._takes_over(two, order, wanted, now):
            taken, parted = (one if self._takes_over(one, order, wanted, now) else two), []
        elif (
            order.max_points > 1
            and rest
            and all(self._takes_over(point, order, lines, now) for point, lines in ((one, first), (two, rest)))
        ):
            taken, parted = one, rest
        else:
            return False
        self.rejected.append((order.point, now))
        order.been.append(order.point)
        for line in order.lines:
            line.state = "declined" if line.state == "offered" else line.state
        order.point, order.state, order.at = taken, "placed", max(order.at, now)
        order.free = max(order.free, order.at)
        self._wait(order, "move", now)
        if parted:
            self._part(part, order, two, parted, now)
        return True

    def _takes_over(self, point: str, order: Order, lines: list[Line], now: int) -> bool:
        is_cool = all(other != point or at <= now - COOL_DOWN * S for other, at in self.rejected)
        return point not in order.been and is_cool and self._fits(point, max(order.at, now), lines)

    def _part(self, name: str, order: Order, point: str, lines: list[Line], now: int) -> None:
        new = Order(
            point,
            order.at,
            [Line(line.sku, line.quantity, line.price) for line in lines],
            0,
            order.free,
            order.made,
            "placed",
        )
        new.been = list(order.been)
        self._wait(new, "move", now)
        self.orders[name], order.max_points = new, 1
        for line in lines:
            line.state = "parted"

    def due(self, now: int) -> list[str]:
        """Return the orders at which somebody must look, in the order in which that is due."""
        found = [(order.due, name) for name, order in self.orders.items() if order.due is not None and order.due <= now]
        return [name for _, name in sorted(found)]

    def let_happen(self, name: str, now: int, part: str) -> str:
        """Let the one event happen that is due; return it."""
        order = self.orders[name]
        late = [n for n, line in enumerate(order.lines, 1) if line.state == "offered" and line.answer_by <= now]
        if late:
            self._answer(order, late[0], takes=False, now=now, by_clock=True)
            return "decline"
        is_over = order.expires <= now
        event = {"held": "expire", "ready": "release" if is_over else "remind"}.get(order.state, "reject")
        if event == "reject" and self._moves(order, now, part):
            return "move"
        self._go(order, event, now)
        return event
