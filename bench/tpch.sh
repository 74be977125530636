#!/usr/bin/env bash
# TPC-H scale 1, all 8 tables (8.66 million rows), PostgreSQL to Iceberg through the queue:   bench/tpch.sh [REPEATS]
set -euo pipefail
# shellcheck source=bench/lib.sh
. "$(dirname "$0")/lib.sh"
TABLES="region nation supplier customer part partsupp orders lineitem"

bench_needs
trap 'bench_pg stop' EXIT
bench_pg start
step "Prepare the tools" setup_core
step "Prepare TPC-H scale 1" setup_tpch tpch 1 "$W/tpch/sf1" "$TABLES"

jq -n --arg cmd "$ROOT/bench/icehaul_load.sh tpch" --arg tables "$TABLES" '[
    {task: "tpch1", peer: "icehaul", cmd: "\($cmd) counts \($tables)"},
    {task: "tpch1", peer: "icehaul-checksum", cmd: "\($cmd) checksum \($tables)"}]' >"$W/tasks-tpch.json"
rm -f "$W/tpch.jsonl"
step "Measure" python3 "$PEERS/run.py" --work "$W" --tasks "$W/tasks-tpch.json" --repeats "${1:-3}" --out "$W/tpch.jsonl"
for table in $TABLES; do
    "$W/v_core/bin/python" "$ROOT/bench/check.py" --dsn "postgresql://bench@127.0.0.1:$PGPORT_B/tpch" --folder "$W/wh" --table "$table"
done
mkdir -p "$ROOT/bench/results"
mv "$W/tpch.jsonl" "$ROOT/bench/results/tpch.jsonl"
python3 "$ROOT/bench/report.py" "$PEERS/summary.py"
say "done: bench/RESULTS.md"
