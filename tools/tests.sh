#!/usr/bin/env bash
# The tests in lanes at once, since most of them wait: for one core, for servers to start, for faults to pass. `service` and
# `postgres` drive whole processes, `long` are those that draw their cases, those in a browser and what no database is asked for,
# `short` all the rest.
#
# With LINLI_TEST_ONCE=1, as `make test` sets it, each runs once, on one database where it could run on two, and the benchmarks
# not at all. Without, there are two lanes more: the unit tests of geo and engine interpreted, with their coverage, which need
# no kernels and pass while these are compiled (`UNIT=tests/unit/geo/test_metric.py make test-all` interprets those alone), and
# the faults: four of these with whole counts, which wait more, and one of the models of orders and bookings, which wait for the
# disk. What is slow must not be taken for what is broken: in CI the faults come alone, and with whole counts those at the end
# that say themselves how long they may take.
set -uo pipefail
cd "$(dirname "$0")/.."
mkdir -p build
failed=0
beside=()
logs=()
give_up() { kill "${beside[@]}" 2>/dev/null; exit "$1"; }
trap 'give_up 130' INT TERM

start() { # a lane, with what else it takes; it is said when all are done
    "$@" >"build/tests-$1.log" 2>&1 &
    beside+=("$!")
    logs+=("build/tests-$1.log")
}

interpreted() {
    # shellcheck disable=SC2086 # one word a path
    NUMBA_DISABLE_JIT=1 .venv/bin/coverage run -m pytest -p no:cacheprovider -q ${UNIT:-tests/unit/geo tests/unit/engine} &&
        .venv/bin/coverage report
}

lane() { .venv/bin/pytest -o "cache_dir=.pytest_cache/$1" "${@:2}"; }
no_database=(tests/contract/service/test_{api_walk,every_limit,every_request,match_batches,openapi,protocol,serve_demo}.py)
service() { lane service tests/contract/service "${no_database[@]/#/--ignore=}" "$@"; }
postgres() { lane postgres tests/contract/service "${no_database[@]/#/--ignore=}" -k postgres; }
models=(tests/property/test_{bookings,orders}.py)
models() { lane models "${models[@]}"; }
long() { lane long tests/property tests/browser "${no_database[@]}" "$@"; }
faults() { lane faults tests/faults --ignore-glob='tests/faults/test_m*'; }
timed=(tests/faults/test_{orders_linear,orders_oversell,rates_served}.py)
early() { lane early tests/faults/test_[a-ln]*.py; }
orders() { lane orders tests/faults/test_o*.py "${timed[@]/#/--deselect=}"; }
late() { lane late tests/faults/test_[p-r]*.py "${timed[@]/#/--deselect=}"; }
stops() { lane stops tests/faults/test_[s-z]*.py; }
short() { # the faults among them for which the lane above has no time
    local apart
    if is_once; then apart=(tests/faults tests/contract/test_benchmarks.py); else apart=(tests/faults/test_[!m]*); fi
    apart+=(tests/contract/service tests/property tests/browser)
    lane short "${apart[@]/#/--ignore=}"
}

is_once() { [ "${LINLI_TEST_ONCE:-}" = 1 ]; }
is_full() { [ "${LINLI_TEST_FULL:-}" = 1 ]; }
is_ci() { [ "${CI:-}" = true ]; }

tools/system.sh &
system=$!
is_once || start interpreted
.venv/bin/python -m service.kernels || give_up 1
wait "$system" || give_up 1
if is_once; then
    start service -k "not postgres"
    start postgres
    start long
    short || failed=1
else
    start service
    if is_full; then
        start early
        start orders
        start late
        start stops
        start models
        start long "${models[@]/#/--ignore=}"
    elif ! is_ci; then
        start faults
    fi
    short || failed=1
    is_full || long || failed=1
fi
for pid in "${beside[@]}"; do wait "$pid" || failed=1; done
cat "${logs[@]}"
if is_full; then
    lane timed "${timed[@]}" || failed=1
elif is_ci && ! is_once; then
    faults || failed=1
fi
exit "$failed"
