#!/usr/bin/env bash
# Prints the line coverage of contracts/src by the forge tests and fails below the floor. It builds apart from
# contracts/out: coverage needs unoptimised code, and nothing may deploy that.
set -euo pipefail
floor_percent=90
script="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
FOUNDRY_OUT="$work/out" FOUNDRY_CACHE_PATH="$work/cache" \
  "$script/forge.sh" coverage --report summary --no-match-coverage '^test/' | tee "$work/report" | grep -E '\| (File|src/|Total)' \
  || { cat "$work/report" >&2; exit 1; }
awk -F'|' -v floor="$floor_percent" '
  $2 ~ /^ Total / { split($3, parts, "%"); percent = parts[1] + 0; found = 1 }
  END {
    if (!found) { print "no total in the coverage report"; exit 1 }
    printf "line coverage %.2f %%, floor %d %%\n", percent, floor
    exit percent < floor
  }' "$work/report"
