"""``linli serve --demo``: the line that it prints answers."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, select

from service.clock import SystemClock
from service.demo.serving import fill_demo
from service.settings import load_settings
from service.store.opening import open_store
from service.store.tables import offers, points

LINLI = [sys.executable, "-c", "from service.cli import main; main()"]
CURL = re.compile(r"^  (curl .*)$", re.MULTILINE)


@pytest.mark.parametrize("start", ["first", "second"])
def test_serve_demo__prints_a_line_that_answers(start: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / "demo-service"
    with subprocess.Popen(
        [*LINLI, "serve", "--demo", f"--data={folder}", "--port=0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "LINLI_LOG_LEVEL": "error", "LINLI_DATABASE": "postgresql://x/y"},  # passed over
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            printed = ""
            while "curl" not in printed:
                line = server.stdout.readline()
                assert line, f"it ended after: {printed}"
                printed += line
            found = CURL.search(printed)
            assert found is not None
            done = subprocess.run([*shlex.split(found[1]), "-sS", "-m20"], capture_output=True, text=True, check=True)
        finally:
            server.terminate()
    assert json.loads(done.stdout)["matches"], done.stdout
    assert ("admin key" in printed) == (start == "first")
    assert (Path(folder) / "linli.db").is_file()


def test_fill_demo__goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    store = open_store(load_settings({}, data=tmp_path), SystemClock())
    some = select(points.c.point_id).order_by(points.c.point_id).limit(300).scalar_subquery()

    def lose(connection: Any) -> None:
        for table in (offers, points):
            connection.run(delete(table).where(table.c.point_id.in_(some)))

    try:
        written = fill_demo(store, lambda *_: None)
        store.write_now(lose)
        assert fill_demo(store, lambda *_: None) == 300
        assert store.read_now(lambda connection: connection.value(select(func.count()).select_from(points))) == written
        assert fill_demo(store, lambda *_: None) == 0
    finally:
        store.close()
