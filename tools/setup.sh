#!/usr/bin/env bash
# Lay .venv out as requirements.lock says: every file checked against its hash, wheels only.
# With uv where it is there, else with venv and whatever pip the Python carries.
set -euo pipefail
cd "$(dirname "$0")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1

fits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }

if ! fits .venv/bin/python; then
    python=
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11; do
        if fits "$candidate"; then python=$candidate; break; fi
    done
    if [ -z "$python" ]; then
        echo "linli needs Python 3.11, 3.12 or 3.13: none found; name one with 'make setup PYTHON=/path/to/python'" >&2
        exit 1
    fi
    rm -rf .venv
    if command -v uv >/dev/null; then
        uv venv --quiet --no-project --python "$(command -v "$python")" .venv
    else
        "$python" -m venv .venv
    fi
fi

if command -v uv >/dev/null; then
    export UV_LINK_MODE=${UV_LINK_MODE:-copy}
    # not sync, which leaves out unseen what a locked package needs and the lock does not hold
    uv pip install --exact --quiet --python .venv/bin/python --require-hashes --only-binary :all: \
        --requirement requirements.lock
    uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
else
    .venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip >/dev/null
    .venv/bin/python -m pip install --quiet --require-hashes --only-binary :all: --requirement requirements.lock
    .venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
fi
