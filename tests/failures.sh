#!/usr/bin/env bash
# Prints which tests show what is done about each failure of docs/failures.md, by the numbers in the tests' names
# (f13_…, or several: f45_f46_…), and fails if a number has none, or a test a number that the page
# does not have.
#
# Arguments are the binaries of the tests; without any they are built.
set -euo pipefail
cd "$(dirname "$0")/.."

list() {
    if (($# == 0)); then
        cargo test --locked -- --list
        return
    fi
    for binary in "$@"; do
        "$binary" --list
    done
}

# Also tests that are ignored, such as those that take hours: they are named in another column.
tests=$(list "$@" 2>/dev/null | sed -n 's/: test$//p' | sort -u)
awk -F ' *[|] *' '
    NR == FNR {
        count = split($0, path, "::")
        parts = split(path[count], words, "_")
        for (place = 1; place <= parts && words[place] ~ /^f[0-9]+$/; place++) {
            number = substr(words[place], 2) + 0
            shown[number] = shown[number] "\n        " $0
            counted[number]++
        }
        next
    }
    $2 ~ /^F[0-9]+$/ {
        number = substr($2, 2) + 0
        known[number] = 1
        printf "%-4s %s%s\n", $2, $3, shown[number]
        if (!(number in counted)) missing = missing " " $2
    }
    END {
        for (number in counted) if (!(number in known)) strange = strange " F" number
        if (strange != "") print "docs/failures.md does not have" strange > "/dev/stderr"
        if (missing != "") print "no test shows what is done about" missing > "/dev/stderr"
        exit (missing != "" || strange != "")
    }
' <(echo "$tests") docs/failures.md
