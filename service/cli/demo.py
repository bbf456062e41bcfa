"""``linli demo``: from a street map to matched orders, on data that is part of linli."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from service.demo.run import Demo
    from service.maps import Table

__all__ = ["register"]

_FOLDER = Path("linli-demo")
_HEADING_WIDTH = 6  # the widest table fits 80 columns
_WIDE = 110


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo_command)


def demo_command(
    out: Annotated[Path, typer.Option(help="Folder for the page and the files.")] = _FOLDER,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """
    Match a day of orders in the centre of Helsinki, explain three, collect one, visit one, and draw the map.

    Needs no data and no network: street map and orders are part of linli.
    """
    demo, files = _run(out)
    if as_json:
        from service.demo.summary import as_json as figures

        told = figures(demo) | {"written": {name: str(path) for name, path in files.items()}}
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1))
        return
    _show(demo)
    _tell_next(files)


def _run(out: Path) -> tuple[Demo, dict[str, Path]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from service.files import make_folder
    from service.kernels import prepare_kernels

    make_folder(out)  # before any work that could not be written
    prepare_kernels()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=1.0)
        from service.demo.outputs import write_demo
        from service.demo.run import run_demo

        demo = run_demo(lambda what, done: bar.update(task, description=what, completed=done))
        bar.update(task, description="drawing the map", completed=0.9)
        return demo, write_demo(demo, out)


def _show(demo: Demo) -> None:
    from rich.console import Console

    from service.demo.life_words import LIFE_WORDS, life_lines
    from service.demo.tables import all_tables
    from service.demo.telling import example_lines
    from service.demo.visit_words import VISIT_WORDS, visit_lines

    console = Console(highlight=False)
    for table in all_tables(demo):
        _show_table(console, table)
    console.print("Three orders explained" if len(demo.examples) == 3 else "Orders explained", style="bold")
    for lines in example_lines(demo):
        for line in lines:
            console.print(line, markup=False)
        console.print()
    for heading, lines in ((LIFE_WORDS, life_lines(demo.life)), (VISIT_WORDS, visit_lines(demo.visit))):
        console.print(heading, style="bold")
        for line in lines:
            console.print(line, markup=False)
        console.print()


def _show_table(console: Console, table: Table) -> None:
    from rich import box
    from rich.table import Table as RichTable

    shown = RichTable(
        title=table.title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1 if console.width >= _WIDE else 0),
    )
    shown.add_column(table.header[0], min_width=12)
    for heading in table.header[1:]:
        lines = textwrap.wrap(heading, _HEADING_WIDTH, break_long_words=False)
        shown.add_column("\n".join(lines), justify="right", no_wrap=True)
    for row in table.rows:
        if table.total_row and row is table.rows[-1]:
            shown.add_section()
        shown.add_row(*row)
    console.print(shown)
    if table.note:
        console.print(table.note, style="dim", markup=False)
    console.print()


def _tell_next(files: dict[str, Path]) -> None:
    page, points, orders, demand = (files[name] for name in ("page", "points", "orders", "demand"))
    typer.echo(f"Open {page} in a browser: {page.resolve().as_uri()}")
    typer.echo("The same from files:")
    typer.echo(f"  linli match --points {points} --orders {orders} --consume --out {points.parent / 'answers.csv'}")
    typer.echo(
        f"  linli coverage --points {points} --demand {demand} --offer community/parcel --any-area "
        f"--out {points.parent / 'coverage.csv'} --report {points.parent / 'coverage.html'}"
    )
