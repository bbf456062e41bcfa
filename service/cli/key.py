"""``linli key``: make, revoke and list keys, beside a running server or before the first start."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.instants import read_instant
from service.cli.store_options import Data, Database

if TYPE_CHECKING:
    from service.store.connections import AnyRow, ReadConnection, WriteConnection
    from service.store.database import Store

__all__ = ["register"]

_PAGE = 200


class Scope(StrEnum):
    """What a key may."""

    admin = "admin"
    merchant = "merchant"
    app = "app"
    planner = "planner"
    station = "station"
    crew = "crew"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Make, revoke and list keys, beside a running server or before the first start.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("create")(create_command)
    group.command("revoke")(revoke_command)
    group.command("list")(list_command)
    app.add_typer(group, name="key")


def create_command(
    scope: Annotated[Scope, typer.Option(help="What it may.")],
    merchant: Annotated[str | None, typer.Option(help="Whose it is; needed for scope merchant.")] = None,
    crew: Annotated[
        str | None, typer.Option(help="Of scope crew: whose day it sees, such as corner:main/anna.")
    ] = None,
    label: Annotated[
        str, typer.Option(help="What it is for, to know it again; keys of scope app with the same one are one app.")
    ] = "",
    rate: Annotated[int | None, typer.Option(min=1, max=1_000_000, help="Requests a second [the server's].")] = None,
    expires: Annotated[str | None, typer.Option(help="When it ends, such as 2027-01-01T00:00:00Z [never].")] = None,
    data: Data = None,
    database: Database = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Make a key and print its secret, this once."""
    from service.clock import FIRST_YEAR, LAST_YEAR, to_us
    from service.keys.rules import fault_of_key
    from service.keys.store import create_key
    from service.merchants.store import find_merchant

    fault = fault_of_key(scope.value, merchant, crew)
    if fault is not None:
        raise typer.BadParameter(fault[1], param_hint="--crew" if fault[0] == "crew" else "--merchant")
    for option, text, most in (("--label", label, 200), ("--crew", crew, 250), ("--merchant", merchant, 40)):
        _check_line(text, option, most)
    ends_at = read_instant(expires, option="--expires", example="2027-01-01T00:00:00Z")
    if ends_at is not None and not FIRST_YEAR <= ends_at.year <= LAST_YEAR:
        text = f"must lie in the years {FIRST_YEAR} to {LAST_YEAR}, got {expires!r:.40}"
        raise typer.BadParameter(text, param_hint="--expires")
    expires_us = None if ends_at is None else to_us(ends_at)

    def create(connection: WriteConnection) -> Any:
        if merchant is not None and find_merchant(connection, merchant) is None:
            raise _unknown("merchant", merchant)
        if expires_us is not None and expires_us <= connection.now_us:
            raise typer.BadParameter("must lie in the future", param_hint="--expires")
        return create_key(
            connection,
            scope=scope.value,
            label=label,
            merchant_id=merchant,
            crew=crew,
            rate=rate,
            expires_us=expires_us,
        )

    with _store(data, database, is_made=True) as store:
        key = store.write_now(create)
    if as_json:
        _print_json({**_told(key.row), "secret": key.secret})
        return
    typer.echo(f"{key.row.key_id}, scope {scope.value}; its secret is shown this once:", err=True)
    typer.echo(key.secret)


def revoke_command(
    key_id: Annotated[str, typer.Argument(help="Its name, such as key_1f2e…; 'linli key list' tells it.")],
    data: Data = None,
    database: Database = None,
) -> None:
    """Revoke a key: within 2 seconds no server takes it any more."""
    from service.keys.store import revoke_key

    _check_line(key_id, "KEY_ID", 40)
    with _store(data, database) as store:
        row = store.write_now(lambda connection: revoke_key(connection, key_id))
    if row is None:
        raise _unknown("key", key_id)
    typer.echo(f"{key_id} is revoked")


def list_command(
    data: Data = None,
    database: Database = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """List all keys, without their secrets, which are kept nowhere."""
    with _store(data, database) as store:
        rows = [_told(row) for row in store.read_now(_all_keys)]
    if as_json:
        _print_json(rows)
        return
    for row in rows:
        ends = "revoked" if row["revoked_at"] else f"until {row['expires_at']}" if row["expires_at"] else "lives"
        whose = row["crew"] or row["merchant_id"] or "-"
        typer.echo(f"{row['key_id']}  {row['scope']:<8}  {whose}  {ends}  {row['label']}")


def _store(data: Path | None, database: str | None, *, is_made: bool = False) -> Store:
    """Open the store that the options name; only where ``is_made`` one that is not there yet is made."""
    from service.clock import SystemClock
    from service.errors import StoreStateError
    from service.settings import load_settings
    from service.store.opening import open_store

    settings = load_settings(data=data, database=database)
    is_new = settings.store.database is None and not (settings.store.data / "linli.db").exists()
    if is_new and not is_made:
        text = f"{settings.store.data} holds no linli.db: name the folder with --data, or a database with --database"
        raise StoreStateError(text)
    store = open_store(settings, SystemClock())
    if is_new:
        told = f"{settings.store.data} held no linli.db, and has a new one now: only a server with this --data takes the key"
        typer.echo(told, err=True)
    return store


def _all_keys(connection: ReadConnection) -> list[AnyRow]:
    from service.keys.store import list_keys

    found: list[AnyRow] = []
    while True:
        page = list_keys(connection, after=found[-1].key_id if found else "", limit=_PAGE)
        found += page
        if len(page) < _PAGE:
            return found


def _told(row: AnyRow) -> dict[str, Any]:
    told = {name: getattr(row, name) for name in ("key_id", "scope", "merchant_id", "label", "crew", "rate")}
    return told | {name: _written(getattr(row, name)) for name in ("created_at", "expires_at", "revoked_at")}


def _written(us: int | None) -> str | None:
    from service.clock import from_us

    return None if us is None else from_us(us).isoformat().replace("+00:00", "Z")


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def _check_line(text: str | None, option: str, most: int) -> None:
    if text is not None and (len(text) > most or not text.isprintable()):
        message = f"must be one line of at most {most} characters"
        raise typer.BadParameter(message, param_hint=option)


def _unknown(noun: str, name: str) -> Exception:
    from service.errors import ServiceError

    text = f"there is no {noun} {name:.60}"
    return ServiceError(text)
