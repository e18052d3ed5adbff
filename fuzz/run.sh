#!/usr/bin/env bash
# Fuzzes the reader of each kind of document for SECONDS_EACH (60), or of KIND alone. It begins with what earlier runs found
# and the documents of the golden vectors. What breaks a reader is left in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${SECONDS_EACH:-60}
tools=$PWD/../target/tools
vectors=../tests/data/documents/vectors.json

if [[ ! -x $tools/bin/cargo-fuzz ]]; then
    cargo install --quiet --locked --root "$tools" cargo-fuzz
fi
# The instrumentation that libFuzzer needs is not stable; no sanitizer is, and no unsafe code is ours.
export RUSTC_BOOTSTRAP=1
PATH=$tools/bin:$PATH cargo fuzz build --fuzz-dir . --target-dir ../target/fuzz --sanitizer none document
program=$(find ../target/fuzz -path '*/release/document' -type f | head -n 1)

kinds=${KIND:-$(node -p "[...new Set(require('$vectors').map((one) => one.kind))].join(' ')")}
for kind in $kinds; do
    mkdir -p "corpus/$kind" "artifacts/$kind"
    node -e "
        const { writeFileSync } = require('node:fs');
        for (const { name, document } of require('$vectors').filter((one) => one.kind === '$kind')) {
            writeFileSync('corpus/$kind/' + name, document);
        }"
    echo "$kind, for $seconds s"
    KIND=$kind "$program" -max_total_time="$seconds" -max_len=16384 -timeout=10 -print_final_stats=1 \
        -artifact_prefix="artifacts/$kind/" "corpus/$kind" 2>&1 | grep -E '^(stat::number_of_executed_units|SUMMARY|==|thread|assertion|  (left|right))|panicked' || true
    if [[ -n $(ls "artifacts/$kind") ]]; then
        echo "$kind: what broke the reader is in fuzz/artifacts/$kind" >&2
        exit 1
    fi
done
