# shellcheck shell=bash
# A fresh Icehaul for one measurement: `service_up FOLDER`, `service_load …`, `service_down`. Needs ICEHAUL, the binary.
# The catalog is called `bench`: FOLDER/cat.db, where the peers' verify.py and PyIceberg look for it.

SERVICE_PORT=${ICEHAULPORT_B:-28480}
SERVICE_PID=

service_up() {
    SERVICE_FOLDER=$1
    mkdir -p "$SERVICE_FOLDER"
    ICEHAUL_CATALOGS__BENCH__KIND=sqlite ICEHAUL_CATALOGS__BENCH__PATH=$SERVICE_FOLDER/cat.db \
        ICEHAUL_CATALOGS__BENCH__WAREHOUSE=$SERVICE_FOLDER ICEHAUL_DEFAULT_CATALOG=bench \
        "$ICEHAUL" up --data-dir "$SERVICE_FOLDER/data-dir" --bind "127.0.0.1:$SERVICE_PORT" >"$SERVICE_FOLDER/icehaul.log" 2>&1 </dev/null &
    SERVICE_PID=$!
    until (: <"/dev/tcp/127.0.0.1/$SERVICE_PORT") 2>/dev/null; do
        kill -0 "$SERVICE_PID" 2>/dev/null || { tail -n 5 "$SERVICE_FOLDER/icehaul.log" >&2; return 1; }
        sleep 0.01
    done
}

# service_load TABLE SOURCE ARGUMENT…: one job through the queue into bench.TABLE; its document goes to FOLDER/TABLE.json.
service_load() {
    local table=$1 source=$2
    shift 2
    "$ICEHAUL" load "$source" --url "http://127.0.0.1:$SERVICE_PORT" --namespace bench --table-name "$table" --mode append \
        --lineage false --json "$@" >"$SERVICE_FOLDER/$table.json"
}

# service_scrape TABLE PATH: one scrape into bench.TABLE, its other fields as JSON from standard input. By curl: what the command line would
# send, without its options for objects.
service_scrape() {
    local table=$1 path=$2 job=$SERVICE_FOLDER/$1.json url=http://127.0.0.1:$SERVICE_PORT/api/v1
    jq -c --arg table "$table" '. + {namespace: "bench", table_name: $table, mode: "append", max_attempts: 1}' |
        curl -sS --fail-with-body -H 'content-type: application/json' -H 'prefer: wait=60' --data-binary @- "$url/$path" >"$job" || { cat "$job" >&2; return 1; }
    while jq -e '.status | IN("succeeded", "failed", "cancelled") | not' "$job" >/dev/null; do
        curl -sSf -H 'prefer: wait=60' "$url/jobs/$(jq -r .job_id "$job")" >"$job.new" && mv "$job.new" "$job"
    done
    jq -e '.status == "succeeded"' "$job" >/dev/null || { jq -c .error "$job" >&2; return 1; }
}

# service_load_table DATABASE VERIFY TABLE: the same from the benchmarks' PostgreSQL.
service_load_table() {
    service_load "$3" postgres --host 127.0.0.1 --port "${PGPORT_B:-25432}" --database "$1" --user icehaul_reader --password none \
        --table "$3" --verify "$2"
}

# service_result TABLE…: what the peers' run.py reads, after `service_down`: rows, the jobs' seconds, the service's peak.
service_result() {
    jq -sc --argjson peak "$SERVICE_PEAK" '
        def seconds: capture("(?<whole>.*T[0-9:]+)(?<part>\\.[0-9]+)?Z") | (.whole + "Z" | fromdateiso8601) + (.part // "0" | tonumber);
        {rows: (map(.result.rows_loaded // .result.rows_scraped // .result.records) | add),
         job_seconds: ((map((.finished_at | seconds) - (.started_at | seconds)) | add) * 1000 | round / 1000),
         worker_peak_mb: $peak}' "${@/#/$SERVICE_FOLDER/}" | sed 's/^/RESULT /'
}

# The most memory the service has held so far, in MB.
service_peak() { awk '/^VmHWM/ {print int($2 / 1024)}' "/proc/$SERVICE_PID/status"; }

service_down() {
    [ -z "$SERVICE_PID" ] || SERVICE_PEAK=$(service_peak)
    [ -z "$SERVICE_PID" ] || { kill "$SERVICE_PID" 2>/dev/null && wait "$SERVICE_PID" 2>/dev/null; SERVICE_PID=; } || true
}
