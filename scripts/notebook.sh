#!/usr/bin/env bash
# Runs notebooks/examples.ipynb against the least that it needs (a source PostgreSQL, an S3 server, `icehaul up`):
#   scripts/notebook.sh BINARY FOLDER          fails at the first cell with an error; the result is FOLDER/examples.ipynb
#   scripts/notebook.sh BINARY FOLDER save     also replaces the notebook in the repository
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
binary=$1 folder=$2 save=${3:-}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
SERVERS=$folder/servers SOURCE=$folder/source S3_ACCESS_KEY=notebook S3_SECRET_KEY=notebook-secret
# shellcheck source=scripts/servers.sh
. "$ROOT/scripts/servers.sh"
trap 'for name in icehaul s3; do stop_server "$name"; done; pg_stop "$SOURCE"' EXIT

start_icehaul() {
    mkdir -p "$folder/exports"
    take_port icehaul 18080
    ICEHAUL_FILE_ROOTS=$ROOT/samples,$folder/exports serve icehaul \
        "$binary" up --data-dir "$folder/data" --bind "127.0.0.1:$(server_port icehaul)"
    await icehaul 60 server_answers icehaul /health
}

run_notebook() {
    ICEHAUL_URL=http://127.0.0.1:$(server_port icehaul) CATALOG_URI=sqlite:///$folder/data/catalog.db WAREHOUSE=file://$folder/data/warehouse \
        S3_ENDPOINT=http://127.0.0.1:$(server_port s3) S3_ACCESS_KEY=$S3_ACCESS_KEY S3_SECRET_KEY=$S3_SECRET_KEY \
        SOURCE_HOST=127.0.0.1 SOURCE_PORT=$(pg_port "$SOURCE") SAMPLES=$ROOT/samples EXPORTS=$folder/exports \
        "$CACHE/notebooks/bin/jupyter" nbconvert --to notebook --execute --ExecutePreprocessor.timeout=300 \
        --output-dir "$folder" --output examples.ipynb notebooks/examples.ipynb
}

# The paths of this machine stay out of what is committed.
save_notebook() {
    jq --indent 1 'del(.cells[].metadata.execution)' "$folder/examples.ipynb" |
        sed -e "s|$folder/data/warehouse|/srv/warehouse|g" -e "s|$folder/exports|/srv/exports|g" >notebooks/examples.ipynb
}

cd "$ROOT"
alone python_env notebooks/requirements.txt notebooks
alone versitygw_install
start_postgres "$SOURCE" 25432 source_db
pg_sql "$SOURCE" source_db <samples/init-db.sql
start_s3 datalake
start_icehaul
run_notebook
[ "$save" != save ] || save_notebook
say "every cell of the notebook ran without an error"
