#!/usr/bin/env bash
# Checks everything:             ./test.sh
# Checks what is quickly checked: ./test.sh fast     (leaves out the tests whose name contains `slow_`, and the HTTP contract's generated cases)
#
# Installs what is missing (root or sudo), runs every check even if an earlier one failed, and stops what was started, also when it is
# interrupted. Most tests start their PostgreSQL and Redis themselves, on private ports.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/scripts/lib.sh"
# shellcheck source=scripts/engines.sh
. "$ROOT/scripts/engines.sh"
cd "$ROOT"

TIER=${1:-full}
case $TIER in fast | full) ;; *) die "usage: ./test.sh [fast|full]" ;; esac

RUN=$(mktemp -d "${TMPDIR:-/tmp}/icehaul-test.XXXXXX")
CHILD=
RESULTS=()
FAILED=0
chmod 755 "$RUN"
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

clean_up() {
    [ -d "$RUN" ] || return 0
    [ -z "$CHILD" ] || kill -TERM -- "-$CHILD" 2>/dev/null || true
    pg_stop "$RUN/tmp/catalog"
    stop_leftovers
    rm -rf "$RUN"
}

# Servers that a test left behind work in a folder below RUN (TMPDIR of the tests); nothing else does.
stop_leftovers() {
    local process
    for process in $(processes_in "$RUN"); do
        say "stopping a left-over process: $process $(tr '\0' ' ' 2>/dev/null <"/proc/$process/cmdline" | cut -c1-80)"
        kill -KILL "$process" 2>/dev/null || true
    done
}

# check TEXT COMMAND…: runs it in a process group of its own, so that an interrupt ends it at once; notes its end and its time.
check() {
    local what=$1 start=$SECONDS result=ok
    shift
    printf '\n==> %s\n' "$what"
    set -m
    ("$@") </dev/null &
    CHILD=$!
    set +m
    wait "$CHILD" || result=FAILED
    CHILD=
    [ "$result" = ok ] || FAILED=$((FAILED + 1))
    RESULTS+=("$(printf '%-7s %5d s  %s' "$result" $((SECONDS - start)) "$what")")
}

skip() { RESULTS+=("$(printf 'skipped          %s' "$1")"); }

main() {
    say "Icehaul's checks ($TIER); builds in $CARGO_TARGET_DIR"
    step "Install what is missing" install python3-venv:ensurepip mariadb-server:/usr/sbin/mariadbd openssl:openssl shellcheck:shellcheck git:git docker-compose:docker-compose
    step "Python environment" alone python_env tests/py/requirements.txt venv
    export ICEHAUL_TEST_PYTHON=$CACHE/venv/bin/python
    step "S3 server" alone versitygw_install
    export ICEHAUL_TEST_VERSITYGW=$CACHE/bin/versitygw

    if [ "$TIER" = full ]; then
        step "Install what fetches CSV files of others" install npm:npm
        step "CSV files of others" alone csv_spectrum_install
        step "Install the browser" install "$BROWSER"
        export ICEHAUL_TEST_CSV_SPECTRUM=$CACHE/$CSV_SPECTRUM/package
        # shellcheck disable=SC2046 # a list of packages
        step "Install what the engines need" install $(engine_packages)
        step "Trino" alone trino_install
        step "Spark" alone spark_env
        export ICEHAUL_TEST_SPARK_PYTHON=$CACHE/spark/bin/python
    fi

    check "Format" cargo fmt --check
    check "Shell scripts" shell_scripts
    check "Licences of the dependencies" ./scripts/licenses.sh
    if have cargo-deny; then
        check "cargo-deny" cargo deny --locked check licenses bans sources
    else
        skip "cargo-deny: not installed (licences and banned crates are checked without it)"
    fi
    check "Clippy" cargo clippy --locked --workspace --all-targets -- -D warnings
    # One command for programs and tests: built apart, they would ask for other features of the same crates.
    check "Build" cargo build --locked --workspace --all-targets

    mkdir "$RUN/tmp" # the tests' servers have their data here
    export TMPDIR=$RUN/tmp
    step "Start PostgreSQL for the catalog tests" catalog_postgres
    check "Tests" rust_tests
    check "Fingerprint: the Python implementation's vectors" "$ICEHAUL_TEST_PYTHON" tests/py/fingerprint.py vectors
    check "Deployment: what compose file and images name exists" "$ICEHAUL_TEST_PYTHON" tests/py/deploy.py "$CARGO_TARGET_DIR/debug/icehaul"
    if [ "$TIER" = full ]; then
        check "Notebook: every cell runs" ./scripts/notebook.sh "$CARGO_TARGET_DIR/debug/icehaul" "$RUN/tmp/notebook"
        check "HTTP contract: OpenAPI document and generated cases" ./scripts/http_contract.sh "$CARGO_TARGET_DIR/debug/icehaul" "$RUN/tmp/http"
    else
        skip "Notebook and HTTP contract: in the full tier only"
    fi
    clean_up
    closing
}

shell_scripts() { git ls-files -z --cached --others --exclude-standard '*.sh' .ci/run | xargs -0 shellcheck -x; }

# The catalog tests' PostgreSQL; the source's tests start one of their own, with TLS.
catalog_postgres() {
    local port
    port=$(free_port)
    pg_init "$RUN/tmp/catalog"
    pg_start "$RUN/tmp/catalog" "$port" fsync=off max_connections=200
    ICEHAUL_TEST_CATALOG_POSTGRES_URL="postgres://icehaul:$(cat "$RUN/tmp/catalog/password")@127.0.0.1:$port/postgres"
    export ICEHAUL_TEST_CATALOG_POSTGRES_URL
}

rust_tests() {
    if [ "$TIER" = full ]; then
        cargo test --locked --workspace --no-fail-fast
    else
        cargo test --locked --workspace --no-fail-fast -- --skip slow_
    fi
}

closing() {
    printf '\n%s\n\n' "$(printf '%s\n' "${RESULTS[@]}")"
    if [ "$FAILED" = 0 ]; then
        say "All checks of the $TIER tier passed in $SECONDS s."
    else
        say "$FAILED of ${#RESULTS[@]} checks FAILED ($SECONDS s)."
        exit 1
    fi
}

main
