#!/usr/bin/env bash
# Runs the forge tests, offline. Arguments go to `forge test`.
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/forge.sh" test "$@"
