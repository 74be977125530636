#!/usr/bin/env bash
# One scrape of the benchmarks' site ($HTTPURL):   icehaul_scrape.sh pages|pages-8|link|offset-8|large
# `pages` follows the links from page to page, `pages-8` asks for 8 numbered pages at once, as Colly does; `link` and `offset-8` are the API.
set -euo pipefail
# shellcheck source=bench/service.sh
. "$(dirname "$0")/service.sh"
polite='"delay_seconds": 0, "respect_robots": false, "lineage": false'
case $1 in
pages) path=scrape at=page/0.html more='"selector": "table.wikitable", "pagination": {"style": "next_selector", "path": "a[rel=next]@href"}' ;;
pages-8) path=scrape at=page/0.html more='"selector": "table.wikitable", "pagination": {"style": "page", "start": 0, "max_pages": 200}, "connections": 8' ;;
link) path=scrape-api at=api/records more='"selector": "data", "params": {"per_page": 100}, "pagination": {"style": "link_header"}' ;;
offset-8) path=scrape-api at=api/records more='"selector": "data", "pagination": {"style": "offset"}, "connections": 8' ;;
large) path=scrape at=page/large.html more='"selector": "table"' ;;
*) exit 2 ;;
esac
export ICEHAUL_SCRAPE__ALLOW_NETWORKS=127.0.0.0/8
trap service_down EXIT
service_up "$WH"
service_scrape orders "$path" "\"url\": \"$HTTPURL/$at\", $polite, $more}"
service_down
service_result "$([ "$path" = scrape ] && echo rows_scraped || echo records)" orders
