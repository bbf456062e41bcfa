"""
Stock, orders, payments and webhooks; capacity is what a point can have in work, no longer what is left.

Runs before the new code.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_POINT = "points.point_id"
_ORDER = "orders.order_id"


def upgrade() -> None:
    """Change the registry, and make the tables."""
    _registry()
    _stock()
    _orders()
    _order_parts()
    _webhooks()


def _registry() -> None:
    for statement in (
        "ALTER TABLE merchants ADD COLUMN routing TEXT",
        "ALTER TABLE points ADD COLUMN capacity_revision BIGINT DEFAULT 0 NOT NULL",
        "ALTER TABLE points ADD COLUMN stock_revision BIGINT DEFAULT 0 NOT NULL",
        "ALTER TABLE offers ADD COLUMN in_work BIGINT DEFAULT 0 NOT NULL CONSTRAINT offers_in_work CHECK (in_work >= 0)",
        "ALTER TABLE offers ADD COLUMN slot_orders BIGINT",
        "ALTER TABLE offers ADD COLUMN slot_s BIGINT",
        "UPDATE points SET capacity_revision = coalesce("
        "(SELECT max(stock_revision) FROM offers WHERE offers.point_id = points.point_id), 0)",
        "UPDATE points SET stock_revision = capacity_revision",
        "ALTER TABLE offers DROP COLUMN stock_revision",
    ):
        op.execute(statement)


def _stock() -> None:
    op.create_table(
        "stock",
        sa.Column("point_id", sa.Text, sa.ForeignKey(_POINT), primary_key=True),
        sa.Column("sku", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("price_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("counted", sa.BigInteger),
        sa.Column("held", sa.BigInteger, nullable=False),
        sa.Column("safety", sa.BigInteger, nullable=False),
        sa.Column("counted_at", sa.BigInteger, nullable=False),
        sa.Column("good_for_s", sa.BigInteger),
        sa.Column("is_deleted", sa.Boolean, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.CheckConstraint("price_minor >= 0", name="stock_price"),
        sa.CheckConstraint("counted >= 0", name="stock_counted"),
        sa.CheckConstraint("safety >= 0", name="stock_safety"),
        sa.CheckConstraint("held >= 0 AND held <= counted", name="stock_held"),
    )
    op.create_index("stock_changed", "stock", ["point_id", "revision"])
    op.create_table(
        "slots",
        sa.Column("point_id", sa.Text, primary_key=True),
        sa.Column("offer", sa.Text, primary_key=True),
        sa.Column("starts_at", sa.BigInteger, primary_key=True),
        sa.Column("taken", sa.BigInteger, nullable=False),
        sa.CheckConstraint("taken >= 0", name="slots_taken"),
    )
    op.create_index("slots_age", "slots", ["starts_at"])
    op.create_table(
        "code_tries",
        sa.Column("point_id", sa.Text, primary_key=True),
        sa.Column("since_at", sa.BigInteger, nullable=False),
        sa.Column("wrong", sa.Integer, nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("until_at", sa.BigInteger, nullable=False),
    )


def _orders() -> None:
    op.create_table(
        "orders",
        sa.Column("order_id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("merchant_id", sa.Text, sa.ForeignKey("merchants.merchant_id"), nullable=False),
        sa.Column("point_id", sa.Text, sa.ForeignKey(_POINT), nullable=False),
        sa.Column("offer", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("buyer", sa.Text),
        sa.Column("device", sa.Text),
        sa.Column("collector", sa.Text),
        sa.Column("cell", sa.Text),
        sa.Column("features", sa.Text, nullable=False),
        sa.Column("order_at", sa.BigInteger, nullable=False),
        sa.Column("ready_at", sa.BigInteger, nullable=False),
        sa.Column("handover_at", sa.BigInteger, nullable=False),
        sa.Column("cancel_free_until", sa.BigInteger),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("slot_at", sa.BigInteger),
        sa.Column("currency", sa.Text),
        sa.Column("total_minor", sa.BigInteger, nullable=False),
        sa.Column("fee_minor", sa.BigInteger, nullable=False),
        sa.Column("payment", sa.Text),
        sa.Column("code_number", sa.Integer, nullable=False),
        sa.Column("code_digest", sa.Text),
        sa.Column("ended_at", sa.BigInteger),
        sa.CheckConstraint("total_minor >= 0", name="orders_total"),
    )
    op.create_index("orders_of_merchant", "orders", ["merchant_id", "state", "order_id"])
    op.create_index("orders_of_point", "orders", ["point_id", "state", "order_id"])
    op.create_index("orders_of_owner", "orders", ["owner", "order_id"])
    op.create_index("orders_of_buyer", "orders", ["buyer", "order_at"])
    op.create_index("orders_of_device", "orders", ["device", "order_at"])
    op.create_index("orders_due", "orders", ["due_at"])
    op.create_index("orders_ended", "orders", ["ended_at"])
    op.create_index("orders_code", "orders", ["point_id", "code_digest"], unique=True)


def _order_parts() -> None:
    op.create_table(
        "order_lines",
        sa.Column("order_id", sa.Text, sa.ForeignKey(_ORDER), primary_key=True),
        sa.Column("line", sa.Integer, primary_key=True),
        sa.Column("sku", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("quantity", sa.BigInteger, nullable=False),
        sa.Column("price_minor", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("replaces", sa.Integer),
        sa.Column("answer_by", sa.BigInteger),
        sa.CheckConstraint("quantity > 0", name="order_lines_quantity"),
        sa.CheckConstraint("price_minor >= 0", name="order_lines_price"),
    )
    op.create_table(
        "order_events",
        sa.Column("order_id", sa.Text, sa.ForeignKey(_ORDER), primary_key=True),
        sa.Column("revision", sa.BigInteger, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("point_id", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
    )
    op.create_index("order_events_of_point", "order_events", ["point_id", "event", "at"])
    op.create_table(
        "payments",
        sa.Column("order_id", sa.Text, sa.ForeignKey(_ORDER), primary_key=True),
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
    op.create_index("payments_due", "payments", ["due_at"])


def _webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("webhook_id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text),
        sa.Column("merchant_id", sa.Text, sa.ForeignKey("merchants.merchant_id")),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("old_secret", sa.Text),
        sa.Column("old_until", sa.BigInteger),
        sa.Column("is_disabled", sa.Boolean, nullable=False),
        sa.Column("why_disabled", sa.Text),
        sa.Column("failing_since", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("webhooks_of_owner", "webhooks", ["owner"])
    op.create_index("webhooks_of_merchant", "webhooks", ["merchant_id"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("webhook_id", sa.Text, sa.ForeignKey("webhooks.webhook_id"), primary_key=True),
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("told", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    waits = sa.text("due_at IS NOT NULL")
    op.create_index(
        "webhook_deliveries_due",
        "webhook_deliveries",
        ["webhook_id", "due_at"],
        sqlite_where=waits,
        postgresql_where=waits,
    )
    op.create_index("webhook_deliveries_listed", "webhook_deliveries", ["webhook_id", "created_at", "event_id"])
    op.create_index("webhook_deliveries_of_subject", "webhook_deliveries", ["webhook_id", "subject", "revision"])
    op.create_index("webhook_deliveries_age", "webhook_deliveries", ["created_at"])
