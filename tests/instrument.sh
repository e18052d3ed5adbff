#!/usr/bin/env bash
# A rustc wrapper for the workspace's own crates: adds coverage instrumentation to the library and the program. The tests
# are not instrumented, which would take a third of their time to count lines that nobody asks about; but they link what
# writes the counts of the library.
set -euo pipefail
case " $* " in
*" --crate-name build_script_"*) exec "$@" ;;
*" --crate-name it "*) exec "$@" -C link-arg=-Wl,-u,__llvm_profile_runtime ;;
esac
exec "$@" -C instrument-coverage
