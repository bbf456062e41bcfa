"""
Crews, services and booked visits, which are paid as orders are; keys of crews say which.

Runs before the new code.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_POINT = "points.point_id"


def upgrade() -> None:
    """Make the tables."""
    op.execute("ALTER TABLE points ADD COLUMN roster_revision BIGINT DEFAULT 0 NOT NULL")
    op.execute("ALTER TABLE keys ADD COLUMN crew TEXT")
    _rosters()
    _bookings()
    _payments()


def _rosters() -> None:
    for name, column in (("crews", "crew_id"), ("services", "service_id")):
        op.create_table(
            name,
            sa.Column("point_id", sa.Text, sa.ForeignKey(_POINT), primary_key=True),
            sa.Column(column, sa.Text, primary_key=True),
            sa.Column("facts", sa.Text, nullable=False),
            sa.Column("is_deleted", sa.Boolean, nullable=False),
            sa.Column("revision", sa.BigInteger, nullable=False),
        )
    op.create_table(
        "engagements",
        sa.Column("point_id", sa.Text, sa.ForeignKey(_POINT), primary_key=True),
        sa.Column("crew_id", sa.Text, primary_key=True),
        sa.Column("engagement_id", sa.Text, primary_key=True),
        sa.Column("starts_at", sa.BigInteger, nullable=False),
        sa.Column("ends_at", sa.BigInteger, nullable=False),
        sa.Column("lat", sa.Float),
        sa.Column("lng", sa.Float),
        sa.CheckConstraint("starts_at < ends_at", name="engagements_times"),
    )
    op.create_index("engagements_age", "engagements", ["ends_at"])
    op.create_table(
        "shifts",
        sa.Column("point_id", sa.Text, sa.ForeignKey(_POINT), primary_key=True),
        sa.Column("crew_id", sa.Text, primary_key=True),
        sa.Column("starts_at", sa.BigInteger, primary_key=True),
        sa.Column("ends_at", sa.BigInteger, nullable=False),
        sa.Column("day", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.CheckConstraint("starts_at <= ends_at", name="shifts_times"),
    )
    op.create_index("shifts_age", "shifts", ["ends_at"])
    op.create_table(
        "calendars",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("point_id", sa.Text, sa.ForeignKey(_POINT), nullable=False),
        sa.Column("crew_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("calendars_of_crew", "calendars", ["point_id", "crew_id"], unique=True)


def _bookings() -> None:
    op.create_table(
        "bookings",
        sa.Column("booking_id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("merchant_id", sa.Text, sa.ForeignKey("merchants.merchant_id"), nullable=False),
        sa.Column("point_id", sa.Text, sa.ForeignKey(_POINT), nullable=False),
        sa.Column("service_id", sa.Text, nullable=False),
        sa.Column("offer", sa.Text, nullable=False),
        sa.Column("crew_id", sa.Text),
        sa.Column("shift_at", sa.BigInteger),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("buyer", sa.Text),
        sa.Column("device", sa.Text),
        sa.Column("cell", sa.Text),
        sa.Column("lat", sa.Float),
        sa.Column("lng", sa.Float),
        sa.Column("address", sa.Text),
        sa.Column("note", sa.Text),
        sa.Column("duration_s", sa.BigInteger, nullable=False),
        sa.Column("people", sa.Integer, nullable=False),
        sa.Column("skills", sa.Text, nullable=False),
        sa.Column("starts_at", sa.BigInteger, nullable=False),
        sa.Column("ends_at", sa.BigInteger, nullable=False),
        sa.Column("booked_at", sa.BigInteger, nullable=False),
        sa.Column("begun_at", sa.BigInteger),
        sa.Column("done_at", sa.BigInteger),
        sa.Column("cancel_free_until", sa.BigInteger),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("total_minor", sa.BigInteger, nullable=False),
        sa.Column("fee_minor", sa.BigInteger, nullable=False),
        sa.Column("paid_by", sa.Text),
        sa.Column("proof", sa.Text),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("complaint_of", sa.Text),
        sa.CheckConstraint("total_minor >= 0", name="bookings_total"),
        sa.CheckConstraint("starts_at <= ends_at", name="bookings_times"),
    )
    op.create_index("bookings_of_merchant", "bookings", ["merchant_id", "state", "booking_id"])
    op.create_index("bookings_of_point", "bookings", ["point_id", "state", "booking_id"])
    op.create_index("bookings_of_owner", "bookings", ["owner", "booking_id"])
    op.create_index("bookings_of_buyer", "bookings", ["buyer", "booked_at"])
    op.create_index("bookings_of_device", "bookings", ["device", "booked_at"])
    op.create_index("bookings_due", "bookings", ["expires_at"])
    op.create_index("bookings_ended", "bookings", ["ended_at"])
    known = sa.text("complaint_of IS NOT NULL")
    op.create_index("bookings_complaints", "bookings", ["complaint_of"], sqlite_where=known, postgresql_where=known)
    op.create_table(
        "booking_events",
        sa.Column("booking_id", sa.Text, sa.ForeignKey("bookings.booking_id"), primary_key=True),
        sa.Column("revision", sa.BigInteger, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("crew_id", sa.Text),
        sa.Column("starts_at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
    )


def _payments() -> None:
    """Let a payment be of anything: a table made anew, since SQLite cannot take a foreign key off one."""
    op.create_table(
        "payments_of_any",
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("captured_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.CheckConstraint("captured_minor >= 0 AND captured_minor <= amount_minor", name="payments_captured"),
    )
    op.execute("INSERT INTO payments_of_any SELECT * FROM payments")
    op.drop_table("payments")
    op.rename_table("payments_of_any", "payments")
    op.create_index("payments_due", "payments", ["due_at"])
