#!/usr/bin/env bash
# Does the simulation see anything? Breaks a copy of the sources, in one way at a time, and plays seeds until one notices.
#
#   tests/mutations.sh              all of them, at most SEEDS (200) seeds each
#   tests/mutations.sh fence bloom  only these
set -euo pipefail
cd "$(dirname "$0")/.."
seeds=${SEEDS:-200}
profile=${PROFILE:-dev}
work=$PWD/target/mutations
# A folder of its own: in a shared one cargo takes what was built of the copy for what the sources here are.
export CARGO_TARGET_DIR=$work/target
copy=$work/copy
wanted=" $* "
survived=0

# A name, a file, and how its text is changed (perl).
mutations=(
    'rewind     src/store/apply/feedback/rows.rs  s/(DELETE FROM feedback WHERE .*?begin_block > \$2)/$1::bigint + 1000000000/'
    'bloom      src/chain/check.rs           s/\.find\(suspicious\)/.find(|one| suspicious(one) \&\& false)/'
    'parent     src/follow/mod.rs            s/(parent\.is_some_and\(\|parent\| parent != tip\.hash\))/$1 \&\& false/'
    'cursor     src/store/sql.rs             s/(fn execute\(.*?\{\n)/$1 if statement.contains("UPDATE cursor SET tip") { self.transaction.batch_execute("COMMIT; BEGIN").await.map_err(self.failed())?; }\n/s'
    'fence      src/store/step.rs            s/("epoch"\)\? != epoch)/$1 \&\& false/'
    'digest     src/store/apply/digest.rs    s/(DELETE FROM state_digest WHERE chain_id = \$1 AND block_number > \$2)/$1::bigint + 1000000000/'
    'totals     src/store/apply/kept/mod.rs  s/(chain_id = \$1 AND) (begin_block <= \$2 AND end_block > \$2")/$1 FALSE AND $2/'
    'prune      src/store/apply/kept/mod.rs  s/(chain_id = \$1 AND end_block <= \$2)\{/$1::bigint + 3\{/'
    'milestone  src/store/apply/standings/mod.rs s/(kept\.ever_given) >= (self\.hot_feedback)/$1 > $2/'
    'derived    src/store/apply/standings/standing.rs s/("active", Type::INT8), "given - revoked"/$1, "given"/'
    'ranking    src/store/apply/rankings.rs  s/(DELETE FROM ranking_version WHERE chain_id = \$1 AND end_block > \$2)/$1::bigint + 1000000000/'
    'late       src/store/apply/late/history.rs  s/(\(at, _\)\| at) <= block/$1 < block/'
    'since      src/store/standing.rs        s/(b\.voices) \+ coalesce\(\(SELECT sum\(mean\) FROM voices\), 0\)/$1/'
    'interval   src/store/query/series.rs    s/(e\.ever_given) - coalesce\(lag\(e\.ever_given\) OVER so_far, f\.ever_given\)/$1/'
    'flip       src/store/apply/flips.rs     s/(UPDATE manifest_flip SET end_block = NULL WHERE chain_id = \$1 AND end_block > \$2)/$1::bigint + 1000000000/'
    'hour       src/store/apply/hours.rs     s/(AND h\.begin_block > \$2)/$1::bigint + 1000000000/'
    'recount    src/store/step.rs            s/(let below_finality =) self\.is_below_finality\(to\)/$1 false/'
    'mixture    src/store/reindex.rs         s/(if !self\.cursor\.is_outdated\(\)) (\{\n\s+return from;)/$1 || true $2/'
    'expired    src/store/apply/oversight.rs s/if (expiry) >= (U256::from\(place\.time\))/if $1 > $2/'
    'counter    src/store/apply/counters.rs  s/\(self\.day, self\.day_count, self\.day_spend\) = \(day, 0, U256::ZERO\)/self.day = day/'
    'verified   src/audit/run.rs             s/verdict\.findings\.is_empty\(\) && stands/stands/'
    'retract    src/store/query/subscription/sift.rs s/(ChangeOp::Retract => lowest)\.map\(\|lowest\| lowest - 1\)/$1.filter(|_| false)/'
    'gap        src/store/apply/change.rs    s/if has_logs && !self\.is_told/if false \&\& has_logs \&\& !self.is_told/'
)

# What was built or fetched is only read.
refresh() {
    rm -rf "$copy"
    mkdir -p "$copy"
    git ls-files -z | xargs -0 cp --parents --target-directory "$copy"
    for built in contracts/out contracts/node_modules deploy/postgres/node_modules web/dist; do
        rm -rf "${copy:?}/$built"
        ln -s "$PWD/$built" "$copy/$built"
    done
}

for mutation in "${mutations[@]}"; do
    read -r name file change <<<"$mutation"
    if [[ $# -gt 0 && $wanted != *" $name "* ]]; then
        continue
    fi
    refresh
    perl -0pi -e "$change" "$copy/$file"
    if cmp --silent "$file" "$copy/$file"; then
        echo "mutations: $name changes nothing in $file; the code has moved on" >&2
        exit 2
    fi
    (cd "$copy" && cargo test --quiet --locked --profile "$profile" --test it --no-run 2>"$work/build.log") || {
        cat "$work/build.log" >&2
        exit 2
    }
    rm -rf "$work/ledger"
    if (cd "$copy" && COUNT=$seeds MEIKAN_SIMULATION_DIR=$work/ledger cargo test --quiet --locked --profile "$profile" \
        --test it -- simulation::run::simulate --ignored --exact --nocapture >"$work/run.log" 2>&1); then
        survived=$((survived + 1))
        printf '%-9s not noticed by %s seeds\n' "$name" "$seeds"
    else
        failed=$(find "$work/ledger" -name 'failed-*.txt' | sort | head -n 1)
        why=$(grep -m 1 '^seed ' "${failed:-$work/run.log}" || tail -n 1 "$work/run.log")
        printf '%-9s noticed after %s seeds: %.110s\n' "$name" "$(grep -c . "$work/ledger/ledger.tsv")" "$why"
    fi
done
exit "$((survived > 0))"
