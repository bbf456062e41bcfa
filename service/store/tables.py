"""The tables of the registry, the outbox and what stands round them; those of orders are in `order_tables`."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

__all__ = [
    "METADATA",
    "SERIAL",
    "Instant",
    "audit",
    "changes",
    "idempotency",
    "import_errors",
    "imports",
    "keys",
    "marks",
    "merchants",
    "offers",
    "points",
]

METADATA = MetaData()

# SQLite numbers rows only where the type is INTEGER to the letter.
SERIAL = BigInteger().with_variant(Integer, "sqlite")
# Instants are microseconds since 1970 in UTC: both databases compare and keep them alike.
Instant = BigInteger

marks = Table(
    "marks",
    METADATA,
    Column("name", Text, primary_key=True),  # feed_id, clock_us, kept_from, secret, webhooks
    Column("value", Text, nullable=False),
)

merchants = Table(
    "merchants",
    METADATA,
    Column("merchant_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("routing", Text),  # JSON: who takes an order over that a point rejects; null: the rules of `orders.routing`
    CheckConstraint("status IN ('unverified', 'verified', 'suspended')", name="merchants_status"),
)

points = Table(
    "points",
    METADATA,
    Column("point_id", Text, primary_key=True),
    Column("merchant_id", Text, ForeignKey("merchants.merchant_id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("address", Text),
    Column("lat", Float, nullable=False),  # WGS 84
    Column("lng", Float, nullable=False),
    Column("timezone", Text),
    Column("country", Text),
    Column("visibility", Text, nullable=False),
    Column("features", Text, nullable=False),  # ";" before, between and behind
    Column("special_days", Text),  # JSON
    Column("is_paused", Boolean, nullable=False),
    Column("is_synthetic", Boolean, nullable=False),
    Column("is_deleted", Boolean, nullable=False),  # the row stays, so that its revision never runs back
    Column("revision", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("capacity_revision", BigInteger, nullable=False, default=0),  # of what its merchant says of capacity
    Column(
        "stock_revision", BigInteger, nullable=False, default=0
    ),  # of that, and of all that orders take and give back
    Column("roster_revision", BigInteger, nullable=False, default=0),  # of its crews, their days, and its services
    Index("points_of_merchant", "merchant_id", "point_id"),
)

offers = Table(
    "offers",
    METADATA,
    Column("point_id", Text, ForeignKey("points.point_id"), primary_key=True),
    Column("offer", Text, primary_key=True),
    Column("radius_m", Float),
    Column("area", LargeBinary),  # WKB in lng/lat, WGS 84; with neither, everywhere
    Column("hours", Text),  # OSM opening_hours; null: unknown
    Column("capacity", BigInteger),  # orders that it can have in work at once; null: no limit
    Column("lead_s", BigInteger, nullable=False),
    Column("is_paused", Boolean, nullable=False),
    Column("in_work", BigInteger, nullable=False, default=0),
    Column("slot_orders", BigInteger),  # so many orders in so many seconds are prepared; null: no limit
    Column("slot_s", BigInteger),
    CheckConstraint("capacity >= 0", name="offers_capacity"),
    CheckConstraint("in_work >= 0", name="offers_in_work"),
)

changes = Table(
    "changes",
    METADATA,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("tx", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("merchant_id", Text),
    Column("at", Instant, nullable=False),
    Index("changes_in_order", "tx", "id"),
    sqlite_autoincrement=True,
)

audit = Table(
    "audit",
    METADATA,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("merchant_id", Text),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("detail", Text),  # JSON: names of what changed, never places or secrets
    Index("audit_of_merchant", "merchant_id", "id"),
    sqlite_autoincrement=True,
)

keys = Table(
    "keys",
    METADATA,
    Column("key_id", Text, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),  # SHA-256 of the key, which is kept nowhere
    Column("scope", Text, nullable=False),
    Column("merchant_id", Text, ForeignKey("merchants.merchant_id")),
    Column("label", Text, nullable=False),
    Column("crew", Text),  # of a crew's key: its point, a slash, its id
    Column("rate", Integer),  # requests a second; null: the default
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    CheckConstraint("scope IN ('admin', 'merchant', 'app', 'planner', 'station', 'crew')", name="keys_scope"),
)

idempotency = Table(
    "idempotency",
    METADATA,
    Column("caller", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("payload_digest", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("headers", Text, nullable=False),  # JSON
    Column("body", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index("idempotency_age", "created_at"),
)

imports = Table(
    "imports",
    METADATA,
    Column("import_id", Text, primary_key=True),
    Column("merchant_id", Text, ForeignKey("merchants.merchant_id"), nullable=False),
    Column("state", Text, nullable=False),  # running, done
    Column("lines_done", BigInteger, nullable=False),
    Column("bytes_done", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),  # SHA-256 of the bytes of those lines
    Column("upserted", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Index("imports_of_merchant", "merchant_id", "import_id"),
)

import_errors = Table(
    "import_errors",
    METADATA,
    Column("import_id", Text, ForeignKey("imports.import_id"), primary_key=True),
    Column("line", BigInteger, primary_key=True),
    Column("slug", Text, nullable=False),
    Column("place", Text, nullable=False),  # a JSON pointer
    Column("reason", Text, nullable=False),
)
