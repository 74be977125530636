#!/usr/bin/env bash
# What the peers' run.py measures as ours: start, load through the queue, stop.   icehaul_load.sh DATABASE VERIFY TABLE…
# All of it counts: the service's start and stop, its Redis, the queue, the command line.
set -euo pipefail
# shellcheck source=bench/service.sh
. "$(dirname "$0")/service.sh"
database=$1 verify=$2
shift 2
trap service_down EXIT
service_up "$WH"
for table in "$@"; do service_load_table "$database" "$verify" "$table"; done
service_down
service_result rows_loaded "$@"
