#!/bin/sh
# Write the lock files: versions and hashes for every platform and every Python from 3.11 on; no addresses. Needs uv.
set -eu
cd "$(dirname "$0")/.."

lock() {
    uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links "$@" pyproject.toml
}

lock --output-file requirements.lock
lock --output-file requirements-dev.lock --group dev
