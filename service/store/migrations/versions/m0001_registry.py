"""
The registry: merchants, points, offers, keys, the outbox and the audit trail.

Runs before the first code.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _registry()
    _feed()
    _access()
    _imports()


def _registry() -> None:
    op.create_table(
        "merchants",
        sa.Column("merchant_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.CheckConstraint("status IN ('unverified', 'verified', 'suspended')", name="merchants_status"),
    )
    op.create_table(
        "points",
        sa.Column("point_id", sa.Text, primary_key=True),
        sa.Column("merchant_id", sa.Text, sa.ForeignKey("merchants.merchant_id"), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("address", sa.Text),
        sa.Column("lat", sa.Float, nullable=False),
        sa.Column("lng", sa.Float, nullable=False),
        sa.Column("timezone", sa.Text),
        sa.Column("country", sa.Text),
        sa.Column("visibility", sa.Text, nullable=False),
        sa.Column("features", sa.Text, nullable=False),
        sa.Column("special_days", sa.Text),
        sa.Column("is_paused", sa.Boolean, nullable=False),
        sa.Column("is_synthetic", sa.Boolean, nullable=False),
        sa.Column("is_deleted", sa.Boolean, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_index("points_of_merchant", "points", ["merchant_id", "point_id"])
    op.create_table(
        "offers",
        sa.Column("point_id", sa.Text, sa.ForeignKey("points.point_id"), primary_key=True),
        sa.Column("offer", sa.Text, primary_key=True),
        sa.Column("radius_m", sa.Float),
        sa.Column("area", sa.LargeBinary),
        sa.Column("hours", sa.Text),
        sa.Column("capacity", sa.BigInteger),
        sa.Column("lead_s", sa.BigInteger, nullable=False),
        sa.Column("is_paused", sa.Boolean, nullable=False),
        sa.Column("stock_revision", sa.BigInteger, nullable=False),
        sa.CheckConstraint("capacity >= 0", name="offers_capacity"),
    )


def _feed() -> None:
    op.create_table("marks", sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False))
    op.create_table(
        "changes",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("tx", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("merchant_id", sa.Text),
        sa.Column("at", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("changes_in_order", "changes", ["tx", "id"])


def _access() -> None:
    op.create_table(
        "audit",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("merchant_id", sa.Text),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("detail", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_of_merchant", "audit", ["merchant_id", "id"])
    op.create_table(
        "keys",
        sa.Column("key_id", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False, unique=True),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("merchant_id", sa.Text, sa.ForeignKey("merchants.merchant_id")),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("rate", sa.Integer),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.CheckConstraint("scope IN ('admin', 'merchant', 'app', 'planner', 'station', 'crew')", name="keys_scope"),
    )
    op.create_table(
        "idempotency",
        sa.Column("caller", sa.Text, primary_key=True),
        sa.Column("route", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("payload_digest", sa.Text, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("headers", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("idempotency_age", "idempotency", ["created_at"])


def _imports() -> None:
    op.create_table(
        "imports",
        sa.Column("import_id", sa.Text, primary_key=True),
        sa.Column("merchant_id", sa.Text, sa.ForeignKey("merchants.merchant_id"), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("lines_done", sa.BigInteger, nullable=False),
        sa.Column("bytes_done", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("upserted", sa.BigInteger, nullable=False),
        sa.Column("rejected", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_index("imports_of_merchant", "imports", ["merchant_id", "import_id"])
    op.create_table(
        "import_errors",
        sa.Column("import_id", sa.Text, sa.ForeignKey("imports.import_id"), primary_key=True),
        sa.Column("line", sa.BigInteger, primary_key=True),
        sa.Column("slug", sa.Text, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
