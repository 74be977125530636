#!/usr/bin/env bash
# Checks everything:             ./test.sh
# Checks what is quickly checked: ./test.sh fast     (leaves out the tests whose name contains `slow_`, and the HTTP contract's generated cases)
#
# Installs what is missing (root or sudo), starts a private PostgreSQL on a free port (tests start their own Redis), runs every check even
# if an earlier one failed, and stops what it started, also when it is interrupted.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/scripts/lib.sh"
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
    [ -z "$CHILD" ] || kill -TERM -- "-$CHILD" 2>/dev/null || true
    [ ! -d "$RUN/postgres/data" ] || pg_stop "$RUN/postgres"
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
    step "Install what is missing" install python3-venv:ensurepip openssl:openssl shellcheck:shellcheck git:git
    step "Python environment" python_env
    export ICEHAUL_TEST_PYTHON=$CACHE/venv/bin/python

    check "Format" cargo fmt --check
    check "Shell scripts" shell_scripts
    check "Licences of the dependencies" ./scripts/licenses.sh
    if have cargo-deny; then
        check "cargo-deny" cargo deny --locked check licenses bans sources
    else
        skip "cargo-deny: not installed (licences and banned crates are checked without it)"
    fi
    check "Clippy" cargo clippy --locked --workspace --all-targets -- -D warnings
    check "Build the program" cargo build --locked
    check "Build the tests" cargo test --locked --workspace --no-run

    step "Start a private PostgreSQL" start_postgres
    mkdir "$RUN/tmp"
    export TMPDIR=$RUN/tmp
    check "Tests" rust_tests
    check "Fingerprint: the Python implementation's vectors" "$ICEHAUL_TEST_PYTHON" tests/py/fingerprint.py vectors
    if [ "$TIER" = full ]; then
        check "HTTP contract: OpenAPI document and generated cases" ./scripts/http_contract.sh "$CARGO_TARGET_DIR/debug/icehaul" "$RUN/tmp/http"
    else
        skip "HTTP contract: in the full tier only"
    fi
    closing
}

shell_scripts() { git ls-files -z --cached --others --exclude-standard '*.sh' .ci/run | xargs -0 shellcheck -x; }

rust_tests() {
    if [ "$TIER" = full ]; then
        cargo test --locked --workspace --no-fail-fast
    else
        cargo test --locked --workspace --no-fail-fast -- --skip slow_
    fi
}

# One server for all tests, with TLS: its certificate is for `localhost` and signed by a private authority.
start_postgres() {
    local dir=$RUN/postgres port password
    pg_init "$dir"
    make_certificate "$dir/tls"
    port=$(free_port)
    pg_start "$dir" "$port" fsync=off full_page_writes=off synchronous_commit=off max_connections=200 ssl=on \
        ssl_cert_file="$dir/tls/server.crt" ssl_key_file="$dir/tls/server.key"
    cp "$dir/tls/ca.crt" "$RUN/ca.crt"
    export ICEHAUL_TEST_POSTGRES_CA=$RUN/ca.crt
    password=$(cat "$dir/password")
    export ICEHAUL_TEST_POSTGRES_ADMIN_URL="postgres://icehaul:$password@127.0.0.1:$port/postgres"
    say "it listens on port $port"
}

make_certificate() {
    local dir=$1 key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    mkdir -p "$dir"
    # shellcheck disable=SC2086 # a list of options
    {
        openssl req -x509 $key -subj '/CN=Icehaul tests' -keyout "$dir/ca.key" -out "$dir/ca.crt" \
            -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign'
        openssl req $key -subj /CN=localhost -keyout "$dir/server.key" -out "$dir/server.csr"
    } 2>/dev/null
    printf 'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n' >"$dir/extensions"
    openssl x509 -req -in "$dir/server.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -CAcreateserial -days 2 \
        -extfile "$dir/extensions" -out "$dir/server.crt" 2>/dev/null
    chmod 600 "$dir/server.key"
    [ "$(id -u)" != 0 ] || chown -R postgres: "$dir"
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
