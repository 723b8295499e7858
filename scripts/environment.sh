#!/bin/sh
# Make .venv from the lock file: with uv where it is on PATH, else with pip. Needs Python 3.11 or later and nothing else.
set -eu
cd "$(dirname "$0")/.."
unset PYTHONPATH PYTHONHOME

is_recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
for python in "${PYTHON:-python3}" python3 python3.13 python3.12 python3.11 none; do
    if is_recent "$python"; then break; fi
done
if [ "$python" = none ]; then
    echo "error: no Python 3.11 or later on PATH" >&2
    echo "hint: install one (Debian 12: apt-get install python3 python3-venv), or name it: make PYTHON=/path/to/python3.12" >&2
    exit 1
fi

rm -rf .venv
if command -v uv >/dev/null; then
    uv venv --quiet --python "$python" .venv
    install() { VIRTUAL_ENV="$PWD/.venv" uv pip install --quiet "$@"; }
elif "$python" -c 'import ensurepip' 2>/dev/null; then
    "$python" -m venv .venv
    .venv/bin/python -m pip --quiet uninstall --yes setuptools 2>/dev/null || true # its .pth file slows every start
    install() { .venv/bin/python -m pip install --quiet --disable-pip-version-check "$@"; }
elif "$python" -m pip --version >/dev/null 2>&1; then # Debian's python3-pip without its python3-venv
    "$python" -m venv --without-pip .venv
    install() { "$python" -m pip --python .venv/bin/python install --quiet --disable-pip-version-check "$@"; }
else
    echo "error: $python can make no environment: it has neither ensurepip nor pip" >&2
    echo "hint: apt-get install python3-venv, or put uv on PATH; then call make again" >&2
    exit 1
fi

install --require-hashes --only-binary :all: -r requirements-dev.lock
install --no-deps --no-build-isolation --editable .
.venv/bin/python -m compileall -q .venv/lib src || true # some packages ship templates that are no Python
touch .venv/made
