#!/usr/bin/env bash
# The tests in lanes, at most six at once, since most of them wait: for one core, for servers to start, for faults to pass. `service`,
# `postgres` and `visits` ask the service on its databases, `long` are those that draw their cases, those in a browser and what
# no database is asked for, `short` all the rest.
#
# With LINLI_TEST_ONCE=1, as `make test` sets it, each runs once, on one database where it could run on two, and the benchmarks
# not at all. Without, there are more lanes: the unit tests of geo and engine interpreted, with their coverage, which need
# no kernels and pass while these are compiled (`UNIT=tests/unit/geo/test_metric.py make test-all` interprets those alone), and
# the faults in two; with whole counts in four, and one of the models of orders and bookings. What is slow must not be taken for
# what is broken: in CI the faults come behind all else, and everywhere those that race for what is left or for their rate come
# alone at the end.
set -uo pipefail
cd "$(dirname "$0")/.."
mkdir -p build
failed=0
beside=()
logs=()
give_up() { kill "${beside[@]}" 2>/dev/null; exit "$1"; }
trap 'give_up 130' INT TERM

start() { # a lane, with what else it takes, once there is room beside the one that is watched; it is said when all are done
    while [ "$(jobs -rp | wc -l)" -ge 5 ]; do sleep 1; done
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
visits=(tests/contract/service/test_{booking,crew,visit}*.py)
others=(tests/contract/service "${no_database[@]/#/--ignore=}" "${visits[@]/#/--ignore=}")
service() { lane service "${others[@]}" -k "not postgres"; }
postgres() { lane postgres "${others[@]}" -k postgres; }
visits() { lane visits "${visits[@]}"; }
models=(tests/property/test_{bookings,orders}.py)
models() { lane models "${models[@]}"; }
long() { lane long tests/property tests/browser "${no_database[@]}" "$@"; }
drawn=tests/faults/test_requests_generated.py
timed=(tests/faults/test_{orders_linear,orders_oversell,rates_served}.py)
early=(tests/faults/test_[a-ln]*.py "$drawn")
orders=(tests/faults/test_o*.py "${timed[@]/#/--deselect=}")
late=(tests/faults/test_[p-r]*.py "--deselect=$drawn" "${timed[@]/#/--deselect=}")
stops=(tests/faults/test_[s-z]*.py)
early() { lane early "${early[@]}"; }
orders() { lane orders "${orders[@]}"; }
late() { lane late "${late[@]}"; }
stops() { lane stops "${stops[@]}"; }
some_faults() { lane some_faults "${early[@]}" "${orders[@]}"; }
other_faults() { lane other_faults "${late[@]}" "${stops[@]}"; }
short() { # the faults among them for which the lanes above have no time
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
if is_full; then
    start models
    start orders
    start early
    start stops
    start late
    start long "${models[@]/#/--ignore=}"
else
    start long
fi
start service
start postgres
start visits
if ! is_once && ! is_full && ! is_ci; then
    start some_faults
    start other_faults
fi
short || failed=1
for pid in "${beside[@]}"; do wait "$pid" || failed=1; done
if is_ci && ! is_once && ! is_full; then
    beside=()
    start some_faults
    other_faults || failed=1
    wait "${beside[0]}" || failed=1
fi
cat "${logs[@]}"
is_once || lane timed "${timed[@]}" || failed=1
exit "$failed"
