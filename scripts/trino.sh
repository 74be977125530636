#!/usr/bin/env bash
# Runs the Trino that scripts/engines.sh has installed; variables as in trino/.
#   scripts/trino.sh run DIR CATALOGS          in the foreground, as this very process; TRINO_PORT says where
#   scripts/trino.sh keep DIR PORT CATALOGS    for tests: says `ready`, and stops it when the standard input ends, as it does when the test's process dies
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/engines.sh
. "$(dirname "$0")/engines.sh"

[ -e "$CACHE/trino-$TRINO_VERSION/complete" ] || die "Trino is not installed: ./test.sh does it"
case ${1:-} in
run) trino_exec "$2" "${TRINO_PORT:?}" "$3" ;;
keep)
    dir=$2
    trap 'trino_stop "$dir"; rm -rf "$dir"' EXIT
    trino_start "$dir" "$3" "$4"
    say ready
    cat >/dev/null || true
    # One that ended by itself has something to say.
    kill -0 "$(cat "$dir/pid")" 2>/dev/null || tail -n 40 "$dir/log" >&2
    ;;
*) die "usage: scripts/trino.sh run DIR CATALOGS | keep DIR PORT CATALOGS" ;;
esac
