"""``linli serve --demo``: the line that it prints answers."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

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
