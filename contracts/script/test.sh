#!/usr/bin/env bash
# Checks the formatting, and that ../abi is that of the build, and runs the forge tests, offline. Arguments go to
# `forge test`.
set -euo pipefail
script="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
"$script/forge.sh" fmt --check
"$script/abi.sh" --check
exec "$script/forge.sh" test "$@"
