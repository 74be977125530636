# shellcheck shell=bash
# `quickstart.sh --full`: what deploy/docker-compose.yml starts in containers, started from packages on the loopback interface.
# Sourced by quickstart.sh, whose functions it uses.

SERVERS=$DATA/full
CATALOG=$(pg_folder catalog-postgres)
WORKERS="worker-1 worker-2"
# shellcheck source=scripts/servers.sh
. "$ROOT/scripts/servers.sh"
# shellcheck source=scripts/engines.sh
. "$ROOT/scripts/engines.sh"
# shellcheck source=scripts/examples.sh
. "$ROOT/scripts/examples.sh"

start_full() {
    local packages
    say "This sets up the whole system in $ROOT, without containers and on the loopback interface only: Redis, PostgreSQL for the"
    say "source and for the catalog, an S3 server with the warehouse, Icehaul's API and two workers, Trino, and Jupyter."
    STATE=$SERVERS
    mkdir -p "$SERVERS"
    chmod 700 "$SERVERS"
    read -ra packages <<<"$(engine_packages)"
    step "Install what is missing" install openssl:openssl "${packages[@]}"
    step "Build Icehaul (cold: some minutes)" cargo build --release --locked
    step "Install the S3 server" alone versitygw_install
    step "Install Trino" alone trino_install
    step "Install Jupyter" alone python_env notebooks/requirements.txt notebooks
    start_servers
    step "Upload the sample files and load them" load_files
    step "Load the sample database through the queue" load_samples
    step "Look at the result" show
    step "Run the example calls" run_examples
    closing_full
}

start_servers() {
    # The secrets of the compose file's servers, in the same form.
    [ -e "$SERVERS/env" ] || deploy/new-env.sh "$SERVERS/env"
    # shellcheck source=deploy/.env.example
    . "$SERVERS/env"
    step "Start Redis" start_redis
    step "Start the sample PostgreSQL" start_sample 5432
    step "Start the catalog's PostgreSQL" start_postgres "$CATALOG" 5433 catalog
    step "Start the S3 server" start_s3 datalake data-exports exports archive
    step "Start Icehaul's API and workers" start_parts
    step "Start Trino" start_trino
    step "Start Jupyter" start_notebook
}

# ---------------------------------------------------------------- Icehaul

catalog_url() { say "$1://icehaul:$(cat "$CATALOG/password")@127.0.0.1:$(pg_port "$CATALOG")/catalog"; }
s3_url() { say "http://127.0.0.1:$(server_port s3)"; }

configuration() {
    cat <<EOF
redis_url = "redis://:$REDIS_PASSWORD@127.0.0.1:$(server_port redis)/0"
secret_key = "$ICEHAUL_SECRET_KEY"
file_roots = ["$ROOT/samples", "$SERVERS/data"]

[catalogs.default]
kind = "postgres"
uri = "$(catalog_url postgres)"
warehouse = "s3://datalake/warehouse"
s3 = { endpoint = "$(s3_url)", region = "us-east-1", access_key = "$S3_ACCESS_KEY", secret_key = "$S3_SECRET_KEY" }

[trino]
url = "http://127.0.0.1:$(server_port trino)"
user = "icehaul"
catalog = "iceberg"

[connections.source]
kind = "postgres"
host = "127.0.0.1"
port = $(pg_port "$SAMPLE")
database = "source_db"
user = "admin"
password = "admin123"

[connections.datalake]
kind = "s3"
endpoint = "$(s3_url)"
region = "us-east-1"
access_key = "$S3_ACCESS_KEY"
secret_key = "$S3_SECRET_KEY"
buckets = ["datalake", "data-exports", "exports", "archive"]
EOF
}

# Starts what does not run; what runs with another configuration, because a port has changed, is started again.
start_parts() {
    local name
    # All ports are settled before: Trino, which looks at what Icehaul has made, starts after it, and Icehaul asks it.
    server_runs api || take_port api 8080
    server_runs api-5000 || take_port api-5000 5000
    server_runs trino || take_port trino 8081
    (umask 077 && configuration >"$SERVERS/icehaul.toml.new")
    if ! cmp -s "$SERVERS/icehaul.toml.new" "$SERVERS/icehaul.toml"; then stop_parts; fi
    mv "$SERVERS/icehaul.toml.new" "$SERVERS/icehaul.toml"
    mkdir -p "$SERVERS/data"
    start_api api
    start_api api-5000
    for name in $WORKERS; do
        server_runs "$name" || serve "$name" "$ICEHAUL" --config "$SERVERS/icehaul.toml" worker
    done
    printf 'http://127.0.0.1:%s' "$(server_port api)" >"$STATE/url"
    await worker-2 60 two_workers
    say "the API answers on $(server_port api) and $(server_port api-5000), two workers are waiting for jobs"
}

start_api() {
    server_runs "$1" ||
        serve "$1" "$ICEHAUL" --config "$SERVERS/icehaul.toml" api --bind "127.0.0.1:$(server_port "$1")"
    await "$1" 60 server_answers "$1" /health
}

two_workers() { curl -sf "$(cat "$STATE/url")/api/v1/stats" | jq -e '.workers | length >= 2'; }

stop_parts() {
    local name
    for name in $WORKERS api api-5000; do stop_server "$name"; done
}

# ---------------------------------------------------------------- what looks at the tables

# In a shell of its own, because the variables are Trino's.
start_trino() (
    server_runs trino && { say "it runs already"; return; }
    while IFS= read -r pair; do export "${pair?}"; done < <(trino_environment)
    serve trino "$ROOT/scripts/trino.sh" run "$SERVERS/trino" "$ROOT/trino/catalogs"
    await trino 300 trino_ready "$(server_port trino)"
    say "it listens on 127.0.0.1:$(server_port trino)"
)

# The variables that trino/catalogs names.
trino_environment() {
    printf '%s\n' TRINO_PORT="$(server_port trino)" ICEBERG_CATALOG=default \
        ICEBERG_JDBC_URL="jdbc:postgresql://127.0.0.1:$(pg_port "$CATALOG")/catalog" \
        ICEBERG_JDBC_USER=icehaul ICEBERG_JDBC_PASSWORD="$(cat "$CATALOG/password")" ICEBERG_WAREHOUSE=s3://datalake/warehouse \
        S3_ENDPOINT="$(s3_url)" S3_REGION=us-east-1 S3_ACCESS_KEY="$S3_ACCESS_KEY" S3_SECRET_KEY="$S3_SECRET_KEY" \
        POSTGRES_JDBC_URL="jdbc:postgresql://127.0.0.1:$(pg_port "$SAMPLE")/source_db" POSTGRES_USER=admin \
        POSTGRES_PASSWORD=admin123 HIVE_METASTORE="local://$SERVERS/trino/hive"
}

start_notebook() {
    start_jupyter notebooks/examples.ipynb ICEHAUL_URL="$(cat "$STATE/url")" CATALOG_URI="$(catalog_url postgresql+psycopg2)" \
        WAREHOUSE=s3://datalake/warehouse S3_ENDPOINT="$(s3_url)" S3_ACCESS_KEY="$S3_ACCESS_KEY" S3_SECRET_KEY="$S3_SECRET_KEY" \
        SOURCE_HOST=127.0.0.1 SOURCE_PORT="$(pg_port "$SAMPLE")" TRINO_URL="http://127.0.0.1:$(server_port trino)" \
        SAMPLES="$ROOT/samples" EXPORTS="$SERVERS/data"
}

closing_full() {
    local url
    url=$(cat "$STATE/url")
    cat <<EOF

Time taken:
$(steps_taken)
$(printf '%5d s  in all' "$SECONDS")

API      $url/api/v1/jobs and http://127.0.0.1:$(server_port api-5000)/api/v1/jobs
Docs     $url/docs
Trino    http://127.0.0.1:$(server_port trino)/ui/ (any user name, no password)
Jupyter  http://127.0.0.1:$(server_port jupyter)/lab/tree/examples.ipynb?token=$JUPYTER_TOKEN
S3       $(s3_url), bucket datalake; the keys are in $SERVERS/env
Client   $ICEHAUL tables --url $url

All of it is running. Stop it:  ./quickstart.sh stop
EOF
}

stop_full() {
    local name
    for name in jupyter trino; do stop_server "$name"; done
    stop_parts
    for name in s3 redis; do stop_server "$name"; done
    if pg_bin >/dev/null && [ -d "$CATALOG/data" ] && pg_port "$CATALOG" >/dev/null; then
        say "stopping the catalog's PostgreSQL"
        pg_stop "$CATALOG"
    fi
}
