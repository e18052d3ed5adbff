#!/usr/bin/env bash
# Checks the formatting and runs the forge tests, offline. Arguments go to `forge test`.
set -euo pipefail
script="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
"$script/forge.sh" fmt --check
exec "$script/forge.sh" test "$@"
