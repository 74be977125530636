#!/usr/bin/env bash
# Holds a running API to its own OpenAPI document: scripts/http_contract.sh BINARY FOLDER [EXAMPLES]
# The document must be valid OpenAPI; generated requests, right and wrong ones, must not end in a server error or in an answer
# that the document does not name.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
binary=$1 folder=$2 examples=${3:-50}
python=${ICEHAUL_TEST_PYTHON:-$CACHE/venv/bin/python}
tools=$(dirname "$python")

mkdir -p "$folder"
url=http://127.0.0.1:$(free_port)
ICEHAUL_API__MAX_WAIT_SECONDS=1 "$binary" up --data-dir "$folder/data" --bind "${url#http://}" >"$folder/icehaul.log" 2>&1 </dev/null &
service=$!
trap 'kill "$service" 2>/dev/null && wait "$service" || true' EXIT
wait_for 60 curl -sf -o /dev/null "$url/health" || { tail -n 20 "$folder/icehaul.log" >&2; die "the API does not become healthy"; }

curl -sf "$url/openapi.json" >"$folder/openapi.json"
"$python" -m openapi_spec_validator "$folder/openapi.json"
# The streams of events do not end, so they are no requests to wait for.
cd "$folder"
"$tools/schemathesis" run "$url/openapi.json" --max-examples "$examples" --seed 1 --workers 1 --request-timeout 20 --no-color \
    --exclude-path-regex '/events$' \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance
