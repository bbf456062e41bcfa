"""All that can be set about the service: ``LINLI_…`` variables, and flags of the command line in front of them."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.errors import ServiceError
from service.webhooks.addresses import networks_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "BadSettingError",
    "LimitSettings",
    "ServerSettings",
    "Settings",
    "StoreSettings",
    "WebhookSettings",
    "has_database",
    "load_settings",
    "names_service",
]

_PREFIX = "LINLI_"
_MAY_HOLD_SECRETS = frozenset({"database", "redis"})
_OF_TESTS = frozenset({"LINLI_TEST_FULL", "LINLI_TEST_ONCE", "LINLI_STRICT_SKIPS", "LINLI_SHARED"})

Seconds = Annotated[float, Field(gt=0, le=3600)]
Kept = Annotated[float, Field(ge=60, le=3_153_600_000)]
"""Seconds, up to a hundred years."""


class BadSettingError(ServiceError):
    """A setting that cannot be used, or a variable that is none."""


class _Group(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, frozen=True, extra="forbid", env_ignore_empty=True, hide_input_in_errors=True
    )


class StoreSettings(_Group):
    """Where the facts are."""

    data: Path = Field(Path("linli-data"), description="Folder of the SQLite file and of the index's snapshots.")
    database: str | None = Field(
        None, description="postgresql+psycopg://… ; none for the SQLite file in the data folder."
    )
    redis: str | None = Field(None, description="redis://… or unix://…, to wake workers and share limits.")
    pool: int = Field(
        8, ge=1, le=64, description="PostgreSQL connections of one worker; reads leave two of them to writes."
    )
    poll_s: Seconds = Field(0.05, description="How often a follower looks for changes when nobody wakes it.")
    verify_s: Seconds = Field(60.0, description="How often the index is compared with the store.")
    snapshot_s: Seconds = Field(300.0, description="How often a changed index is written to the data folder.")
    keep_changes_s: Kept = Field(7 * 86_400.0, description="How long change records are kept.")
    keep_buyers_s: Kept = Field(
        7 * 86_400.0, description="How long it is kept whose an order or a visit was, once it has ended."
    )

    @field_validator("database")
    @classmethod
    def _postgres(cls, url: str | None) -> str | None:
        if url is not None and not _is_postgres(url):
            message = "must be like postgresql://user:password@host:5432/name"
            raise ValueError(message)
        return url

    @field_validator("redis")
    @classmethod
    def _redis(cls, url: str | None) -> str | None:
        if url is not None and not _is_redis(url):
            message = "must be like redis://user:password@host:6379/0, rediss://… or unix:///path"
            raise ValueError(message)
        return url


def _checked_networks(text: str) -> str:
    networks_of(text)  # raises what names the fault
    return text


class ServerSettings(_Group):
    """Where and how it listens."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")
    workers: int = Field(1, ge=1, le=64, description="Processes; more than one needs PostgreSQL.")
    proxies: str = Field("", description="Addresses or networks, comma separated, whose X-Forwarded-For counts.")
    drain_s: Seconds = Field(8.0, description="How long a stopping server lets running requests end.")
    announce_s: float = Field(0.5, ge=0, le=60, description="How long it tells /readyz before it stops listening.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level of a log line.")

    _addresses = field_validator("proxies")(_checked_networks)  # uvicorn would take a fault for a name that nobody has


class LimitSettings(_Group):
    """What one caller, one request may take."""

    deadline_s: Seconds = Field(3.0, description="What a request may take, storage and locks included.")
    bulk_deadline_s: Seconds = Field(600.0, description="The same for a bulk upsert.")
    receive_s: Seconds = Field(10.0, description="How long a request may take to arrive.")
    inflight: int = Field(
        256,
        ge=1,
        description="Requests at once, half as many of a merchant or of a key without one; more are told to try again.",
    )
    write_queue: int = Field(512, ge=1, description="Writes that wait for storage at once.")
    streams: int = Field(
        200, ge=1, description="Event streams open at once in a worker, a quarter as many of a merchant."
    )
    key_rate: int = Field(500, ge=1, description="Requests a second that one key may make.")
    ip_rate: int = Field(50, ge=1, description="Requests a second without a valid key from one address.")
    verify_at_once: bool = Field(
        False, description="New merchants are verified: for a shop that runs linli for itself."
    )


class WebhookSettings(_Group):
    """Where webhooks may go, and how long they may take."""

    webhook_allow: str = Field(
        "",
        description="Networks, comma separated, that webhooks may reach though they are not public, at any port and by "
        "http too: for receivers in your own network, and for tests.",
    )
    webhook_ca: Path | None = Field(
        None, description="File of the certificate authorities that receivers are checked by; none for the system's."
    )
    webhook_timeout_s: float = Field(20.0, gt=0, le=30, description="What one try of a webhook may take.")

    _networks = field_validator("webhook_allow")(_checked_networks)

    @field_validator("webhook_ca")
    @classmethod
    def _authorities(cls, path: Path | None) -> Path | None:
        if path is not None:
            _check_authorities(path)
        return path


_GROUPS = (StoreSettings, ServerSettings, LimitSettings, WebhookSettings)


class Settings:
    """All groups."""

    def __init__(
        self, store: StoreSettings, server: ServerSettings, limits: LimitSettings, webhooks: WebhookSettings
    ) -> None:
        self.store = store
        self.server = server
        self.limits = limits
        self.webhooks = webhooks

    @property
    def database_url(self) -> str:
        """The database's address: of PostgreSQL as SQLAlchemy reads it, of a SQLite file its path as it is."""
        if self.store.database is None:
            return f"sqlite:///{self.store.data / 'linli.db'}"
        return self.store.database.replace("postgresql://", "postgresql+psycopg://", 1)

    def environment(self) -> dict[str, str]:
        """Return the variables that tell another process what was set."""
        groups = (self.store, self.server, self.limits, self.webhooks)
        told = {name: value for group in groups for name, value in group.model_dump(exclude_unset=True).items()}
        return {f"{_PREFIX}{name}".upper(): str(value) for name, value in told.items() if value is not None}


def load_settings(environment: Mapping[str, str] | None = None, **flags: Any) -> Settings:
    """
    Read the environment; flags that are not None go before it, and a data folder without a database means SQLite.

    Raises
    ------
    BadSettingError
        For a ``LINLI_`` variable that is no setting, or a value out of range, naming what is allowed.
    """
    given = dict(os.environ if environment is None else environment)
    names = {f"{_PREFIX}{name}".upper(): name for group in _GROUPS for name in group.model_fields}
    for variable in sorted(given):
        if variable.upper().startswith(_PREFIX) and variable not in names and variable not in _OF_TESTS:
            near = difflib.get_close_matches(variable, names, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(names)}"
            text = f"{variable} is no setting of linli{hint}"
            raise BadSettingError(text)
    values: dict[str, Any] = {names[key]: value for key, value in given.items() if key in names and value}
    if "database" in values and flags.get("data") is not None and flags.get("database") is None:
        values |= {"database": None, "workers": 1}  # the environment's, and on SQLite there is one process
    values |= {name: value for name, value in flags.items() if value is not None}
    made = [_made(group, {name: values[name] for name in group.model_fields if name in values}) for group in _GROUPS]
    settings = Settings(*made)
    if settings.server.workers > 1 and settings.store.database is None:
        raise BadSettingError("workers must be 1 with SQLite; give --database postgresql+psycopg://… for more")
    return settings


def has_database(environment: Mapping[str, str] | None = None) -> bool:
    """Tell whether the environment names a database."""
    return bool((os.environ if environment is None else environment).get(f"{_PREFIX}DATABASE"))


def names_service(environment: Mapping[str, str] | None = None) -> bool:
    """Tell whether the environment names anything that a service stands on."""
    found = os.environ if environment is None else environment
    return any(found.get(f"{_PREFIX}{name}") for name in ("DATA", "DATABASE", "REDIS"))


def _made(group: type[_Group], values: dict[str, Any]) -> Any:
    try:
        return group.model_construct() if not values and not group.model_fields else group(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        got = "" if name in _MAY_HOLD_SECRETS else f", got {first['input']!r:.80}"
        reason = first["msg"].removeprefix("Value error, ")
        text = f"{_PREFIX}{name.upper()} (or --{name.replace('_', '-')}): {reason}{got}"
        raise BadSettingError(text) from error


def _check_authorities(path: Path) -> None:
    import ssl

    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:  # ssl.SSLError is one, for a file of something else
        message = f"must be a file of certificates in PEM that can be read ({error.strerror or error})"
        raise ValueError(message) from error


def _is_postgres(url: str) -> bool:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).drivername in {"postgresql", "postgresql+psycopg"}
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        return False


def _is_redis(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for what is no port
    except ValueError:
        return False
    return parts.scheme in {"redis", "rediss", "unix"} and re.match("[a-z]+://.", url) is not None


def settings_table() -> str:
    """Return all settings as a Markdown table, for the page of those who run linli."""
    lines = ["| variable | what it is | default |", "| --- | --- | --- |"]
    for group in _GROUPS:
        for name, field in group.model_fields.items():
            default = "" if field.default in (None, "") else f"`{field.default}`"
            lines.append(f"| `{_PREFIX}{name.upper()}` | {field.description} | {default} |")
    return "\n".join(lines) + "\n"
