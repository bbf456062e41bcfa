"""linli and its peers on the same work in one run, each answer checked first: ``python -m benchmarks NAME``."""
