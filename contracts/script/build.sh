#!/usr/bin/env bash
# Builds the contracts (not their tests) into contracts/out, offline. Arguments go to `forge build`.
set -euo pipefail
script="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
"$script/forge.sh" build --skip test "$@"

# Commands of forge that need no bytecode (its linter) leave artifacts without any, and its cache then takes them for
# built. Whoever deploys from them would fail far from the cause.
for source in "$script"/../src/*.sol "$script"/../src/examples/*.sol; do
  name="$(basename "$source" .sol)"
  if ! grep -q '"bytecode"' "$script/../out/$name.sol/$name.json" 2>/dev/null; then
    echo "contracts/out lacks the bytecode of $name: building all anew"
    exec "$script/forge.sh" build --skip test --force "$@"
  fi
done
