#!/usr/bin/env bash
# Builds the contracts into contracts/out, offline.
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/forge.sh" build "$@"
