#!/usr/bin/env bash
# Iceberg tables into another catalog, with proof, beside the peers in one run:   bench/migrate.sh [REPEATS]
#
# The peers' `orders` (2 million rows) by DuckDB with a SHA-256 of each row on both sides; 20 million rows' files beside `cp -r` and
# `sha256sum`; ten tables, one after another and four side by side. Writes bench/results/migrate.jsonl and, from all results, bench/RESULTS.md.
set -euo pipefail
# shellcheck source=bench/lib.sh
. "$(dirname "$0")/lib.sh"
REPEATS=${1:-3}

bench_needs
trap '"$PEERS/restcat.sh" stop "$W" 2>/dev/null || true' EXIT

setup_sources() {
    local marker=$W/wh_src/ready
    [ -e "$marker" ] && return
    rm -rf "$W/wh_src"
    WORK=$W WH=$W/wh DATA=$W/data PGDSN='' MYDSN='' "$W/v_core/bin/python" "$PEERS/peers/core.py" make_src
    "$W/v_core/bin/python" "$ROOT/bench/migrate_sources.py" "$W/wh_src" "$W/data/orders.parquet"
    touch "$marker"
}

step "Prepare the peers" setup_core
step "Prepare the data" setup_files
step "Prepare the source tables" setup_sources
"$PEERS/restcat.sh" start "$W"

# shellcheck disable=SC2016 # expanded by run.py's shell
copy='bash -c "set -e; cp -r \$WORK/wh_src/bench/large \$WH/large; find \$WH/large -type f -print0 | xargs -0 sha256sum >\$WH/sums"'
tasks=$(jq -n --arg ours "$ROOT/bench/icehaul_migrate.sh" --arg copy "$copy" '[
    {task: "copy2m", peer: "icehaul", cmd: "\($ours) rows", table: "orders"},
    {task: "copy2m", peer: "icehaul-unverified", cmd: "\($ours) rows-counts", table: "orders"},
    {task: "copy-files", peer: "icehaul", cmd: "\($ours) files", table: "large"},
    {task: "copy-files", peer: "cp+sha256sum", cmd: $copy},
    {task: "bulk10", peer: "icehaul-1", cmd: "\($ours) bulk-1"},
    {task: "bulk10", peer: "icehaul-4", cmd: "\($ours) bulk-4"}]')
bench_measure migrate "$REPEATS" "^(copy2m/(icehaul.*|duckdb-(rowsha256|noval))|copy-files/.*|bulk10/.*)\$" <<<"$tasks"
python3 "$ROOT/bench/report.py" "$PEERS/summary.py"
say "done: bench/RESULTS.md"
