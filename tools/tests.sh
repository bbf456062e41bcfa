#!/usr/bin/env bash
# All tests in four lanes. The unit tests of geo and engine, interpreted and with their coverage, need no kernels and pass
# while these are compiled; `UNIT=tests/unit/geo/test_metric.py make test` interprets those alone. Then three lanes at once,
# since most of them wait: for one core, for servers to start, for faults to pass. The first is all but what drives whole
# processes (contract, faults), with a few faults that the last has no time for.
# In CI the faults come last and alone: what is slow there must not be taken for what is broken.
set -uo pipefail
cd "$(dirname "$0")/.."
mkdir -p build
failed=0

interpreted() {
    # shellcheck disable=SC2086 # one word a path
    NUMBA_DISABLE_JIT=1 .venv/bin/coverage run -m pytest -p no:cacheprovider -q ${UNIT:-tests/unit/geo tests/unit/engine} &&
        .venv/bin/coverage report
}

lane() { .venv/bin/pytest -o "cache_dir=.pytest_cache/$1" "tests/$1" --ignore-glob='tests/faults/test_m*'; }

interpreted >build/tests-interpreted.log 2>&1 &
beside=("$!")
trap 'kill "${beside[@]}" 2>/dev/null; exit 130' INT TERM
.venv/bin/python -m service.kernels || { kill "${beside[@]}"; exit 1; }
lanes=(contract faults)
[ "${CI:-}" != true ] || lanes=(contract)
for name in "${lanes[@]}"; do
    lane "$name" >"build/tests-$name.log" 2>&1 &
    beside+=("$!")
done

.venv/bin/pytest --ignore=tests/contract --ignore-glob='tests/faults/test_[!m]*' || failed=1

for pid in "${beside[@]}"; do wait "$pid" || failed=1; done
for name in interpreted "${lanes[@]}"; do cat "build/tests-$name.log"; done
if [ "${CI:-}" = true ]; then lane faults || failed=1; fi
exit "$failed"
