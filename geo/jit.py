"""The only module that talks to the compiler: how kernels are made, and H3's C functions for them."""

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
from numpy.typing import NDArray

__all__ = [
    "H3_COMPILED",
    "array_at",
    "borrowing_kernel",
    "cell_to_latlng_rad",
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


def _sources() -> list[Path]:
    here = Path(__file__).resolve()
    return sorted([here, *here.parent.parent.glob("*/kernels/*.py")])


def _set_cache_folder() -> None:
    # Numba looks at a kernel's own file only: a kernel that calls a changed one would be
    # served stale. One folder for each state of all kernels ends that, and an upgrade's too.
    if os.environ.get("NUMBA_CACHE_DIR"):
        return
    digest = hashlib.blake2b(digest_size=8)
    for source in _sources():
        digest.update(source.read_bytes())
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    numba.config.CACHE_DIR = str(root / "linli" / "kernels" / digest.hexdigest())


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
    compiled: Callable[_P, _R] = numba.njit(nogil=True, cache=True, fastmath=False, error_model="numpy")(function)
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
    compiled: Callable[_P, _R] = numba.njit(nogil=True, cache=True, fastmath=False, error_model="numpy", _nrt=False)(
        function
    )
    _KERNELS.append(compiled)
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
    # Named for all that the compiler's cache looks at: itself, the processor, each source's place, time and size.
    from llvmlite.binding import get_host_cpu_name

    words = [numba.__version__, sys.implementation.cache_tag, get_host_cpu_name()]
    for source in _sources():
        state = source.stat()
        words.append(f"{source} {state.st_mtime_ns} {state.st_size}")
    digest = hashlib.blake2b("\n".join(words).encode(), digest_size=8).hexdigest()
    return cache_folder() / f"compiled-{digest}"


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


def plain_prefetch(array: NDArray[Any], index: int) -> None:
    """Ask for the cache line of an array's element, or of a row's first, ahead of its use: compiled kernels only."""


def plain_array_at(address: int, rows: int, dtype: Any) -> NDArray[Any]:
    """Return the array of one axis at an address; whoever took the address keeps the memory alive."""
    return plain_grid_at(address, rows, 1, dtype).reshape(-1)


def plain_grid_at(address: int, rows: int, columns: int, dtype: Any) -> NDArray[Any]:
    """Return the array of two axes at an address; whoever took the address keeps the memory alive."""
    if rows * columns == 0:
        return np.empty((int(rows), int(columns)), dtype)
    n_bytes = int(rows * columns) * np.dtype(dtype).itemsize
    memory = (ctypes.c_char * n_bytes).from_address(int(address))
    return np.frombuffer(memory, dtype).reshape(int(rows), int(columns))


if numba.config.DISABLE_JIT:
    prefetch = plain_prefetch
    array_at = plain_array_at
    grid_at = plain_grid_at
else:
    from llvmlite import ir
    from numba.core import cgutils
    from numba.extending import intrinsic
    from numba.np.arrayobj import populate_array

    @intrinsic  # type: ignore[untyped-decorator]
    def prefetch(_context: Any, array: Any, index: Any) -> Any:
        """Ask for the cache line of an array's element, or of a row's first, ahead of its use."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            data = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0]).data
            at = context.cast(builder, arguments[1], signature.args[1], numba.types.intp)
            kind = signature.args[0]
            if kind.ndim == 2:
                shape = cgutils.create_struct_proxy(kind)(context, builder, arguments[0]).shape
                at = builder.mul(at, builder.extract_value(shape, 1))
            line = builder.bitcast(builder.gep(data, [at]), cgutils.voidptr_t)
            number = ir.IntType(32)
            name = "llvm.prefetch.p0" if str(line.type) == "ptr" else "llvm.prefetch.p0i8"
            form = ir.FunctionType(ir.VoidType(), [line.type, number, number, number])
            function = cgutils.get_or_insert_function(builder.module, form, name)
            read, keep, data_cache = number(0), number(3), number(1)
            builder.call(function, [line, read, keep, data_cache])
            return context.get_dummy_value()

        return numba.types.void(array, index), generate

    def _borrowed(context: Any, builder: Any, kind: Any, address: Any, shape: list[Any]) -> Any:
        # An array without an owner: to hand it on costs nothing.
        array = context.make_array(kind)(context, builder)
        item_size = context.get_abi_sizeof(context.get_data_type(kind.dtype))
        strides = [context.get_constant(numba.types.intp, item_size)]
        if len(shape) == 2:
            strides.insert(0, builder.mul(shape[1], strides[0]))
        populate_array(
            array,
            data=builder.inttoptr(address, array.data.type),
            shape=shape,
            strides=strides,
            itemsize=context.get_constant(numba.types.intp, item_size),
            meminfo=None,
        )
        return array._getvalue()  # noqa: SLF001 - how Numba's own array functions return

    @intrinsic  # type: ignore[untyped-decorator]
    def array_at(_context: Any, address: Any, rows: Any, dtype: Any) -> Any:
        """Return the array of one axis at an address; whoever took the address keeps the memory alive."""
        kind = numba.types.Array(dtype.dtype, 1, "C")

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return _borrowed(context, builder, signature.return_type, arguments[0], [arguments[1]])

        return kind(numba.types.int64, numba.types.int64, dtype), generate

    @intrinsic  # type: ignore[untyped-decorator]
    def grid_at(_context: Any, address: Any, rows: Any, columns: Any, dtype: Any) -> Any:
        """Return the array of two axes at an address; whoever took the address keeps the memory alive."""
        kind = numba.types.Array(dtype.dtype, 2, "C")

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return _borrowed(context, builder, signature.return_type, arguments[0], list(arguments[1:3]))

        return kind(numba.types.int64, numba.types.int64, numba.types.int64, dtype), generate
