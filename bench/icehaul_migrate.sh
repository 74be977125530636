#!/usr/bin/env bash
# One migration of the benchmarks' source tables ($WORK/wh_src) into a warehouse of its own:   icehaul_migrate.sh rows|rows-counts|files|bulk-1|bulk-4
# `rows` compares both sides by the fingerprint before it publishes, `rows-counts` does not; `bulk-N` moves ten tables, N side by side.
set -euo pipefail
# shellcheck source=bench/service.sh
. "$(dirname "$0")/service.sh"
case $1 in
rows) path=migrate job=orders more='"source_table": "orders", "dest_table": "orders"' ;;
rows-counts) path=migrate job=orders more='"source_table": "orders", "dest_table": "orders", "validate": false' ;;
files) path=migrate job=large more='"source_table": "large", "dest_table": "large", "copy": "files"' ;;
bulk-*) path=migrate/bulk job=bulk more="\"tables\": \"part_.*\", \"parallelism\": ${1#bulk-}" ;;
*) exit 2 ;;
esac
export ICEHAUL_CATALOGS__MOVED__KIND=sqlite ICEHAUL_CATALOGS__MOVED__PATH=$WH/moved.db ICEHAUL_CATALOGS__MOVED__WAREHOUSE=$WH
trap service_down EXIT
SERVICE_LAKE=$WORK/wh_src service_up "$WH"
service_job "$job" "$path" "{\"source_catalog\": \"bench\", \"source_namespace\": \"bench\", \"dest_catalog\": \"moved\", \"dest_namespace\": \"bench\", $more}"
service_down
service_result rows_migrated "$job"
