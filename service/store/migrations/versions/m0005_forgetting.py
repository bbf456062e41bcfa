"""
Indexes of those orders and bookings alone of which something is still to be forgotten.

Runs before the new code.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the indexes; of ended bookings nothing else is asked."""
    known = sa.text("buyer IS NOT NULL")
    op.create_index("orders_to_forget", "orders", ["ended_at"], sqlite_where=known, postgresql_where=known)
    op.drop_index("bookings_ended", "bookings")
    known = sa.text("buyer IS NOT NULL OR lat IS NOT NULL")
    op.create_index("bookings_to_forget", "bookings", ["ended_at"], sqlite_where=known, postgresql_where=known)
