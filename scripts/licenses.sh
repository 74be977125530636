#!/usr/bin/env bash
# Holds every dependency's licence to the list of deny.toml; the quick stand-in for `cargo deny check licenses`.
set -euo pipefail
cd "$(dirname "$0")/.."
allowed=$(sed -n '/^allow = \[/,/^\]/s/^ *\(".*"\),$/\1/p' deny.toml | jq -s .)
refused=$(cargo metadata --locked --format-version 1 --filter-platform x86_64-unknown-linux-gnu | jq -r --argjson allowed "$allowed" '
    # "(A OR B) AND C": parts joined by AND, each a choice; the older "A/B" is a choice too.
    def choices: gsub("[()]"; "") | gsub(" */ *"; " OR ") | [splits(" OR ")];
    .packages[] | select(.source) | . as $package | (.license // "none")
    | [splits(" AND ")] | select(any(.[]; choices | all(.[]; IN($allowed[]) | not)))
    | "\($package.name) \($package.version): \($package.license // "no licence")"')
[ -z "$refused" ] || { printf 'licences outside of deny.toml:\n%s\n' "$refused" >&2; exit 1; }
echo "every dependency's licence is on the list"
