"""
Indexes by which an app's orders in a state are listed, and a buyer's and a device's holds are counted.

Runs before the new code.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the indexes; when an order ended is asked of those alone of whom something is to be forgotten."""
    op.drop_index("orders_of_owner", "orders")
    op.create_index("orders_of_owner", "orders", ["owner", "state", "order_id"])
    op.drop_index("orders_ended", "orders")
    limiting = sa.text("state = 'held' OR state = 'cancelled' OR state = 'expired'")
    for subject in ("buyer", "device"):
        op.create_index(
            f"orders_limiting_{subject}",
            "orders",
            [subject, "state", "order_at"],
            sqlite_where=limiting,
            postgresql_where=limiting,
        )
