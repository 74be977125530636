#!/usr/bin/env bash
# From a fresh checkout to sample data in Apache Iceberg tables:   ./quickstart.sh
# The same with everything around it (S3, Trino, Jupyter, …):       ./quickstart.sh --full
# Stop what it left running:                                       ./quickstart.sh stop
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/scripts/lib.sh"
cd "$ROOT"

DATA=$ROOT/icehaul-data
STATE=$DATA/quickstart            # icehaul.pid, icehaul.log, url
SAMPLE=$(pg_folder sample-postgres)
ICEHAUL=$CARGO_TARGET_DIR/release/icehaul
NAMESPACE=sales_data
TABLES="sales.orders sales.order_items customers.customer_info customers.customer_activity products.product_catalog products.product_reviews"

# shellcheck source=scripts/full.sh
. scripts/full.sh

main() {
    case ${1:-start} in
    start) start ;;
    --full) start_full ;;
    stop) stop ;;
    *) die "usage: ./quickstart.sh [--full|stop]" ;;
    esac
}

start() {
    say "This sets up Icehaul in $ROOT: it installs missing Debian packages (root or sudo), builds the release,"
    say "starts Icehaul and a private sample PostgreSQL on the loopback interface, and loads the samples into Iceberg tables."
    mkdir -p "$STATE"
    step "Install what is missing" install
    step "Build Icehaul (cold: some minutes)" cargo build --release --locked
    step "Start the sample PostgreSQL" start_sample 20000
    step "Start Icehaul" start_icehaul
    step "Load the sample database through the queue" load_samples
    step "Look at the result" show
    closing
}

# start_sample PORT: on this port, or the next free one.
start_sample() {
    start_postgres "$SAMPLE" "$1" source_db
    pg_sql "$SAMPLE" source_db <samples/init-db.sql
    say "database source_db is filled from samples/init-db.sql; the login is admin / admin123"
}

# Whether the process is ours still, and not another one that was given its number.
running() { [ -s "$STATE/icehaul.pid" ] && grep -qzF -- "$DATA" "/proc/$(cat "$STATE/icehaul.pid")/cmdline" 2>/dev/null; }
healthy() { curl -sf -o /dev/null "$(cat "$STATE/url")/health"; }

start_icehaul() {
    local port
    if running && wait_for 10 healthy; then
        say "it runs already: $(cat "$STATE/url")"
        return
    fi
    port=$(free_port_from 8080)
    printf 'http://127.0.0.1:%s' "$port" >"$STATE/url"
    nohup "$ICEHAUL" up --data-dir "$DATA" --bind "127.0.0.1:$port" >"$STATE/icehaul.log" 2>&1 </dev/null &
    printf '%s' $! >"$STATE/icehaul.pid"
    wait_for 60 healthy || { tail -n 20 "$STATE/icehaul.log" >&2; die "Icehaul did not become healthy; its log: $STATE/icehaul.log"; }
    say "it answers on $(cat "$STATE/url"), its data is in $DATA"
}

client() { ICEHAUL_URL=$(cat "$STATE/url") "$ICEHAUL" "$@"; }

# load NAME ARGUMENT…: one load into NAMESPACE.NAME; the command waits and shows a progress bar.
load() {
    local name=$1
    shift
    say "$NAMESPACE.$name"
    SAMPLE_PASSWORD=admin123 client load postgres --host 127.0.0.1 --port "$(pg_port "$SAMPLE")" --database source_db \
        --user admin --password-env SAMPLE_PASSWORD --namespace "$NAMESPACE" --table-name "$name" \
        --mode overwrite --verify checksum "$@"
}

load_samples() {
    local table
    for table in $TABLES; do load "${table#*.}" --table "$table"; done
    load completed_orders --query "SELECT o.order_id, c.name, o.order_date, o.amount FROM sales.orders o
        JOIN customers.customer_info c USING (customer_id) WHERE o.status = 'completed' AND o.order_date >= DATE '2024-01-01'"
}

show() {
    say "The tables:"
    client tables "$NAMESPACE"
    say "Revenue per region, from the Iceberg table:"
    client query "SELECT region, count(*) AS orders, sum(amount) AS revenue FROM $NAMESPACE.orders GROUP BY region ORDER BY revenue DESC"
    check_fingerprint
}

# The fingerprint that the last load of orders took of the rows it read, beside one taken now of the same columns of the table.
check_fingerprint() {
    local id read stored
    id=$(client jobs --json list --table "$NAMESPACE.orders" --status succeeded --limit 1 | jq -re '.jobs[0].job_id')
    client jobs show "$id" >"$STATE/job.json"
    read=$(jq -re .result.fingerprint "$STATE/job.json")
    stored=$(client fingerprint "$NAMESPACE.orders" --columns "$(jq -re '.result.columns | join(",")' "$STATE/job.json")")
    say "Fingerprint of the rows read from PostgreSQL:  $read"
    say "Fingerprint of the rows in the Iceberg table:  $stored"
    [ "$read" = "$stored" ] || die "the two differ"
    say "They are equal: what was read is what the table holds."
}

closing() {
    local url
    url=$(cat "$STATE/url")
    cat <<EOF

Time taken:
$(steps_taken)
$(printf '%5d s  in all' "$SECONDS")

API      $url/api/v1/jobs
Docs     $url/docs
Health   $url/health
Metrics  $url/metrics
Client   $ICEHAUL tables --url $url

Icehaul is running. Stop it and the sample database:  ./quickstart.sh stop
EOF
}

stop() {
    if running; then
        say "stopping Icehaul"
        kill "$(cat "$STATE/icehaul.pid")"
        wait_for 60 eval '! running' || die "Icehaul (process $(cat "$STATE/icehaul.pid")) does not end"
    fi
    rm -f "$STATE/icehaul.pid"
    local redis
    for redis in $(processes_in "$DATA/redis"); do # it outlives an Icehaul that was killed
        say "stopping its Redis"
        kill "$redis" 2>/dev/null || true
    done
    if pg_bin >/dev/null && [ -d "$SAMPLE/data" ] && pg_port "$SAMPLE" >/dev/null; then
        say "stopping the sample PostgreSQL"
        pg_stop "$SAMPLE"
    fi
    stop_full
    say "Nothing of the quick start runs any more. Its data stays in $DATA, $SAMPLE$([ ! -d "$CATALOG" ] || printf ', %s' "$CATALOG")."
}

main "$@"
