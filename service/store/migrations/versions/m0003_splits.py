"""
Orders that are divided between several points.

Runs before the new code.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Say of each order between how many points it may be divided, and which it is a part of."""
    op.execute("ALTER TABLE orders ADD COLUMN max_points INTEGER DEFAULT 1 NOT NULL")
    op.execute("ALTER TABLE orders ADD COLUMN split_of TEXT")
    known = sa.text("split_of IS NOT NULL")
    op.create_index("orders_split", "orders", ["split_of"], sqlite_where=known, postgresql_where=known)
