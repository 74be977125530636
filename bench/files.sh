#!/usr/bin/env bash
# CSV and Parquet into Iceberg, from the disk and from an S3 server, beside the peers in one run:   bench/files.sh [REPEATS]
# Also the fingerprint scan of the table. Writes bench/results/files.jsonl and fingerprint.json, and from all results bench/RESULTS.md.
set -euo pipefail
# shellcheck source=bench/lib.sh
. "$(dirname "$0")/lib.sh"
REPEATS=${1:-3}

bench_needs
trap 'stop_servers' EXIT
stop_servers() {
    "$PEERS/restcat.sh" stop "$W" 2>/dev/null || true
    bench_s3 stop
}
step "Prepare the peers" setup_core
step "Prepare the data" setup_files
"$PEERS/restcat.sh" start "$W"
step "Start the S3 server" bench_s3 start

tasks=$(jq -n --arg ours "$ROOT/bench/icehaul_files.sh" '[
    {task: "csv2m", peer: "icehaul", cmd: "\($ours) csv", table: "orders"},
    {task: "csv2m", peer: "icehaul-schema", cmd: "\($ours) csv-schema", table: "orders"},
    {task: "csv2m", peer: "icehaul-s3", cmd: "\($ours) s3-csv", table: "orders"},
    {task: "csv2m", peer: "icehaul-s3-schema", cmd: "\($ours) s3-csv-schema", table: "orders"},
    {task: "pq2m", peer: "icehaul", cmd: "\($ours) parquet", table: "orders"},
    {task: "pq2m", peer: "icehaul-s3", cmd: "\($ours) s3-parquet", table: "orders"}]')
bench_measure files "$REPEATS" "^(csv2m|pq2m)/(icehaul.*|duckdb-native|pyiceberg.pyarrow)\$" <<<"$tasks"

# The scan of a table for its fingerprint, by the command line: the service runs, its caches are warm after the first.
fingerprint_scan() (
    # shellcheck source=bench/service.sh
    . "$ROOT/bench/service.sh"
    export ICEHAUL_FILE_ROOTS=$W/data
    trap service_down EXIT
    rm -rf "$W/wh_scan"
    service_up "$W/wh_scan"
    service_load orders file --file-path "$W/data/orders.parquet"
    for _ in $(seq "$((REPEATS + 1))"); do
        start=$EPOCHREALTIME
        "$ICEHAUL" fingerprint bench.orders --url "http://127.0.0.1:$SERVICE_PORT" >"$W/wh_scan/fingerprint"
        jq -n --argjson start "$start" --argjson stop "$EPOCHREALTIME" '$stop - $start' >>"$W/wh_scan/seconds"
    done
    jq -sc '{rows: 2000000, seconds: .[1:] | sort}' "$W/wh_scan/seconds" >"$ROOT/bench/results/fingerprint.json"
)
step "Scan for the fingerprint" fingerprint_scan
python3 "$ROOT/bench/report.py" "$PEERS/summary.py"
say "done: bench/RESULTS.md"
