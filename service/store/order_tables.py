"""The tables of stock, orders, payments and webhooks; with them `METADATA` knows all tables."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text, text

from service.store.tables import METADATA, Instant

__all__ = [
    "METADATA",
    "code_tries",
    "leases",
    "order_events",
    "order_lines",
    "orders",
    "payments",
    "slots",
    "stock",
    "webhook_deliveries",
    "webhooks",
]

_IS_KNOWN = text("buyer IS NOT NULL")
_IS_LIMITING = text("state = 'held' OR state = 'cancelled' OR state = 'expired'")  # OR: so SQLite sees what one implies

stock = Table(
    "stock",
    METADATA,
    Column("point_id", Text, ForeignKey("points.point_id"), primary_key=True),
    Column("sku", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("price_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),  # ISO 4217
    Column("counted", BigInteger),  # units there, those held among them; null: made to order, no limit
    Column("held", BigInteger, nullable=False),  # of open orders
    Column("safety", BigInteger, nullable=False),  # kept back for those who come to the shelf
    Column("counted_at", Instant, nullable=False),
    Column("good_for_s", BigInteger),  # how long a count is trusted; null: until the next
    Column("is_deleted", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False),  # the point's stock_revision of its last change
    CheckConstraint("price_minor >= 0", name="stock_price"),
    CheckConstraint("counted >= 0", name="stock_counted"),
    CheckConstraint("safety >= 0", name="stock_safety"),
    CheckConstraint("held >= 0 AND held <= counted", name="stock_held"),
    Index("stock_changed", "point_id", "revision"),
)

slots = Table(
    "slots",
    METADATA,
    Column("point_id", Text, primary_key=True),
    Column("offer", Text, primary_key=True),
    Column("starts_at", Instant, primary_key=True),
    Column("taken", BigInteger, nullable=False),
    CheckConstraint("taken >= 0", name="slots_taken"),
    Index("slots_age", "starts_at"),
)

orders = Table(
    "orders",
    METADATA,
    Column("order_id", Text, primary_key=True),
    Column("owner", Text, nullable=False),  # the app that ordered
    Column("merchant_id", Text, ForeignKey("merchants.merchant_id"), nullable=False),
    Column("point_id", Text, ForeignKey("points.point_id"), nullable=False),
    Column("offer", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("buyer", Text),  # digests: whose orders they are can be asked, who it is cannot
    Column("device", Text),
    Column("collector", Text),  # the digest of who else may collect it
    Column("cell", Text),  # of the customer's place, resolution 8: no finer one is kept
    Column("features", Text, nullable=False),  # that were asked for
    Column("order_at", Instant, nullable=False),
    Column("ready_at", Instant, nullable=False),  # the promise, then the fact
    Column("handover_at", Instant, nullable=False),
    Column("cancel_free_until", Instant),
    Column("expires_at", Instant),  # when its state ends by itself
    Column("due_at", Instant),  # when somebody must look at it next: to remind, or as it expires
    Column("slot_at", Instant),
    Column("currency", Text),
    Column("total_minor", BigInteger, nullable=False),
    Column("fee_minor", BigInteger, nullable=False),
    Column("payment", Text),  # counter, online; null until it is placed
    Column("code_number", Integer, nullable=False),
    Column("code_digest", Text),  # null once it was used
    Column("ended_at", Instant),
    Column(
        "max_points", Integer, nullable=False, default=1
    ),  # between as many it may be divided, once, where one rejects
    Column("split_of", Text),  # the order that it is a part of, and is paid with
    CheckConstraint("total_minor >= 0", name="orders_total"),
    Index("orders_of_merchant", "merchant_id", "state", "order_id"),
    Index("orders_of_point", "point_id", "state", "order_id"),
    Index("orders_of_owner", "owner", "state", "order_id"),
    Index("orders_of_buyer", "buyer", "order_at"),
    Index("orders_of_device", "device", "order_at"),
    *(
        Index(
            f"orders_limiting_{subject}",
            subject,
            "state",
            "order_at",
            sqlite_where=_IS_LIMITING,
            postgresql_where=_IS_LIMITING,
        )
        for subject in ("buyer", "device")
    ),
    Index("orders_due", "due_at"),
    Index("orders_to_forget", "ended_at", sqlite_where=_IS_KNOWN, postgresql_where=_IS_KNOWN),
    Index("orders_code", "point_id", "code_digest", unique=True),
    Index(
        "orders_split",
        "split_of",
        sqlite_where=text("split_of IS NOT NULL"),
        postgresql_where=text("split_of IS NOT NULL"),
    ),
)

order_lines = Table(
    "order_lines",
    METADATA,
    Column("order_id", Text, ForeignKey("orders.order_id"), primary_key=True),
    Column("line", Integer, primary_key=True),
    Column("sku", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("price_minor", BigInteger, nullable=False),
    Column("state", Text, nullable=False),  # wanted, offered, declined, replaced, missing, parted
    Column("replaces", Integer),  # the line in whose place it is offered
    Column("answer_by", Instant),
    CheckConstraint("quantity > 0", name="order_lines_quantity"),
    CheckConstraint("price_minor >= 0", name="order_lines_price"),
)

order_events = Table(
    "order_events",
    METADATA,
    Column("order_id", Text, ForeignKey("orders.order_id"), primary_key=True),
    Column("revision", BigInteger, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("event", Text, nullable=False),
    Column("state", Text, nullable=False),  # after it
    Column("point_id", Text, nullable=False),  # before it
    Column("actor", Text, nullable=False),  # a key's id, clock or provider
    Column("reason", Text),
    Index("order_events_of_point", "point_id", "event", "at"),
)

payments = Table(
    "payments",
    METADATA,
    Column("subject", Text, primary_key=True),  # the order or the booking that is paid
    Column(
        "state", Text, nullable=False
    ),  # authorising, authorised, declined, capturing, captured, releasing, released
    Column("amount_minor", BigInteger, nullable=False),
    Column("captured_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("attempt", Integer, nullable=False),  # drawn; with the subject it names the authorisation to the provider
    Column("tries", Integer, nullable=False),
    Column("due_at", Instant),  # when the provider is asked again
    Column("updated_at", Instant, nullable=False),
    CheckConstraint("captured_minor >= 0 AND captured_minor <= amount_minor", name="payments_captured"),
    Index("payments_due", "due_at"),
)

code_tries = Table(
    "code_tries",
    METADATA,
    Column("point_id", Text, primary_key=True),
    Column("since_at", Instant, nullable=False),
    Column("wrong", Integer, nullable=False),
)

leases = Table(
    "leases",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),  # rises with each holder: a late one is refused by it
    Column("until_at", Instant, nullable=False),
)

webhooks = Table(
    "webhooks",
    METADATA,
    Column("webhook_id", Text, primary_key=True),
    Column("owner", Text),  # the app whose orders it hears of
    Column("merchant_id", Text, ForeignKey("merchants.merchant_id")),  # or the merchant
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("old_secret", Text),  # those before, with spaces between: they sign too, each until its own end, or
    Column("old_until", Instant),
    Column("is_disabled", Boolean, nullable=False),
    Column("why_disabled", Text),
    Column("failing_since", Instant),
    Column("created_at", Instant, nullable=False),
    Index("webhooks_of_owner", "owner"),
    Index("webhooks_of_merchant", "merchant_id"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    METADATA,
    Column("webhook_id", Text, ForeignKey("webhooks.webhook_id"), primary_key=True),
    Column("event_id", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", Text, nullable=False),  # waiting, delivered, given_up
    Column("tries", Integer, nullable=False),
    Column("due_at", Instant),  # of those that wait
    Column("told", Text),  # of the last try: a status, or why there is none
    Column("created_at", Instant, nullable=False),
    Index(
        "webhook_deliveries_due",
        "webhook_id",
        "due_at",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
    Index("webhook_deliveries_of_subject", "webhook_id", "subject", "revision"),
    Index("webhook_deliveries_listed", "webhook_id", "created_at", "event_id"),
    Index("webhook_deliveries_age", "created_at"),
)
