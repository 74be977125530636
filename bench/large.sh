#!/usr/bin/env bash
# A CSV file of 5 GB, the types decided over all of it, within 512 MiB:   bench/large.sh [COPIES]
# The peers' orders.csv, COPIES times (default 25: 50 million rows, 5.1 GB). Its counts and sums must be the copies' times the file's.
set -euo pipefail
# shellcheck source=bench/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=bench/service.sh
. "$(dirname "$0")/service.sh"
COPIES=${1:-25}
LARGE=$W/large/orders.csv

bench_needs
trap 'service_down; rm -rf "$W/large" "$W/wh_large"' EXIT
step "Prepare the tools" setup_core
step "Prepare the data" setup_files
mkdir -p "$W/large"
make_large() {
    head -n 1 "$W/data/orders.csv" >"$LARGE"
    for _ in $(seq "$COPIES"); do tail -n +2 "$W/data/orders.csv" >>"$LARGE"; done
}
step "Write the file" make_large

rm -rf "$W/wh_large"
export ICEHAUL_FILE_ROOTS=$W/large
service_up "$W/wh_large"
step "Load" service_load orders file --file-path "$LARGE"
query() { "$ICEHAUL" query --url "http://127.0.0.1:$SERVICE_PORT" --json "$1"; }
found=$(query 'SELECT count(*) AS n, sum(id) AS ids, cast(sum(price) AS varchar) AS price, count(*) - count(status) AS missing FROM bench.orders')
service_down
say "$found"
expected=$(python3 -c "
from decimal import Decimal
n = $COPIES
print(f'{n * 2000000} {n * 2000001000000} {n * Decimal(\"999447658246.87\")} {n * 40126}')")
same=$(jq -r --arg expected "$expected" '.rows[0] | map(tostring) | join(" ") == $expected' <<<"$found")
mkdir -p "$ROOT/bench/results"
service_result rows_loaded orders | sed 's/^RESULT //' | jq --argjson bytes "$(stat -c %s "$LARGE")" --argjson equal "$same" \
    '. + {bytes: $bytes, equal: $equal}' >"$ROOT/bench/results/large.json"
python3 "$ROOT/bench/report.py" "$PEERS/summary.py"
jq . "$ROOT/bench/results/large.json"
[ "$same" = true ] || die "the table does not hold what the file does: expected $expected"
