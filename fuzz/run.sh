#!/usr/bin/env bash
# Runs one fuzzer for some time:   fuzz/run.sh html|selectors|encodings|robots|links|json|xml [SECONDS]
#
# Coverage-guided (libFuzzer) and with the address sanitizer, which the stable compiler has behind RUSTC_BOOTSTRAP. Begins with the pages of the
# tests and what earlier runs have found (in the cache). Ends with 1 at a crash, a hang of 20 s or 2 GiB, and says which input it was.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"
TARGET=${1:?which fuzzer}
SECONDS_LONG=${2:-600}
CORPUS=$CACHE/fuzz/$TARGET
HOST=$(rustc -vV | sed -n 's/^host: //p')

mkdir -p "$CORPUS" "$CACHE/fuzz/found"
instrumented="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Zsanitizer=address --cfg fuzzing -Ccodegen-units=1"
RUSTC_BOOTSTRAP=1 RUSTFLAGS=$instrumented CARGO_TARGET_DIR=$CACHE/fuzz/target \
    cargo build --release --manifest-path "$ROOT/fuzz/Cargo.toml" --target "$HOST" --bin "$TARGET"

# Seeds: the tests' pages, behind the byte that chooses what is asked for.
case $TARGET in
html | encodings) for page in "$ROOT"/tests/pages/*.html; do { printf '\0'; cat "$page"; } >"$CORPUS/$(basename "$page")"; done ;;
json) cp "$ROOT"/tests/pages/*.json "$CORPUS/" ;;
xml) for page in "$ROOT"/tests/pages/*.html; do { printf '\0'; cat "$page"; } >"$CORPUS/$(basename "$page")"; done ;;
esac
words=$ROOT/fuzz/$TARGET/words.txt
[ ! -e "$words" ] || set -- "$@" "-dict=$words"
shift $(($# > 1 ? 2 : 1))
"$CACHE/fuzz/target/$HOST/release/$TARGET" "$CORPUS" -max_total_time="$SECONDS_LONG" -timeout=20 -rss_limit_mb=2048 -max_len=65536 \
    -print_final_stats=1 -artifact_prefix="$CACHE/fuzz/found/$TARGET-" "$@"
