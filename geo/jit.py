"""
How kernels are made, and H3's C functions for them.

No module but this and `geo.memory` talks to the compiler; kernels import what they need of both from here.
"""

import contextlib
import ctypes
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import h3.api.numpy_int as h3
import numba
import numpy as np
from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    InTreeCacheLocator,
    UserProvidedCacheLocator,
    UserWideCacheLocator,
)
from numpy.typing import NDArray

from geo.memory import array_at, column_at, grid_at, prefetch

__all__ = [
    "H3_COMPILED",
    "array_at",
    "borrowing_kernel",
    "cell_to_latlng_rad",
    "column_at",
    "grid_at",
    "h3_kernel",
    "inlined_kernel",
    "kernel",
    "kernels_compiled",
    "latlng_rad_to_cell",
    "mark_compiled",
    "prefetch",
    "watched_compiler",
]

_P = ParamSpec("_P")
_R = TypeVar("_R")

_H3_SYMBOLS = ("latLngToCell", "cellToLatLng")
_KERNELS: list[Any] = []


_ROOT = Path(__file__).resolve().parents[1]


def _set_cache_folder() -> None:
    """
    Choose a folder by all that kernels are made of, wherever they lie: a copy of linli is not compiled anew.

    Numba looks at a kernel's own file only: one that calls a changed one would be served stale.
    """
    digest = hashlib.blake2b(digest_size=8)
    here = Path(__file__).resolve()
    for source in sorted([here, here.with_name("memory.py"), *_ROOT.glob("*/kernels/*.py")]):
        digest.update(f"{source.relative_to(_ROOT)} ".encode() + source.read_bytes())
    digest.update(f"{numba.__version__} {np.__version__} {h3.versions()} {sys.implementation.cache_tag}".encode())
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "linli" / "kernels"
    numba.config.CACHE_DIR = str(Path(os.environ.get("NUMBA_CACHE_DIR") or root) / digest.hexdigest())


class _Locator(UserProvidedCacheLocator):  # type: ignore[misc]
    def get_source_stamp(self) -> Any:
        """Return what names the folder: older versions of Numba would say when a file was written."""
        is_ours = Path(self._py_file).resolve().is_relative_to(_ROOT)
        return numba.config.CACHE_DIR if is_ours else super().get_source_stamp()

    @classmethod
    def get_suitable_cache_subpath(cls, py_file: str) -> str:
        folder = Path(py_file).resolve().parent
        if folder.is_relative_to(_ROOT):
            return "-".join(folder.relative_to(_ROOT).parts)
        return str(super().get_suitable_cache_subpath(py_file))


class _CacheImpl(CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_Locator, InTreeCacheLocator, UserWideCacheLocator)


class _Cache(FunctionCache):  # type: ignore[misc]
    _impl_class = _CacheImpl

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save as Numba does, while no other process does: two that write one index at once would mix it up."""
        with _saving():
            super().save_overload(sig, data)


@contextlib.contextmanager
def _saving() -> Iterator[None]:
    if sys.platform == "win32":  # it has no such lock
        yield
        return
    import fcntl

    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # where nothing can be written, Numba saves elsewhere or not at all
            file = stack.enter_context((cache_folder() / "saving.lock").open("w"))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _register_h3() -> bool:
    """Give the compiler H3's C functions from h3's own wheel; tell whether it has them."""
    if numba.config.DISABLE_JIT:
        return False
    import h3._cy.latlng as extension
    import llvmlite.binding as llvm

    library = ctypes.CDLL(extension.__file__)
    for name in _H3_SYMBOLS:
        function = getattr(library, name, None)
        if function is None:  # the Windows wheel exports nothing
            return False
        llvm.add_symbol(f"linli_{name}", ctypes.cast(function, ctypes.c_void_p).value)
    return True


_set_cache_folder()
H3_COMPILED = _register_h3()


def kernel(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """
    Compile a function of arrays and scalars: lazily, without the GIL, with exact floats, cached.

    With ``NUMBA_DISABLE_JIT=1`` the function stays as it is.
    """
    compiled: Callable[_P, _R] = _cached(numba.njit(nogil=True, fastmath=False, error_model="numpy")(function))
    return compiled


def _cached(compiled: Any) -> Any:
    if not numba.config.DISABLE_JIT:
        compiled._cache = _Cache(compiled.py_func)  # noqa: SLF001 - numba.njit(cache=True) offers no choice of a folder
    _KERNELS.append(compiled)
    return compiled


def inlined_kernel(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """
    Compile a kernel into its callers.

    For one that takes tuples of arrays in an inner loop: a call would count every array of them up and down.
    """
    compiled: Callable[_P, _R] = numba.njit(nogil=True, fastmath=False, error_model="numpy", inline="always")(function)
    return compiled


def borrowing_kernel(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """
    Compile a kernel that keeps no count of who holds an array: it makes none, and is given addresses.

    A search hands some hundred arrays on at every inner call; to count them cost ten times the search.
    """
    compiled: Callable[_P, _R] = _cached(
        numba.njit(nogil=True, fastmath=False, error_model="numpy", _nrt=False)(function)
    )
    return compiled


def h3_kernel(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile a kernel that calls H3, or leave it a plain loop where H3's C functions are not exported."""
    return kernel(function) if H3_COMPILED else function


def cache_folder() -> Path:
    """Return the folder that holds the compiled kernels."""
    return Path(numba.config.CACHE_DIR)


def kernels_compiled() -> bool:
    """Tell whether a whole warm-up of these kernels has ended on this machine, or there is nothing to compile."""
    return bool(numba.config.DISABLE_JIT) or _mark().exists()


def mark_compiled() -> None:
    """Remember that all kernels have been compiled."""
    if not numba.config.DISABLE_JIT:
        cache_folder().mkdir(parents=True, exist_ok=True)
        _mark().touch()


def _mark() -> Path:
    from llvmlite.binding import get_host_cpu_name

    return cache_folder() / f"compiled-{get_host_cpu_name()}"


@contextlib.contextmanager
def watched_compiler(progress: Callable[[int, int], None]) -> Iterator[None]:
    """Call ``progress(done, total)`` within, first at once, then whenever a kernel has been compiled."""
    if numba.config.DISABLE_JIT:
        yield
        return
    from numba.core import event

    class Listener(event.Listener):  # type: ignore[misc]
        def on_start(self, event: Any) -> None:
            pass

        def on_end(self, event: Any) -> None:
            done.add(event.data["dispatcher"])
            tell()

    def tell() -> None:
        progress(sum(kernel in done or bool(kernel.signatures) for kernel in _KERNELS), len(_KERNELS))

    done: set[Any] = set()
    tell()
    with event.install_listener("numba:compile", Listener()):
        yield


def plain_latlng_rad_to_cell(latlng_rad: NDArray[np.float64], resolution: int, out: NDArray[np.uint64]) -> int:
    """Write the cell of one position, shape (2,) in radians, to ``out[0]``; return 0."""
    lat, lng = np.degrees(latlng_rad)
    out[0] = h3.latlng_to_cell(float(lat), float(lng), int(resolution))
    return 0


def plain_cell_to_latlng_rad(cell: np.uint64, out: NDArray[np.float64]) -> int:
    """Write the centre of a cell in radians to ``out[:2]``; return 0."""
    out[:2] = np.radians(h3.cell_to_latlng(int(cell)))
    return 0


if H3_COMPILED:
    _types = numba.types
    _latlng_to_cell_c = _types.ExternalFunction(
        "linli_latLngToCell",
        _types.uint32(_types.CPointer(_types.float64), _types.int32, _types.CPointer(_types.uint64)),
    )
    _cell_to_latlng_c = _types.ExternalFunction(
        "linli_cellToLatLng", _types.uint32(_types.uint64, _types.CPointer(_types.float64))
    )

    @kernel
    def latlng_rad_to_cell(latlng_rad: NDArray[np.float64], resolution: int, out: NDArray[np.uint64]) -> int:
        """Write the cell of one position, shape (2,) in radians, to ``out[0]``; return H3's error code."""
        return _latlng_to_cell_c(latlng_rad.ctypes, np.int32(resolution), out.ctypes)

    @kernel
    def cell_to_latlng_rad(cell: np.uint64, out: NDArray[np.float64]) -> int:
        """Write the centre of a cell in radians to ``out[:2]``; return H3's error code."""
        return _cell_to_latlng_c(cell, out.ctypes)

else:
    latlng_rad_to_cell = plain_latlng_rad_to_cell
    cell_to_latlng_rad = plain_cell_to_latlng_rad
