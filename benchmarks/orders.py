"""
Durable orders against what the database alone takes for the same statements, and over HTTP.

Every order is judged by the engine, takes stock, a slot and a place in work, and is written with its lines, events,
change records and idempotency record. The bare loop says the very statements of such orders again, on a copy of the
same database, and must leave the same rows.
"""

from __future__ import annotations

from functools import partial

from benchmarks.orders_shops import SHOPS
from benchmarks.trading import PACKAGES, add_trade_options, run_trade

__all__ = ["PACKAGES", "add_options", "run"]

add_options, run = partial(add_trade_options, trade=SHOPS), partial(run_trade, SHOPS)
