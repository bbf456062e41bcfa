#!/usr/bin/env bash
# All tests in lanes. The unit tests of geo and engine, interpreted and with their coverage, need no kernels and pass
# while these are compiled; `UNIT=tests/unit/geo/test_metric.py make test` interprets those alone. Then the others at once,
# since most of them wait: for servers to start, for faults to pass. The first lane is all but what drives whole processes
# (contract, faults), with a few faults that the last ones have no time for.
# In CI there are two at once, and the faults come last and alone: what is slow must not be taken for what is broken.
set -uo pipefail
cd "$(dirname "$0")/.."
mkdir -p build
failed=0

interpreted() {
    # shellcheck disable=SC2086 # one word a path
    NUMBA_DISABLE_JIT=1 .venv/bin/coverage run -m pytest -p no:cacheprovider -q ${UNIT:-tests/unit/geo tests/unit/engine} &&
        .venv/bin/coverage report
}

lane() {
    local name=$1
    shift
    .venv/bin/pytest -o "cache_dir=.pytest_cache/$name" "$@" >"build/tests-$name.log" 2>&1 &
    beside+=("$!")
    names+=("$name")
}

settle() {
    for pid in "${beside[@]}"; do wait "$pid" || failed=1; done
    for name in "${names[@]}"; do cat "build/tests-$name.log"; done
    beside=() names=()
}

interpreted >build/tests-interpreted.log 2>&1 &
beside=("$!") names=(interpreted)
trap 'kill "${beside[@]}" 2>/dev/null; exit 130' INT TERM
.venv/bin/python -m service.kernels || { kill "${beside[@]}"; exit 1; }
if [ "${CI:-}" = true ]; then
    lane contract tests/contract
else
    lane contract-1 tests/contract/service/test_[a-n]*.py
    lane contract-2 tests/contract/service/test_[o-z]*.py tests/contract/test_*.py
    lane faults-1 tests/faults/test_[a-ln]*.py tests/faults/test_orders_k*.py
    lane faults-2 tests/faults/test_orders_[!k]*.py
    lane faults-3 tests/faults/test_[p-z]*.py
fi

.venv/bin/pytest --ignore=tests/contract --ignore-glob='tests/faults/test_[!m]*' || failed=1

settle
if [ "${CI:-}" = true ]; then
    lane faults tests/faults --ignore-glob='tests/faults/test_m*'
    settle
fi
exit "$failed"
