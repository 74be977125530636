# shellcheck shell=bash
# A fresh Icehaul for one measurement: `service_up FOLDER`, `service_load …`, `service_down`. Needs ICEHAUL, the binary.
# The catalog is called `bench`: cat.db in FOLDER (or in SERVICE_LAKE), where the peers' verify.py and PyIceberg look for it.

SERVICE_PORT=${ICEHAULPORT_B:-28480}
SERVICE_PID=

service_up() {
    SERVICE_FOLDER=$1
    local lake=${SERVICE_LAKE:-$SERVICE_FOLDER}
    mkdir -p "$SERVICE_FOLDER"
    ICEHAUL_CATALOGS__BENCH__KIND=sqlite ICEHAUL_CATALOGS__BENCH__PATH=$lake/cat.db \
        ICEHAUL_CATALOGS__BENCH__WAREHOUSE=$lake ICEHAUL_DEFAULT_CATALOG=bench \
        "$ICEHAUL" up --data-dir "$SERVICE_FOLDER/data-dir" --bind "127.0.0.1:$SERVICE_PORT" >"$SERVICE_FOLDER/icehaul.log" 2>&1 </dev/null &
    SERVICE_PID=$!
    until (: <"/dev/tcp/127.0.0.1/$SERVICE_PORT") 2>/dev/null; do
        kill -0 "$SERVICE_PID" 2>/dev/null || { tail -n 5 "$SERVICE_FOLDER/icehaul.log" >&2; return 1; }
        pause
    done
}

# A hundredth of a second, without a process: what is measured here is Icehaul.
exec {SERVICE_SILENCE}<> <(:)
pause() { read -rt 0.01 -u "$SERVICE_SILENCE" || true; }

# service_load TABLE SOURCE ARGUMENT…: one job through the queue into bench.TABLE; its document goes to FOLDER/TABLE.json.
service_load() {
    local table=$1 source=$2
    shift 2
    "$ICEHAUL" load "$source" --url "http://127.0.0.1:$SERVICE_PORT" --namespace bench --table-name "$table" --mode append \
        --lineage false --json "$@" >"$SERVICE_FOLDER/$table.json"
}

# service_job NAME PATH REQUEST: the job of a request, to its end; its document goes to FOLDER/NAME.json. By curl, and without jq, which
# takes as much of the processor as some jobs: what is measured here is Icehaul.
service_job() {
    local document=$SERVICE_FOLDER/$1.json url=http://127.0.0.1:$SERVICE_PORT/api/v1
    curl -sS --fail-with-body -H 'content-type: application/json' -H 'prefer: wait=60' -d "$3" -o "$document" "$url/$2" || { cat "$document" >&2; return 1; }
    until [[ $(field status "$document") == @(succeeded|failed|cancelled) ]]; do
        curl -sSf -H 'prefer: wait=60' -o "$document" "$url/jobs/$(field job_id "$document")" || return 1
    done
    [ "$(field status "$document")" = succeeded ] || { cat "$document" >&2; return 1; }
}

# service_scrape TABLE PATH REQUEST: a scrape into bench.TABLE; the request without its opening brace.
service_scrape() { service_job "$1" "$2" "{\"namespace\": \"bench\", \"table_name\": \"$1\", \"mode\": \"append\", \"max_attempts\": 1, $3"; }

# field NAME FILE: the first value of that name in a job's document.
field() {
    local document
    document=$(<"$2")
    [[ $document =~ \"$1\":\"?([^\",}]*) ]] && printf '%s' "${BASH_REMATCH[1]}"
}

# service_load_table DATABASE VERIFY TABLE: the same from the benchmarks' PostgreSQL.
service_load_table() {
    service_load "$3" postgres --host 127.0.0.1 --port "${PGPORT_B:-25432}" --database "$1" --user icehaul_reader --password none \
        --table "$3" --verify "$2"
}

# service_result ROWS TABLE…: what the peers' run.py reads, after `service_down`: rows (the field ROWS of each result), the jobs' seconds,
# the service's peak.
service_result() {
    local name=$1 table seconds rows=0 ms=0
    shift
    for table in "$@"; do
        rows=$((rows + $(field "$name" "$SERVICE_FOLDER/$table.json")))
        printf -v seconds %.3f "$(field duration_seconds "$SERVICE_FOLDER/$table.json")"
        ms=$((ms + 10#${seconds/./}))
    done
    printf 'RESULT {"rows": %d, "job_seconds": %d.%03d, "worker_peak_mb": %d}\n' "$rows" $((ms / 1000)) $((ms % 1000)) "$SERVICE_PEAK"
}

# The most memory the service has held so far, in MB.
service_peak() { awk '/^VmHWM/ {print int($2 / 1024)}' "/proc/$SERVICE_PID/status"; }

service_down() {
    [ -z "$SERVICE_PID" ] || SERVICE_PEAK=$(service_peak)
    [ -z "$SERVICE_PID" ] || { kill "$SERVICE_PID" 2>/dev/null && wait "$SERVICE_PID" 2>/dev/null; SERVICE_PID=; } || true
}
