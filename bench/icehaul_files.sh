#!/usr/bin/env bash
# The same from files:   icehaul_files.sh csv|csv-schema|parquet|s3-csv|s3-csv-schema|s3-parquet [ARGUMENT of `icehaul load`…]
# `csv` leaves the types to Icehaul (it reads the file twice), `csv-schema` says them, as the peers do.
set -euo pipefail
# shellcheck source=bench/service.sh
. "$(dirname "$0")/service.sh"
case=$1
shift
case $case in
*csv*) file=orders.csv ;;
*) file=orders.parquet ;;
esac
case $case in
s3-*) place=(s3 --s3-path "s3://bench/$file" --endpoint "http://127.0.0.1:${S3PORT_B:-29100}" --access-key bench --secret-key benchsecret) ;;
*) place=(file --file-path "$DATA/$file") ;;
esac
schema=()
case $case in
*-schema)
    for column in id=long customer_id=int product=string quantity=int 'price=decimal(12,2)' order_date=date created_at=timestamp region=string status=string; do
        schema+=(--schema "$column")
    done
    ;;
esac
export ICEHAUL_FILE_ROOTS=$DATA
trap service_down EXIT
service_up "$WH"
service_load orders "${place[@]}" "${schema[@]}" "$@"
service_down
service_result rows_loaded orders
