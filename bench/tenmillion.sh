#!/usr/bin/env bash
# Is a load of 10 million rows exact, in bounded memory?   bench/tenmillion.sh
#
# TPC-H's lineitem at scale 1.67 goes through the queue. Then counts, sums, smallest and largest values of every column and the fingerprint are
# computed three times: by PostgreSQL (fingerprint: the Python implementation on its rows), by PyIceberg, and by Icehaul. All must agree.
set -euo pipefail
# shellcheck source=bench/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=bench/service.sh
. "$(dirname "$0")/service.sh"

bench_needs
trap 'service_down; bench_pg stop' EXIT
bench_pg start
step "Prepare the tools" setup_core
step "Prepare 10 million rows of lineitem" setup_tpch tpch10m 1.67 "$W/tpch/sf167" lineitem --tables=lineitem

rm -rf "$W/wh10m"
service_up "$W/wh10m"
step "Load" service_load_table tpch10m checksum lineitem
peak=$(service_peak)
mkdir -p "$ROOT/bench/results"
step "Compare (the Python fingerprints take a quarter of an hour)" "$W/v_core/bin/python" "$ROOT/bench/check.py" \
    --dsn "postgresql://bench@127.0.0.1:$PGPORT_B/tpch10m" --folder "$W/wh10m" --table lineitem --fingerprints \
    --icehaul "$ICEHAUL" --url "http://127.0.0.1:$SERVICE_PORT" --job "$W/wh10m/lineitem.json" \
    --worker-peak-mb "$peak" --out "$ROOT/bench/results/tenmillion.json"
say "the service's peak memory: $peak MB (at most 512)"
[ "$peak" -lt 512 ] || die "too much memory"
python3 "$ROOT/bench/report.py" "$PEERS/summary.py"
say "exact: bench/results/tenmillion.json"
