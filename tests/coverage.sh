#!/usr/bin/env bash
# Runs the Rust tests with coverage instrumentation and prints the lines covered.
#
# The tests run once, instrumented. LLVM's tools come from rustup (component llvm-tools) or from Debian (llvm-19 reads
# what this Rust writes).
set -euo pipefail
cd "$(dirname "$0")/.."

tool() {
    local found
    found=$(find "$(rustc --print sysroot)/lib/rustlib" -name "$1" -type f 2>/dev/null | head -n 1)
    # The newest first: an older one cannot read what a newer compiler writes.
    for candidate in "$found" $(compgen -G "/usr/lib/llvm-*/bin/$1" | sort -rV) "$(command -v "$1" || true)"; do
        if [[ -x "$candidate" ]]; then
            echo "$candidate"
            return
        fi
    done
    echo "coverage: $1 is missing; install it with: rustup component add llvm-tools, or apt-get install llvm-19" >&2
    return 1
}

profdata=$(tool llvm-profdata)
cov=$(tool llvm-cov)
target=${CARGO_TARGET_DIR:-target}/coverage
profiles=$target/profiles
rm -rf "$profiles"
mkdir -p "$profiles"
profiles=$(realpath "$profiles")

# Only our own crate is instrumented: dependencies would double the build, and their lines are not reported.
export CARGO_TARGET_DIR=$target
export RUSTC_WORKSPACE_WRAPPER=$PWD/tests/instrument.sh
# %m keeps one file for each binary, however many processes run it; %c writes it even when a process is killed.
export LLVM_PROFILE_FILE=$profiles/%m.profraw

cargo test --locked --no-run --message-format=json >"$target/build.json"
# One test more than there are cores: each waits for other processes for a good part of its time.
RUST_TEST_THREADS=${RUST_TEST_THREADS:-$(($(nproc) + 1))} cargo test --locked -- "$@"

objects=()
while IFS= read -r binary; do
    objects+=(--object "$binary")
done < <(grep -o '"executable":"[^"]*"' "$target/build.json" | cut -d'"' -f4 | sort -u)

# What each failure that is known from the field is answered with, by the names of the tests that have just run.
mapfile -t tests < <(grep '"test":true' "$target/build.json" | grep -o '"executable":"[^"]*"' | cut -d'"' -f4 | sort -u)
tests/failures.sh "${tests[@]}"

"$profdata" merge --sparse --output "$target/tests.profdata" "$profiles"/*.profraw
"$cov" report "${objects[@]}" --instr-profile "$target/tests.profdata" \
    --ignore-filename-regex '(/\.cargo/|/rustc/|/tests/|/target/|tests\.rs|build\.rs)' --show-region-summary=false \
    --show-branch-summary=false | sed "s#$PWD/##"
