"""Compiled loops over arrays: numpy, numba and other kernels, nothing else."""
