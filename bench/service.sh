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

# service_load DATABASE VERIFY TABLE [ARGUMENT…]: one job through the queue into bench.TABLE; its document goes to FOLDER/TABLE.json.
service_load() {
    local database=$1 verify=$2 table=$3
    shift 3
    "$ICEHAUL" load postgres --url "http://127.0.0.1:$SERVICE_PORT" --host 127.0.0.1 --port "${PGPORT_B:-25432}" --database "$database" \
        --user icehaul_reader --password none --table "$table" --namespace bench --table-name "$table" --mode append \
        --lineage false --verify "$verify" --json "$@" >"$SERVICE_FOLDER/$table.json"
}

# The most memory the service has held so far, in MB.
service_peak() { awk '/^VmHWM/ {print int($2 / 1024)}' "/proc/$SERVICE_PID/status"; }

service_down() {
    [ -z "$SERVICE_PID" ] || { kill "$SERVICE_PID" 2>/dev/null && wait "$SERVICE_PID" 2>/dev/null; SERVICE_PID=; } || true
}
