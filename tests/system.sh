#!/usr/bin/env bash
# Installs the Debian packages that the tests need, where they are missing: a browser, a Redis, what makes Python
# environments, and LLVM's coverage tools.
set -euo pipefail

missing=()
command -v chromium >/dev/null || missing+=(chromium)
command -v redis-server >/dev/null || missing+=(redis-server)
# Debian's Python makes no environments without it.
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
# An older LLVM than 19 cannot read the profiles of this Rust.
if ! compgen -G '/usr/lib/llvm-19/bin/llvm-cov' >/dev/null && ! compgen -G '/usr/lib/llvm-2?/bin/llvm-cov' >/dev/null &&
    ! find "$(rustc --print sysroot)/lib/rustlib" -name llvm-cov 2>/dev/null | grep -q .; then
    missing+=(llvm-19)
fi
if ((${#missing[@]} == 0)); then
    exit 0
fi
if ((EUID != 0)); then
    echo "The tests need: ${missing[*]}. Install them with: sudo apt-get install ${missing[*]}" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet=2
apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}" >/dev/null
