# shellcheck shell=bash
# The example calls of the system that Icehaul replaces, against what `quickstart.sh --full` has started: each call and its result
# are printed, and a call that fails ends the script. Its database `production` is `source_db` here. Every load replaces what it
# loaded before, so that a second run finds the same; scrapes and migrations come later. Sourced by full.sh.

# request SERVER METHOD PATH [BODY]: prints the request, without secrets, and the answer's gist.
request() {
    local url answer
    url=http://127.0.0.1:$(server_port "$1")/api/v1$3
    printf '\n%s %s' "$2" "$url"
    [ -z "${4:-}" ] || jq -j '" " + (with_entries(if .key | test("secret|password"; "i") then .value = "***" else . end) | tojson | gsub("\\\\n *"; " "))' <<<"$4"
    answer=$(printf %s "${4:-}" | curl -sS -X "$2" -H 'content-type: application/json' -H 'prefer: wait=60' --data-binary @- "$url")
    printf '\n'
    jq -ce "$GIST" <<<"$answer" | sed 's/^/  /' || { jq 'if has("job_id") then {status, error} else . end' <<<"$answer"; die "this call failed"; }
}

# Of a job its result, without what is long; of any other answer all of it. Nothing for a failure.
# shellcheck disable=SC2016 # jq's variables
GIST='
    if has("job_id") then (.result // empty | del(.columns, .fingerprint, .verification, .type_notes, .files_written, .bytes_written))
    elif has("code") then empty
    elif has("rows") then if .rows == [] then "no rows" else .rows[] end
    else del(.snapshot_history, .properties) end | if type == "object" then with_entries(select(.value != null)) else . end'

# load_call SERVER SOURCE BODY: a load that replaces the table's rows.
load_call() { request "$1" POST "/load/$2" "$(jq -c '. + {mode: "overwrite"}' <<<"$3")"; }

# from_postgres SERVER NAMESPACE TABLE QUERY: with host and password in the request, as the older callers do it.
from_postgres() {
    load_call "$1" postgres "$(jq -nc --argjson port "$(pg_port "$SAMPLE")" --arg namespace "$2" --arg table "$3" --arg query "$4" \
        '{host: "127.0.0.1", $port, database: "source_db", user: "admin", password: "admin123", $query, table_name: $table, $namespace}')"
}

# from_s3 SERVER NAMESPACE TABLE BUCKET KEY FORMAT: address and keys are those of the configured connection for this bucket.
from_s3() {
    load_call "$1" s3 "$(jq -nc --arg namespace "$2" --arg table "$3" --arg bucket "$4" --arg key "$5" --arg format "$6" \
        '{$bucket, $key, $format, table_name: $table, $namespace}')"
}

# upload FILE BUCKET KEY
upload() {
    request api-5000 POST /upload/s3 "$(jq -nc --arg file "$1" --arg bucket "$2" --arg key "$3" \
        '{file_path: $file, $bucket, $key}')"
}

load_files() {
    local name
    for name in sample_sales sample_customers; do
        upload "$ROOT/samples/$name.csv" datalake "input/$name.csv"
        from_s3 api raw "$name" datalake "input/$name.csv" csv
    done
    request api POST /query "$(jq -nc '{sql: "SELECT c.name, count(*) AS orders, sum(s.amount) AS revenue FROM raw.sample_sales s
        JOIN raw.sample_customers c ON c.customer_id = s.customer_id GROUP BY c.name ORDER BY revenue DESC"}')"
}

run_examples() {
    request api GET /health
    upload_examples
    postgres_examples
    s3_examples
    file_examples
    table_examples
    trino_examples
}

# The files lie in the bucket before the calls that load them.
upload_examples() {
    local folder=$SERVERS/data file place
    "$CACHE/notebooks/bin/python" scripts/example_files.py "$folder"
    while IFS= read -r file; do
        place=${file#"$folder/s3/"}
        upload "$file" "${place%%/*}" "${place#*/}"
    done < <(find "$folder/s3" -type f | sort)
    upload "$folder/analysis_results.csv" datalake output/analysis_results.csv
}

postgres_examples() {
    local table
    from_postgres api-5000 ecommerce orders_daily "SELECT * FROM orders WHERE created_at > NOW() - INTERVAL '1 day'"
    from_postgres api-5000 realtime orders_hourly "SELECT * FROM sales.orders WHERE updated_at > NOW() - INTERVAL '1 hour'"
    from_postgres api-5000 realtime orders_hourly "SELECT * FROM orders WHERE created_at > NOW() - INTERVAL '1 hour'"
    from_postgres api staging orders_today "SELECT * FROM orders WHERE date = CURRENT_DATE"
    load_call api postgres "$(jq -nc --argjson port "$(pg_port "$SAMPLE")" '{host: "127.0.0.1", $port, database: "source_db",
        user: "admin", password: "admin123", query: "SELECT * FROM sales.orders LIMIT 100", tableName: "orders", namespace: "staging"}')"
    from_postgres api-5000 daily orders_today "SELECT * FROM orders WHERE created_at::date = CURRENT_DATE"
    from_postgres api-5000 validation staging_data "SELECT * FROM staging_data"
    for table in transactions orders table1 table2; do from_postgres api-5000 consolidated "$table" "SELECT * FROM $table"; done
    from_postgres api sales_data orders "SELECT * FROM sales.orders"
    from_postgres api-5000 customer_data customers "SELECT * FROM customers.customer_info"
    from_postgres api staging orders_daily "SELECT * FROM sales.orders WHERE order_date >= CURRENT_DATE::date"
}

s3_examples() {
    from_s3 api-5000 ecommerce products data-exports monthly/products.parquet parquet
    from_s3 api staging products_daily exports products/daily.csv csv
    load_call api s3 "$(jq -nc --arg endpoint "$(s3_url)" --arg key "$S3_ACCESS_KEY" --arg secret "$S3_SECRET_KEY" \
        '{s3Path: "s3a://datalake/data/products.parquet", format: "parquet", tableName: "products", namespace: "raw", $endpoint,
          accessKey: $key, secretKey: $secret}')"
    from_s3 api-5000 raw sales datalake input/sales.csv csv
    from_s3 api-5000 consolidated transactions_2023 archive 2023/transactions.parquet parquet
    from_s3 api-5000 raw imported_data datalake input/data.csv csv
}

file_examples() {
    load_call api file "$(jq -nc --arg path "$SERVERS/data/customers.csv" \
        '{filePath: $path, format: "csv", tableName: "customers", namespace: "raw"}')"
    load_call api-5000 file "$(jq -nc --arg path "$SERVERS/data/products.parquet" \
        '{file_path: $path, format: "parquet", table_name: "products", namespace: "raw"}')"
    from_postgres api-5000 raw customers "SELECT * FROM customers.customer_info"
}

table_examples() {
    request api GET /tables/staging
    request api-5000 GET /tables/raw
    request api GET /tables/staging/orders/count
    request api-5000 GET /tables/raw/sales/metadata
}

trino_examples() {
    request api POST /query "$(jq -nc '{engine: "trino", sql: "SELECT region, count(*) AS total_orders, sum(amount) AS total_revenue,
        avg(amount) AS avg_order FROM iceberg.sales_data.orders GROUP BY region ORDER BY region"}')"
    request api POST /query "$(jq -nc '{engine: "trino", sql: "SELECT o.order_id, o.amount, c.name FROM iceberg.sales_data.orders o
        JOIN postgres.public.customers c ON o.customer_id = c.id WHERE o.amount > 500 ORDER BY o.order_id"}')"
}
