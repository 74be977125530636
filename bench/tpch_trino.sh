#!/usr/bin/env bash
# TPC-H on Trino over tables that Icehaul loads, compared with Trino's own data, value by value, and over tables that it migrates in both modes
# from SQLite and a folder to PostgreSQL and S3: bench/tpch_trino.sh [SCALE], 1 if not given.
# At scale 1 it needs 8 GB of memory and 10 GB of disk. `./test.sh` does the same at scales 0.1 and 0.01.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"
# shellcheck source=scripts/engines.sh
. "$ROOT/scripts/engines.sh"
cd "$ROOT"

# shellcheck disable=SC2046 # a list of packages
step "Install what is missing" install $(engine_packages) openssl:openssl
step "Trino" alone trino_install
step "Python environment" alone python_env tests/py/requirements.txt venv
step "S3 server" alone versitygw_install
export ICEHAUL_TEST_PYTHON=$CACHE/venv/bin/python ICEHAUL_TEST_VERSITYGW=$CACHE/bin/versitygw
export ICEHAUL_TEST_TPCH_SCALE=${1:-1} TRINO_MEMORY=5G
export ICEHAUL_TEST_TRINO_OPTIONS="-Dquery.max-memory=3GB -Dquery.max-memory-per-node=3GB -Dmemory.heap-headroom-per-node=1GB"
step "TPC-H at scale $ICEHAUL_TEST_TPCH_SCALE" cargo test --locked --workspace --test it -- --nocapture --test-threads=1 slow_the_queries_of_tpch slow_tpch
steps_taken
