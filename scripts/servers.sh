# shellcheck shell=bash
# The servers of `quickstart.sh --full`. Each works in a folder of its own below SERVERS, which also holds its process number and its
# port; its log lies beside. Source it after lib.sh, with SERVERS set.

# server_pid NAME: the number of a running server; fails if it does not run. A process elsewhere that was given its number is not it.
server_pid() {
    local pid place
    pid=$(cat "$SERVERS/$1/pid" 2>/dev/null) && place=$(readlink "/proc/$pid/cwd") || return 1
    case $place in "$SERVERS/$1" | "$SERVERS/$1"/*) say "$pid" ;; *) return 1 ;; esac
}

server_runs() { server_pid "$1" >/dev/null; }
server_gone() { ! server_runs "$1"; }
server_port() { cat "$SERVERS/$1/port"; }
server_answers() { curl -sf -o /dev/null "http://127.0.0.1:$(server_port "$1")$2"; }

# free_port_from WANTED: the port, or the next one on which nothing listens.
free_port_from() {
    local port=$1
    while listens "$port"; do port=$((port + 1)); done
    say "$port"
}

# take_port NAME WANTED: gives a server that does not run its port; none that is promised to another one.
take_port() {
    local port
    port=$(free_port_from "$2")
    while promised "$1" "$port"; do port=$(free_port_from $((port + 1))); done
    mkdir -p "$SERVERS/$1"
    printf '%s' "$port" >"$SERVERS/$1/port"
    [ "$port" = "$2" ] || say "port $2 is taken, $1 gets $port"
}

promised() { find "$SERVERS" -mindepth 2 -maxdepth 2 -name port ! -path "$SERVERS/$1/port" -exec grep -qx "$2" {} \; -print | grep -q .; }

# serve NAME COMMAND…: starts it in the background, away from the terminal: it outlives this script.
serve() {
    local name=$1
    shift
    mkdir -p "$SERVERS/$name"
    (
        cd "$SERVERS/$name" || exit
        setsid "$@" >"$SERVERS/$name.log" 2>&1 </dev/null &
        printf '%s' $! >pid
    )
}

# await NAME SECONDS COMMAND…: waits until the server answers, which the command finds out, or has ended.
await() {
    local name=$1 seconds=$2
    shift 2
    wait_for "$seconds" answers_or_gone "$name" "$@" || true
    "$@" >/dev/null 2>&1 || { tail -n 20 "$SERVERS/$name.log" >&2; die "$name does not answer; its log: $SERVERS/$name.log"; }
}

answers_or_gone() { "${@:2}" || server_gone "$1"; }

stop_server() {
    local pid
    pid=$(server_pid "$1") || return 0
    say "stopping $1"
    kill "$pid"
    wait_for 60 server_gone "$1" || kill -KILL "$pid"
}

# ---------------------------------------------------------------- the servers that are not ours

start_redis() {
    server_runs redis && { say "it runs already"; return; }
    take_port redis 6379
    (umask 077 && cat >"$SERVERS/redis/redis.conf") <<EOF
bind 127.0.0.1
port $(server_port redis)
requirepass $REDIS_PASSWORD
appendonly yes
appendfsync always
save ""
maxmemory-policy noeviction
EOF
    serve redis redis-server redis.conf
    await redis 30 redis_answers
    say "it listens on 127.0.0.1:$(server_port redis); every write is on the disk before it is acknowledged"
}

redis_answers() { REDISCLI_AUTH=$REDIS_PASSWORD redis-cli -p "$(server_port redis)" ping | grep -q PONG; }

# start_postgres DIR PORT DATABASE: a private cluster with this database.
start_postgres() {
    local dir=$1 port
    pg_init "$dir"
    if port=$(pg_port "$dir"); then
        say "it runs already, on port $port"
    else
        port=$(free_port_from "$2")
        pg_start "$dir" "$port" shared_buffers=32MB
        say "it listens on 127.0.0.1:$port, its data is in $dir"
    fi
    [ -n "$(pg_sql "$dir" postgres -At -c "SELECT 1 FROM pg_database WHERE datname = '$3'")" ] ||
        pg_sql "$dir" postgres -c "CREATE DATABASE $3"
}

start_s3() {
    local bucket
    if server_runs s3; then
        say "it runs already"
    else
        take_port s3 9000
        mkdir -p "$SERVERS/s3/buckets"
        ROOT_ACCESS_KEY=$S3_ACCESS_KEY ROOT_SECRET_KEY=$S3_SECRET_KEY serve s3 \
            "$CACHE/bin/versitygw" --quiet --port "127.0.0.1:$(server_port s3)" --health /health posix "$SERVERS/s3/buckets"
        await s3 30 server_answers s3 /health
        say "it listens on 127.0.0.1:$(server_port s3)"
    fi
    for bucket in "$@"; do make_bucket "$bucket"; done
}

# A folder below the server's is a bucket, but another S3 server wants to be asked: so this asks.
make_bucket() {
    local code
    code=$(printf 'user = "%s:%s"' "$S3_ACCESS_KEY" "$S3_SECRET_KEY" |
        curl -s -o /dev/null -w '%{http_code}' -K - --aws-sigv4 aws:amz:us-east-1:s3 \
            -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' -X PUT "http://127.0.0.1:$(server_port s3)/$1")
    case $code in
    200) say "bucket $1 made" ;;
    409) say "bucket $1 is there" ;;
    *) die "the S3 server answers $code to making the bucket $1" ;;
    esac
}

# start_jupyter NOTEBOOK NAME=VALUE…: JupyterLab with a copy of the notebook, which finds its addresses in the variables.
start_jupyter() {
    local notebook=$1 flags=()
    shift
    server_runs jupyter && { say "it runs already"; return; }
    take_port jupyter 8888
    mkdir -p "$SERVERS/jupyter/notebooks"
    [ -e "$SERVERS/jupyter/notebooks/$(basename "$notebook")" ] || cp "$notebook" "$SERVERS/jupyter/notebooks/"
    [ "$(id -u)" != 0 ] || flags=(--allow-root)
    serve jupyter env "$@" "JUPYTER_TOKEN=$JUPYTER_TOKEN" "$CACHE/notebooks/bin/jupyter" lab --no-browser --ip=127.0.0.1 \
        "--port=$(server_port jupyter)" --ServerApp.port_retries=0 "--notebook-dir=$SERVERS/jupyter/notebooks" "${flags[@]}"
    await jupyter 60 server_answers jupyter /api
    say "it listens on 127.0.0.1:$(server_port jupyter)"
}
