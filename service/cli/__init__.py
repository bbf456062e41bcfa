"""The command ``linli``: what it is made of. Each command is a module that registers itself and imports late."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from service.cli import backup, coverage, demo, doctor, import_points, key, load, match, migrate, serve
from service.stopping import end_if_told, end_on_sigterm

__all__ = ["app", "main"]


class _Group(TyperGroup):
    """Tells a user's error in one line and ends with exit code 1; only a fault of linli shows a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            end_if_told()  # the signal may have met a library that makes another error of it
            if not (isinstance(error, ValueError) and _is_told(error)):
                raise
            typer.echo(f"Error: {error}", err=True)
            raise typer.Exit(1) from error


def _is_told(error: ValueError) -> bool:
    from service.errors import ServiceError

    if isinstance(error, ServiceError):
        return True
    from engine.errors import EngineError  # it imports the compiler, and errors are rare
    from geo.errors import GeoError

    return isinstance(error, EngineError | GeoError)


app = typer.Typer(
    name="linli",
    help="Which nearby place can really serve this need, here, at this time.",
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: frames of rich take 0.2 s of 0.3
    context_settings={"max_content_width": 120},
)
for _command in (demo, serve, load, key, migrate, backup, import_points, match, coverage, doctor):
    _command.register(app)


def main() -> None:
    """Run the command line."""
    # A terminated command ends as an interrupted one: what it had half written is removed.
    end_on_sigterm()
    app()
