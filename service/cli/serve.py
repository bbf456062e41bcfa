"""``linli serve``: the engine as a service."""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import socket

    from service.services import Services
    from service.settings import Settings
    from service.store.database import Store

__all__ = ["register"]

_DEMO_FOLDER = Path("linli-demo/service")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve")(serve_command)


def serve_command(
    data: Annotated[
        Path | None, typer.Option(help="Folder of the SQLite file and of the index's snapshots [linli-data].")
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="postgresql+psycopg://…, for more than one process; SQLite without.")
    ] = None,
    redis: Annotated[str | None, typer.Option(help="redis://…, to wake workers at once and share rate limits.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on [127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on, 0 for a free one [8080].")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; more than one needs --database [1].")] = None,
    proxies: Annotated[
        str | None, typer.Option(help="Addresses or networks whose X-Forwarded-For counts, comma separated.")
    ] = None,
    verify_at_once: Annotated[
        bool | None, typer.Option("--verify-at-once", help="New merchants are verified: you run linli for yourself.")
    ] = None,
    demo: Annotated[
        bool,
        typer.Option(
            "--demo", help="Serve the demo's data, whatever LINLI_DATABASE says, and print a key and a line to try."
        ),
    ] = False,
) -> None:
    """
    Serve the registry and the matching over HTTP.

    Without a database of your own everything is in one SQLite file. The first start prints an admin key, once.
    Every option is also a LINLI_… variable; a misspelt one stops the start. The API is described at /docs.
    Where LINLI_DATABASE is set, LINLI_DATA names the folder of the snapshots beside it; --data alone is refused.
    """
    from service.logs import set_up_logs
    from service.settings import has_database, load_settings

    if data is not None and database is None and not demo and has_database():
        text = (
            "means a SQLite file, but LINLI_DATABASE is set: unset it, or name the folder beside it by LINLI_DATA too"
        )
        raise typer.BadParameter(text, param_hint="--data")
    settings = load_settings(
        data=data or (_DEMO_FOLDER if demo and database is None else None),
        database=database,
        redis=redis,
        host=host,
        port=port,
        workers=workers,
        proxies=proxies,
        verify_at_once=verify_at_once,
    )
    set_up_logs(settings.server.log_level)
    _serve(settings, demo=demo)


def _serve(settings: Settings, *, demo: bool) -> None:
    from service.kernels import prepare_kernels
    from service.server import serve
    from service.store.opening import serving_alone

    prepare_kernels()  # in sight, before anything waits for it
    if demo and settings.server.workers > 1:
        raise typer.BadParameter("the demo is served by one process", param_hint="--workers")
    listener = _listener(settings.server.host, settings.server.port)
    alone = contextlib.nullcontext() if settings.store.database is not None else serving_alone(settings.store.data)
    with alone:
        trial_key = _prepared(settings, demo=demo)
        told = partial(_tell, _address(listener), trial_key)
        if settings.server.workers == 1:
            serve(settings, listener, told)
        else:
            told(None)
            _supervise(settings, listener)


def _prepared(settings: Settings, *, demo: bool) -> str | None:
    """Make what is not there yet, before anything is served: a key is known to whoever serves from its first request."""
    from service.clock import SystemClock
    from service.keys.store import create_key, has_admin
    from service.store.opening import open_store

    clock = SystemClock()
    with open_store(settings, clock) as store:
        if not store.read_now(lambda connection: has_admin(connection, clock.now_us())):
            key = store.write_now(lambda connection: create_key(connection, scope="admin", label="first"))
            typer.echo(f"The first admin key, shown this once: {key.secret}")
        if not demo:
            return None
        _fill(store)
        return store.write_now(lambda connection: create_key(connection, scope="app", label="demo")).secret


def _fill(store: Store) -> None:
    from rich.console import Console

    from service.demo.serving import fill_demo  # its imports take a second

    with Console(stderr=True).status("registering the demo's points") as status:
        fill_demo(store, lambda done, _total: status.update(f"registering the demo's points: {done}"))


def _tell(address: str, trial_key: str | None, services: Services | None) -> None:
    typer.echo(f"linli serves on {address}, its API is described at {address}/docs")
    if trial_key is not None and services is not None:
        from service.demo.serving import trial_path

        typer.echo(f"An app's key for the demo: {trial_key}")
        typer.echo(f"Try:\n  curl -H 'Authorization: Bearer {trial_key}' '{address}{trial_path(services)}'")


def _supervise(settings: Settings, listener: socket.socket) -> None:
    from service.workers import Supervisor, patience_s, worker_starter

    supervisor = Supervisor(
        worker_starter(settings, listener), settings.server.workers, patience_s=patience_s(settings)
    )
    raise typer.Exit(supervisor.run(listener.close))


def _listener(host: str, port: int) -> socket.socket:
    import socket

    from service.settings import BadSettingError

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        text = f"{host}:{port} cannot be listened on: {error.strerror}; give another --host or --port"
        raise BadSettingError(text) from error
    listener.set_inheritable(True)
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
