"""
Durable bookings of visits against what the database alone takes for the same statements, and over HTTP.

Every booking is found a place among the days of a provider's crews, which is checked again in its own transaction, and
is written with the crew's day, its event, change records and idempotency record. The bare loop says the statements of
such transactions again, on a copy of the same database, and must leave the same rows. Afterwards no minute of a crew
is promised twice.
"""

from __future__ import annotations

from functools import partial

from benchmarks.bookings_providers import PROVIDERS
from benchmarks.trading import PACKAGES, add_trade_options, run_trade

__all__ = ["PACKAGES", "add_options", "run"]

add_options, run = partial(add_trade_options, trade=PROVIDERS), partial(run_trade, PROVIDERS)
