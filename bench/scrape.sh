#!/usr/bin/env bash
# Pages and APIs into Iceberg beside the peers in one run:   bench/scrape.sh [REPEATS]
#
# 200 pages with a table of 50 rows each (Colly, Scrapy and aiohttp with lxml only parse them), 5,000 records of an API in 50 pages (requests with
# PyIceberg), and one page with a table of 200,000 rows. The site is the peers', 5 ms for each answer; politeness is off. Writes
# bench/results/scrape.jsonl and, from all results, bench/RESULTS.md.
set -euo pipefail
# shellcheck source=bench/lib.sh
. "$(dirname "$0")/lib.sh"
REPEATS=${1:-3}

bench_needs
trap 'bench_web stop' EXIT

# The peers' site and its pages, a page of their rows by number too (`?page=3`), so that pages can be read side by side.
setup_site() {
    local go
    [ -s "$W/site/199.html" ] || "$W/v_core/bin/python" "$PEERS/gen.py" html "$W/site"
    [ -s "$W/site/large.html" ] || python3 "$ROOT/bench/large_page.py" 200000 >"$W/site/large.html"
    if [ ! -x "$W/bin/colly" ] || [ ! -x "$W/bin/webserver" ]; then
        go=$(go_command)
        mkdir -p "$W/bin" "$W/web"
        cp -r "$PEERS/colly" "$W/web/"
        chmod -R u+w "$W/web"
        (cd "$W/web/colly" && "$go" build -o "$W/bin/colly" .)
        sed 's|b, ok := pages\[r.URL.Path\]|path := r.URL.Path; if page := r.URL.Query().Get("page"); page != "" { path = "/page/" + page + ".html" }; b, ok := pages[path]|' \
            "$PEERS/webserver.go" >"$W/web/webserver.go"
        grep -q 'Get("page"); page != ""' "$W/web/webserver.go" || die "the peers' webserver.go is another than this script knows"
        (cd "$W/web" && "$go" build -o "$W/bin/webserver" webserver.go)
    fi
}

bench_web() {
    case $1 in
    start)
        "$W/bin/webserver" -site "$W/site" -addr "127.0.0.1:${HTTPPORT_B:-28080}" >"$W/logs/web.log" 2>&1 </dev/null &
        printf '%s' $! >"$W/web.pid"
        wait_for 20 listens "${HTTPPORT_B:-28080}"
        ;;
    stop) [ ! -s "$W/web.pid" ] || { kill "$(cat "$W/web.pid")" 2>/dev/null || true; rm -f "$W/web.pid"; } ;;
    esac
}

step "Prepare the peers" setup_core
step "Prepare the site" setup_site
step "Start the site" bench_web start

tasks=$(jq -n --arg ours "$ROOT/bench/icehaul_scrape.sh" '[
    {task: "scrape200", peer: "icehaul", cmd: "\($ours) pages", table: "orders"},
    {task: "scrape200", peer: "icehaul-8", cmd: "\($ours) pages-8", table: "orders"},
    {task: "rest5k-iceberg", peer: "icehaul", cmd: "\($ours) link", table: "orders"},
    {task: "rest5k-iceberg", peer: "icehaul-offset-8", cmd: "\($ours) offset-8", table: "orders"},
    {task: "large-page", peer: "icehaul", cmd: "\($ours) large", table: "orders"}]')
bench_measure scrape "$REPEATS" "^(scrape200/(icehaul.*|colly|scrapy|aiohttp_lxml)|rest5k-iceberg/(icehaul.*|requests.pyiceberg)|large-page/.*)\$" <<<"$tasks"
python3 "$ROOT/bench/report.py" "$PEERS/summary.py"
say "done: bench/RESULTS.md"
