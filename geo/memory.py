"""Arrays at addresses, and memory asked for ahead, in kernels and without the compiler."""

import ctypes
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["array_at", "column_at", "grid_at", "prefetch"]


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


def plain_column_at(address: int, rows: int, stride: int, dtype: Any) -> NDArray[Any]:
    """Return the array of one axis at an address, its elements so many apart: 0 where all are the first."""
    if stride == 1 or rows == 0:
        return plain_array_at(address, rows, dtype)
    return np.broadcast_to(plain_array_at(address, 1, dtype), int(rows))


if numba.config.DISABLE_JIT:
    prefetch = plain_prefetch
    array_at = plain_array_at
    column_at = plain_column_at
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

    def _borrowed(context: Any, builder: Any, kind: Any, address: Any, shape: list[Any], stride: Any = None) -> Any:
        # An array without an owner: to hand it on costs nothing.
        array = context.make_array(kind)(context, builder)
        item_size = context.get_abi_sizeof(context.get_data_type(kind.dtype))
        strides = [context.get_constant(numba.types.intp, item_size)]
        if stride is not None:
            strides[0] = builder.mul(stride, strides[0])
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
    def column_at(_context: Any, address: Any, rows: Any, stride: Any, dtype: Any) -> Any:
        """Return the array of one axis at an address, its elements so many apart: 0 where all are the first."""
        kind = numba.types.Array(dtype.dtype, 1, "A")

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            address, rows, stride, _ = arguments
            return _borrowed(context, builder, signature.return_type, address, [rows], stride)

        return kind(numba.types.int64, numba.types.int64, numba.types.int64, dtype), generate

    @intrinsic  # type: ignore[untyped-decorator]
    def grid_at(_context: Any, address: Any, rows: Any, columns: Any, dtype: Any) -> Any:
        """Return the array of two axes at an address; whoever took the address keeps the memory alive."""
        kind = numba.types.Array(dtype.dtype, 2, "C")

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return _borrowed(context, builder, signature.return_type, arguments[0], list(arguments[1:3]))

        return kind(numba.types.int64, numba.types.int64, numba.types.int64, dtype), generate
