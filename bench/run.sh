#!/usr/bin/env bash
# Icehaul beside its peers, in one run, on one machine:   bench/run.sh [REPEATS]
#
# The peers' scripts (PEERS) prepare the data and measure: every case in a fresh folder, the cases interleaved, wall and CPU of the whole
# process tree, the written table checked by PyIceberg. Ours are two more cases of theirs. Writes bench/results/pg2m.jsonl and, from
# all of bench/results, bench/RESULTS.md.
set -euo pipefail
# shellcheck source=bench/lib.sh
. "$(dirname "$0")/lib.sh"
REPEATS=${1:-3}

bench_needs
trap 'stop_servers' EXIT
stop_servers() {
    "$PEERS/restcat.sh" stop "$W" 2>/dev/null || true
    bench_pg stop
}
step "Prepare the peers" setup_core
bench_pg start
step "Prepare the data" setup_orders
"$PEERS/restcat.sh" start "$W"

# ingestr's package only downloads a binary: it takes part where one is at hand.
ingestr=
[ ! -x "${INGESTR_BIN:-$W/bin/ingestr-trim}" ] || ingestr='|ingestr|ingestr-2streams'
tasks=$(jq -n --arg here "$ROOT/bench" '[
    {task: "pg2m", peer: "icehaul", cmd: "\($here)/icehaul_load.sh bench counts orders", table: "orders"},
    {task: "pg2m", peer: "icehaul-checksum", cmd: "\($here)/icehaul_load.sh bench checksum orders", table: "orders"}]')
bench_measure pg2m "$REPEATS" "^(pg2m/(icehaul|icehaul-checksum|duckdb-native|duckdb.pyiceberg|pyiceberg.adbc|pyiceberg.connectorx|pandas.original.$ingestr)|limit/psql-copy-binary)\$" <<<"$tasks"
python3 "$ROOT/bench/report.py" "$PEERS/summary.py"
say "done: bench/RESULTS.md"
