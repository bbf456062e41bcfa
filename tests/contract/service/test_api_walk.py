"""`docs/api.md` is true: its lines run one after the other against a real server, and say what it says they do."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.serving import Place, running_service

WALK = Path(__file__).resolve().parents[3] / "docs" / "api.md"
BLOCK = re.compile(r"^```(bash|json|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SHOWN = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
MARK = "\x1e"


def _steps(text: str) -> list[tuple[str, str, str]]:
    """Return each shell block with the kind and content of what it is said to print, empty where nothing is said."""
    steps: list[tuple[str, str, str]] = []
    for kind, content in BLOCK.findall(text):
        if kind == "bash":
            steps.append((content, "", ""))
        else:
            shell, told, _ = steps.pop()
            assert not told, f"two outputs of one block: {content}"
            steps.append((shell, kind, content))
    return steps


def _holds(expected: Any, got: Any, where: str = "") -> None:
    """Compare as a reader does: what is told must be there; an ellipsis stands for anything."""
    if expected == "…":
        assert got is not None, where
    elif isinstance(expected, dict):
        assert isinstance(got, dict), where
        for name, value in expected.items():
            assert name in got, f"{where}/{name} is not in {sorted(got)}"
            _holds(value, got[name], f"{where}/{name}")
    elif isinstance(expected, list):
        assert isinstance(got, list), where
        assert len(got) == len(expected), f"{where}: {got}"
        for i, (one, other) in enumerate(zip(expected, got, strict=True)):
            _holds(one, other, f"{where}/{i}")
    else:
        assert got == expected, where


def test_holds__sees_a_value_that_is_not_told() -> None:
    with pytest.raises(AssertionError, match="/a/0"):
        _holds({"a": [1]}, {"a": [2], "b": 3})


def test_api_walk__leaves_out_the_start_of_the_server_and_a_url_of_your_own_alone() -> None:
    shown = SHOWN.findall(WALK.read_text(encoding="utf-8"))
    assert ["linli serve" in shown[0], "https://shop.example" in shown[1]] == [True] * len(shown)


def test_api_walk__prints_what_it_says(tmp_path: Path) -> None:
    steps = _steps(WALK.read_text(encoding="utf-8"))
    assert sum(bool(kind) for _, kind, _ in steps) >= 14
    script = "\n".join(f"{shell}\nprintf '{MARK}'" for shell, _, _ in steps)
    with running_service(Place(tmp_path / "data")) as service:
        environment = {"PATH": "/usr/bin:/bin:/usr/local/bin", "LINLI": service.base_url, "ADMIN": service.admin_key}
        done = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", script],
            env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for (shell, kind, told), printed in zip(steps, done.stdout.split(MARK), strict=False):
        if kind == "json":
            _holds(json.loads(told), json.loads(printed), shell)
        elif kind == "text":
            assert told.strip() in printed, shell
