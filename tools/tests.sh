#!/usr/bin/env bash
# All tests in three lanes at once, since most of them wait: for one core, for servers to start, for faults to pass.
# The first lane is all but what drives whole processes (contract, faults), then the unit tests of geo and engine
# interpreted, with their coverage. `UNIT=tests/unit/geo/test_metric.py make test` interprets those alone.
set -uo pipefail
cd "$(dirname "$0")/.."
mkdir -p build

beside=()
for lane in contract faults; do
    .venv/bin/pytest -o "cache_dir=.pytest_cache/$lane" "tests/$lane" >"build/tests-$lane.log" 2>&1 &
    beside+=("$!")
done
trap 'kill "${beside[@]}" 2>/dev/null; exit 130' INT TERM

failed=0
.venv/bin/pytest --ignore=tests/contract --ignore=tests/faults || failed=1
# shellcheck disable=SC2086 # one word a path
NUMBA_DISABLE_JIT=1 .venv/bin/coverage run -m pytest -p no:cacheprovider -q ${UNIT:-tests/unit/geo tests/unit/engine} || failed=1
.venv/bin/coverage report || failed=1
for lane in "${beside[@]}"; do wait "$lane" || failed=1; done
cat build/tests-contract.log build/tests-faults.log
exit "$failed"
