#!/usr/bin/env bash
# A rustc wrapper for the workspace's own crate: adds coverage instrumentation to everything but the build script.
set -euo pipefail
if [[ " $* " == *" --crate-name build_script_"* ]]; then
    exec "$@"
fi
exec "$@" -C instrument-coverage
