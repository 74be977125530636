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
for table in "$@"; do service_load "$database" "$verify" "$table"; done
peak=$(service_peak)
service_down
cd "$WH"
jq -sc --argjson peak "$peak" '
    def seconds: capture("(?<whole>.*T[0-9:]+)(?<part>\\.[0-9]+)?Z") | (.whole + "Z" | fromdateiso8601) + (.part // "0" | tonumber);
    {rows: (map(.result.rows_loaded) | add),
     job_seconds: ((map((.finished_at | seconds) - (.started_at | seconds)) | add) * 1000 | round / 1000),
     worker_peak_mb: $peak}' "${@/%/.json}" | sed 's/^/RESULT /'
