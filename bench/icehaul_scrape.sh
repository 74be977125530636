#!/usr/bin/env bash
# One scrape of the benchmarks' site ($HTTPURL):   icehaul_scrape.sh pages|pages-8|link|offset-8|large
# `pages` follows the links from page to page, `pages-8` asks for 8 numbered pages at once, as Colly does; `link` and `offset-8` are the API.
set -euo pipefail
# shellcheck source=bench/service.sh
. "$(dirname "$0")/service.sh"
case $1 in
pages) path=scrape more='{"selector": "table.wikitable", "pagination": {"style": "next_selector", "path": "a[rel=next]@href"}}' at=/page/0.html ;;
pages-8) path=scrape more='{"selector": "table.wikitable", "pagination": {"style": "page", "start": 0, "max_pages": 200}, "connections": 8}' at=/page/0.html ;;
link) path=scrape-api more='{"selector": "data", "params": {"per_page": 100}, "pagination": {"style": "link_header"}}' at=/api/records ;;
offset-8) path=scrape-api more='{"selector": "data", "pagination": {"style": "offset"}, "connections": 8}' at=/api/records ;;
large) path=scrape more='{"selector": "table"}' at=/page/large.html ;;
*) exit 2 ;;
esac
export ICEHAUL_SCRAPE__ALLOW_NETWORKS=127.0.0.0/8
trap service_down EXIT
service_up "$WH"
jq -n --argjson more "$more" --arg url "$HTTPURL$at" '$more + {url: $url, delay_seconds: 0, respect_robots: false, lineage: false}' | service_scrape orders "$path"
service_down
service_result orders.json
