#!/usr/bin/env bash
# Runs the forge of node_modules in the folder of the project, offline, whatever HOME and the current folder are.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ ! -e node_modules/.bin/forge ]; then
  echo "forge is missing: run 'npm ci --prefix contracts' first" >&2
  exit 2
fi
export FOUNDRY_DISABLE_NIGHTLY_WARNING=1
exec node node_modules/.bin/forge "$@"
