#!/usr/bin/env bash
# Starts a demo, runs both examples against it, and ends it. `make examples` builds what they need. MEIKAN names another
# program than the one that is built there.
set -euo pipefail
cd "$(dirname "$0")/.."

said=$(mktemp)
"${MEIKAN:-target/debug/meikan}" demo --listen 127.0.0.1:0 >"$said" &
demo=$!
trap 'kill -INT "$demo" 2>/dev/null; wait "$demo" || true; rm -f "$said"' EXIT

# What the demo says of an address, once it has said it.
address() {
    for ((tries = 0; tries < 1200; tries++)); do
        if sed -nE "s|^$1 (http://[0-9.:]+).*|\1|p" "$said" | grep -m1 .; then
            return
        fi
        kill -0 "$demo" 2>/dev/null || break
        sleep 0.1
    done
    echo "the demo did not say where it is: $(cat "$said")" >&2
    return 1
}
url=$(address "Meikan answers at")
rpc=$(address "The chain is at")

npm start --silent --prefix examples/typescript -- --url "$url" --rpc "$rpc"
examples/python/.venv/bin/python examples/python/example.py --url "$url" --rpc "$rpc"
