"""How much is read of bookings that are many: of a point those that are open, and none of its history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from service.bookings.store import offers_with_visits, open_at_point
from tests.contract.service.plans import on_sqlite, planned

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.service.desk import Desk


@on_sqlite
@pytest.mark.parametrize(
    "ask",
    [lambda connection: open_at_point(connection, "m:1"), lambda connection: offers_with_visits(connection, ["m:1"])],
)
def test_open__bookings_of_a_point_are_found_by_their_states(desk: Desk, ask: Callable[[Any], Any]) -> None:
    plan = planned(desk, ask)
    found = [step.partition(" INDEX ")[2] for step in plan if "bookings" in step]
    assert found == ["bookings_of_point (point_id=? AND state=?)"]
