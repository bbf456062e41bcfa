"""The tables of crews, services and booked visits; with them `METADATA` knows all tables."""

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
    Table,
    Text,
    text,
)

from service.store.order_tables import METADATA
from service.store.tables import Instant

__all__ = [
    "METADATA",
    "booking_events",
    "bookings",
    "calendars",
    "crews",
    "engagements",
    "services",
    "shifts",
]

_COMPLAINS = text("complaint_of IS NOT NULL")
_IS_KNOWN = text("buyer IS NOT NULL OR lat IS NOT NULL")

crews = Table(
    "crews",
    METADATA,
    Column("point_id", Text, ForeignKey("points.point_id"), primary_key=True),
    Column("crew_id", Text, primary_key=True),
    Column("facts", Text, nullable=False),  # JSON, as `service.crews.facts` writes it
    Column("is_deleted", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False),
)

services = Table(
    "services",
    METADATA,
    Column("point_id", Text, ForeignKey("points.point_id"), primary_key=True),
    Column("service_id", Text, primary_key=True),
    Column("facts", Text, nullable=False),  # JSON
    Column("is_deleted", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False),
)

engagements = Table(
    "engagements",
    METADATA,
    Column("point_id", Text, ForeignKey("points.point_id"), primary_key=True),
    Column("crew_id", Text, primary_key=True),
    Column("engagement_id", Text, primary_key=True),
    Column("starts_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Column("lat", Float),  # null: wherever the crew is
    Column("lng", Float),
    CheckConstraint("starts_at < ends_at", name="engagements_times"),
    Index("engagements_age", "ends_at"),
)

shifts = Table(
    "shifts",
    METADATA,
    Column("point_id", Text, ForeignKey("points.point_id"), primary_key=True),
    Column("crew_id", Text, primary_key=True),
    Column("starts_at", Instant, primary_key=True),
    Column("ends_at", Instant, nullable=False),
    Column("day", Text, nullable=False),  # JSON: both ends, and all stops in their order
    Column("revision", BigInteger, nullable=False),  # each change of the day demands the one that was read
    CheckConstraint("starts_at <= ends_at", name="shifts_times"),
    Index("shifts_age", "ends_at"),
)

calendars = Table(
    "calendars",
    METADATA,
    Column("digest", Text, primary_key=True),  # of the link's secret
    Column("point_id", Text, ForeignKey("points.point_id"), nullable=False),
    Column("crew_id", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index("calendars_of_crew", "point_id", "crew_id", unique=True),
)

bookings = Table(
    "bookings",
    METADATA,
    Column("booking_id", Text, primary_key=True),
    Column("owner", Text, nullable=False),  # the app that booked
    Column("merchant_id", Text, ForeignKey("merchants.merchant_id"), nullable=False),
    Column("point_id", Text, ForeignKey("points.point_id"), nullable=False),
    Column("service_id", Text, nullable=False),
    Column("offer", Text, nullable=False),
    Column("crew_id", Text),  # who comes; null where nobody can
    Column("shift_at", Instant),  # in which of its shifts
    Column("state", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("buyer", Text),  # digests
    Column("device", Text),
    Column("cell", Text),  # of the customer's place, resolution 8: all that is kept of it for good
    Column("lat", Float),  # until the visit is over
    Column("lng", Float),
    Column("address", Text),
    Column("note", Text),  # what the customer complained about
    Column("duration_s", BigInteger, nullable=False),
    Column("people", Integer, nullable=False),
    Column("skills", Text, nullable=False),  # joined as features are
    Column("starts_at", Instant, nullable=False),  # the window in which it begins
    Column("ends_at", Instant, nullable=False),
    Column("booked_at", Instant, nullable=False),
    Column("begun_at", Instant),
    Column("done_at", Instant),
    Column("cancel_free_until", Instant),
    Column("expires_at", Instant),  # when its state ends by itself
    Column("currency", Text, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("fee_minor", BigInteger, nullable=False),
    Column("paid_by", Text),  # how it was paid: cash, card, other
    Column("proof", Text),  # JSON, what the norm asks for by name
    Column("ended_at", Instant),
    Column("complaint_of", Text),  # the booking that this visit makes good
    CheckConstraint("total_minor >= 0", name="bookings_total"),
    CheckConstraint("starts_at <= ends_at", name="bookings_times"),
    Index("bookings_of_merchant", "merchant_id", "state", "booking_id"),
    Index("bookings_of_point", "point_id", "state", "booking_id"),
    Index("bookings_of_owner", "owner", "booking_id"),
    Index("bookings_of_buyer", "buyer", "booked_at"),
    Index("bookings_of_device", "device", "booked_at"),
    Index("bookings_due", "expires_at"),
    Index("bookings_to_forget", "ended_at", sqlite_where=_IS_KNOWN, postgresql_where=_IS_KNOWN),
    Index("bookings_complaints", "complaint_of", sqlite_where=_COMPLAINS, postgresql_where=_COMPLAINS),
)

booking_events = Table(
    "booking_events",
    METADATA,
    Column("booking_id", Text, ForeignKey("bookings.booking_id"), primary_key=True),
    Column("revision", BigInteger, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("event", Text, nullable=False),
    Column("state", Text, nullable=False),  # after it
    Column("crew_id", Text),  # after it
    Column("starts_at", Instant, nullable=False),  # after it
    Column("actor", Text, nullable=False),  # a key's id, clock or provider
    Column("reason", Text),
)
