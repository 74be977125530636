# shellcheck shell=bash
# What the benchmarks share: the work folder, the peers' tools, a private PostgreSQL with the data.
# BENCH_WORK is the work folder (default: in the cache); PEERS the folder with the peers' scripts.
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

W=${BENCH_WORK:-$CACHE/bench}
PEERS=${PEERS:-$ROOT/../shared/bench-peers}
ICEHAUL=${ICEHAUL:-$CARGO_TARGET_DIR/release/icehaul}
export PGPORT_B=${PGPORT_B:-25432} RESTPORT_B=${RESTPORT_B:-28181} ICEHAUL
mkdir -p "$W/logs" "$W/jars"

# Packages, the peers' scripts, and the release binary.
bench_needs() {
    install python3-venv:ensurepip time:/usr/bin/time default-jre-headless:java maven:mvn
    [ -e "$PEERS/run.py" ] || die "the peers' scripts are not at $PEERS: set PEERS"
    [ -x "$ICEHAUL" ] || cargo build --release --locked --manifest-path "$ROOT/Cargo.toml"
}

# The server of the benchmarks: settings as in the peers' db.sh, without its MariaDB.
bench_pg() {
    case $1 in
    start)
        as_pg "$(pg_bin)/pg_ctl" -D "$W/pgdata" status >/dev/null 2>&1 && return
        if [ ! -s "$W/pgdata/PG_VERSION" ]; then
            mkdir -p "$W/pgdata"
            [ "$(id -u)" != 0 ] || chown postgres: "$W/pgdata"
            as_pg "$(pg_bin)/initdb" -D "$W/pgdata" -U bench --auth=trust -E UTF8 --locale=C >/dev/null
        fi
        as_pg "$(pg_bin)/pg_ctl" -D "$W/pgdata" -w -l "$W/pgdata/log" -o "-p $PGPORT_B -k /tmp -c listen_addresses=127.0.0.1 \
            -c shared_buffers=1GB -c max_wal_size=4GB -c fsync=off" start >/dev/null
        ;;
    stop) as_pg "$(pg_bin)/pg_ctl" -D "$W/pgdata" -m fast -w stop >/dev/null || true ;;
    esac
}

bench_sql() { psql -X -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$PGPORT_B" -U bench "$@"; }

# A database and the login of our loads: it may read, and no more (Icehaul refuses superusers).
bench_database() {
    [ -n "$(bench_sql -At -c "SELECT 1 FROM pg_database WHERE datname = '$1'" postgres)" ] || bench_sql -c "CREATE DATABASE $1" postgres
    bench_sql "$1" <<'SQL'
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'icehaul_reader') THEN CREATE ROLE icehaul_reader LOGIN; END IF;
END $$;
GRANT USAGE ON SCHEMA public TO icehaul_reader;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO icehaul_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO icehaul_reader;
SQL
}

has_rows() { [ "$(bench_sql -At -c "SELECT 1 FROM $2 LIMIT 1" "$1" 2>/dev/null)" = 1 ]; }

# The peers that need no binary of their own: PyIceberg, ADBC, ConnectorX, pandas, DuckDB; pinned in the peers' set-up.
setup_core() {
    [ -e "$W/v_core/ready" ] && return
    [ -x "$W/v_tools/bin/uv" ] || { python3 -m venv "$W/v_tools" && "$W/v_tools/bin/pip" install -q uv; }
    sed -e '/^inst \(dlt\|ingestr\|sling\|spark\)/d' -e '/^for a in/,/^done/d' "$PEERS/setup_peers.sh" >"$W/setup_core.sh"
    PATH=$W/v_tools/bin:$PATH bash "$W/setup_core.sh" "$W" | tee "$W/logs/setup_core.log"
    grep -q '^ok core' "$W/logs/setup_core.log" || die "the peers' environment could not be made: $W/logs"
    touch "$W/v_core/ready"
}

# The peers' orders as files: orders.csv (205 MB), orders.parquet (47 MB).
setup_files() { [ -s "$W/data/orders.parquet" ] || "$W/v_core/bin/python" "$PEERS/gen.py" files "$W/data"; }

# bench_measure NAME REPEATS ONLY: runs the peers' tasks and ours, which come as JSON on standard input, as far as their names match;
# the results become bench/results/NAME.jsonl.
bench_measure() {
    local name=$1 repeats=$2 only=$3
    jq --slurpfile ours /dev/stdin '. + $ours[0]' "$PEERS/tasks.json" >"$W/tasks-$name.json"
    rm -f "$W/$name.jsonl"
    step "Measure, $repeats rounds" python3 "$PEERS/run.py" --work "$W" --tasks "$W/tasks-$name.json" --repeats "$repeats" \
        --out "$W/$name.jsonl" --only "$only" </dev/null
    mkdir -p "$ROOT/bench/results"
    mv "$W/$name.jsonl" "$ROOT/bench/results/$name.jsonl"
}

# The S3 server of the benchmarks, with those files in its bucket `bench`. Its process is in web.pid, where the peers' run.py looks for
# a server whose CPU time is not the client's.
bench_s3() {
    case $1 in
    start)
        alone versitygw_install
        mkdir -p "$W/s3/bench"
        ln -f "$W/data/orders.csv" "$W/data/orders.parquet" "$W/s3/bench/"
        ROOT_ACCESS_KEY=bench ROOT_SECRET_KEY=benchsecret "$CACHE/bin/versitygw" --port "127.0.0.1:${S3PORT_B:-29100}" posix "$W/s3" \
            >"$W/logs/s3.log" 2>&1 </dev/null &
        printf '%s' $! >"$W/web.pid"
        wait_for 20 listens "${S3PORT_B:-29100}"
        ;;
    stop) [ ! -s "$W/web.pid" ] || { kill "$(cat "$W/web.pid")" 2>/dev/null || true; rm -f "$W/web.pid"; } ;;
    esac
}

# The peers' orders table: 2 million rows, 9 columns.
setup_orders() {
    setup_files
    bench_database bench
    has_rows bench orders || "$W/v_core/bin/python" "$PEERS/gen.py" pg "postgresql://bench@127.0.0.1:$PGPORT_B/bench" "$W/data/orders.csv"
}

# TPC-H data as CSV: SCALE, FOLDER, more arguments of the generator.
tpch_csv() {
    local scale=$1 out=$2
    shift 2
    [ -e "$out/ready" ] && return
    [ -x "$W/v_tpch/bin/tpchgen-cli" ] || { python3 -m venv "$W/v_tpch" && "$W/v_tpch/bin/pip" install -q tpchgen-cli; }
    "$W/v_tpch/bin/tpchgen-cli" csv -s "$scale" -o "$out" --no-progress --overwrite "$@"
    touch "$out/ready"
}

# A database with TPC-H tables: DATABASE, SCALE, FOLDER, "TABLE…", more arguments of the generator.
setup_tpch() {
    local database=$1 scale=$2 folder=$3 tables=$4
    shift 4
    tpch_csv "$scale" "$folder" "$@"
    bench_database "$database"
    bench_sql -c 'SET client_min_messages = warning' -f "$ROOT/bench/tpch.sql" "$database"
    # shellcheck disable=SC2086 # a list of names
    copy_csv "$database" "$folder" $tables
}

# Copies CSV files with a header into tables of the same name: DATABASE, FOLDER, TABLE…
copy_csv() {
    local database=$1 folder=$2 table
    shift 2
    for table in "$@"; do
        has_rows "$database" "$table" && continue
        bench_sql -c "\\copy $table from '$folder/$table.csv' with (format csv, header)" -c "VACUUM (FREEZE, ANALYZE) $table" "$database"
    done
}
