"""`warm_up` leaves no kernel out, and tells how far it is."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import pytest

from engine import warm_up
from geo import jit

ROOT = Path(__file__).resolve().parents[3]

TRACE = """
import sys
import threading
import engine
from engine import warm_up
from geo import jit

kernels = {kernel.__code__: kernel for kernel in jit._KERNELS}
reached = set()

def reach(code, function):
    if code in reached:
        return
    reached.add(code)
    for name in code.co_names:  # what is called is compiled, whether this run comes by or not
        callee = function.__globals__.get(name)
        if hasattr(callee, "__globals__"):
            reach(callee.__code__, callee)

def trace(frame, event, argument):
    if event == "call" and frame.f_code in kernels:
        reach(frame.f_code, kernels[frame.f_code])

threading.setprofile(trace)
sys.setprofile(trace)
engine.warm_up()
sys.setprofile(None)
# Without the compiler H3 itself encodes: those kernels are not used then, and the test below sees that they are warm.
print(*(
    f"{k.__module__}.{k.__name__}" for code, k in kernels.items()
    if code not in reached and k.__module__ != "geo.kernels.encoding"
))
"""
LATER = """
import gc
import pathlib
import sys

import engine
from engine import warm_up
from geo import jit
from numba.core import event
from numba.core.dispatcher import Dispatcher
from tests.unit.engine.whole_api import use_everything


def signatures():
    # Of inlined kernels and others' compiled functions too; one that was loaded from the cache stands here as well.
    found = [one for one in gc.get_objects() if isinstance(one, Dispatcher)]
    assert len(found) > len(jit._KERNELS) > 20
    return {(one.__module__, one.__name__, str(signature)) for one in found for signature in one.signatures}


engine.warm_up()
assert jit.kernels_compiled()
before = signatures()
with event.install_recorder("numba:compile") as recorded:
    use_everything(pathlib.Path(sys.argv[1]))
for words in sorted(signatures() - before):
    print(*words)
for _, one in recorded.buffer:
    print("compiled:", one.data["dispatcher"].__name__)
"""
KERNEL = """
from geo.jit import kernel

@kernel
def inner(x: int) -> int:
    return x + 1

@kernel
def outer(x: int) -> int:
    return inner(x) * 2
"""


def test_warm_up__reaches_every_kernel() -> None:
    env = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", TRACE], env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [], "warm_up() must reach these, or nobody uses them"


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="kernels are interpreted")
def test_warm_up__leaves_nothing_to_be_compiled_or_loaded(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", LATER, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [], "warm_up() must compile these signatures"


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="kernels are interpreted")
def test_watched_compiler__counts_kernels_as_they_are_compiled(tmp_path: Path) -> None:
    module = _module(tmp_path)
    told: list[tuple[int, int]] = []
    try:
        with jit.watched_compiler(lambda *counts: told.append(counts)):
            assert module.outer(1) == 4
    finally:
        jit._KERNELS[:] = [kernel for kernel in jit._KERNELS if kernel not in (module.inner, module.outer)]
    first, total = told[0]
    assert told == [(first + done, total) for done in (0, 1, 2)]


def _module(folder: Path) -> Any:
    (folder / "planted.py").write_text(KERNEL)
    spec = importlib.util.spec_from_file_location("planted", folder / "planted.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_compile_half__asks_for_half_without_a_basket() -> None:
    code = "from engine import warming; warming.compile_half()"
    env = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=env, timeout=300, check=True)


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="kernels are interpreted")
def test_kernels__of_a_copy_elsewhere_are_taken_from_the_cache(tmp_path: Path) -> None:
    warm_up()
    for package in ("geo", "engine"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    code = """
from numba.core import event
import engine, geo.jit
with event.install_recorder("numba:compile") as recorded:
    engine.warm_up()
print(geo.jit.__file__, *(one.data["dispatcher"].__name__ for _, one in recorded.buffer))
"""
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=600, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [str(tmp_path / "geo" / "jit.py")]
