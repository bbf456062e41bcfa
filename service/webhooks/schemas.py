"""What requests and answers about webhooks hold."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field

from service.bookings.days import VISIT
from service.clock import from_us
from service.http.fields import Answer, Body, Id

if TYPE_CHECKING:
    from service.store.connections import AnyRow

__all__ = [
    "AskedWebhook",
    "Delivery",
    "DeliveryPage",
    "Webhook",
    "WebhookOnce",
    "WebhookPage",
    "delivery_of",
    "webhook_of",
    "webhook_once",
]

DeliveryState: TypeAlias = Literal["waiting", "delivered", "given_up"]

Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2000,
        description="https, port 443 or 8443, a host of the public internet.",
        examples=["https://shop.example/hooks/linli"],
    ),
]


class AskedWebhook(Body):
    """A webhook to make."""

    url: Url
    merchant_id: Id | None = Field(
        None, description="As an admin: whose orders it hears of, of all without. Else your own is meant."
    )


class Webhook(Answer):
    """A webhook, without its secret."""

    webhook_id: str
    url: str
    merchant_id: str | None = Field(description="It hears of the orders of this merchant,")
    app: str | None = Field(description="or of those that this app has made; with neither, of all.")
    state: Literal["enabled", "disabled"]
    why_disabled: str | None
    failing_since: dt.datetime | None = Field(description="Since when nothing could be delivered.")
    old_secret_until: dt.datetime | None = Field(description="Until when the secret before signs too.")
    created_at: dt.datetime


class WebhookOnce(Webhook):
    """A webhook with its new secret: it is told once, and null where the request comes again."""

    secret: str | None = Field(description="`whsec_` and 32 bytes in Base64.")


class WebhookPage(Answer):
    """Webhooks by their ids."""

    items: list[Webhook]
    next_cursor: str | None


class Delivery(Answer):
    """An event, and whether it came to its receiver."""

    event_id: str = Field(description="The `webhook-id` that it is sent with, at each try.")
    order_id: str | None = Field(description="The order that it is about,")
    booking_id: str | None = Field(description="or the visit.")
    revision: int
    state: DeliveryState
    tries: int
    told: str | None = Field(description="What came of the last try: a status, or why there is none.")
    due_at: dt.datetime | None = Field(
        description="When it is tried next; null where an earlier event must go first, or the webhook is disabled."
    )
    created_at: dt.datetime


class DeliveryPage(Answer):
    """Deliveries, the latest first."""

    items: list[Delivery]
    next_cursor: str | None


def webhook_of(row: AnyRow, now_us: int) -> Webhook:
    """Return what is told of a row."""
    has_old = row.old_until is not None and row.old_until > now_us
    return Webhook(
        webhook_id=row.webhook_id,
        url=row.url,
        merchant_id=row.merchant_id,
        app=row.owner,
        state="disabled" if row.is_disabled else "enabled",
        why_disabled=row.why_disabled,
        failing_since=None if row.failing_since is None else from_us(row.failing_since),
        old_secret_until=from_us(row.old_until) if has_old else None,
        created_at=from_us(row.created_at),
    )


def webhook_once(row: AnyRow, now_us: int, *, secret: str | None) -> bytes:
    """Return the answer that tells a secret, or that does not."""
    return WebhookOnce(**webhook_of(row, now_us).model_dump(), secret=secret).model_dump_json().encode()


def delivery_of(row: AnyRow, *, is_disabled: bool) -> Delivery:
    """Return what is told of a row; ``is_disabled`` is of its webhook."""
    is_of_visit = row.subject.startswith(VISIT)
    return Delivery(
        event_id=row.event_id,
        order_id=None if is_of_visit else row.subject,
        booking_id=row.subject if is_of_visit else None,
        revision=row.revision,
        state=row.state,
        tries=row.tries,
        told=row.told,
        due_at=None if row.due_at is None or is_disabled else from_us(row.due_at),
        created_at=from_us(row.created_at),
    )
