-- The Trino statements of the original system, in the form that runs. One statement behind each `-- Tnn` line.
-- Catalogs: `iceberg` (Icehaul's tables), `postgres` (the source database of samples/init-db.sql), `s3` (raw files by Hive's connector).
-- {…} stands for what differs from run to run.

-- T01 list the catalogs
SHOW CATALOGS

-- T02 the tables of a catalog
SELECT table_schema, table_name FROM iceberg.information_schema.tables WHERE table_schema = 'raw' ORDER BY table_name

-- T03 some rows
SELECT * FROM iceberg.sales_data.orders LIMIT 10

-- T04 count per city
SELECT city, count(*) AS customers FROM iceberg.raw.customers GROUP BY city ORDER BY city NULLS LAST

-- T05 a filter on two columns
SELECT order_id, amount, status FROM iceberg.raw.orders WHERE status = 'completed' AND amount > 100 ORDER BY order_id

-- T06 an inner join
SELECT o.order_id, c.name, o.amount, o.order_date FROM iceberg.raw.orders o JOIN iceberg.raw.customers c ON o.customer_id = c.customer_id
WHERE o.amount > 500 ORDER BY o.order_id

-- T07 a join of three
SELECT o.order_id, c.customer_name, p.product_name, o.amount FROM iceberg.ecommerce.orders o
JOIN iceberg.ecommerce.customers c ON o.customer_id = c.customer_id
JOIN iceberg.ecommerce.products p ON o.product_id = p.product_id
WHERE o.order_date >= DATE '2024-01-01' ORDER BY o.order_id

-- T08 two catalogs
SELECT o.order_id, c.name FROM iceberg.raw.orders o JOIN postgres.public.customers c ON o.customer_id = c.id ORDER BY o.order_id

-- T09 two catalogs, three tables
SELECT o.order_id, c.name, p.product_name, o.amount FROM iceberg.sales_data.orders o
JOIN iceberg.customer_data.customers c ON o.customer_id = c.customer_id
JOIN postgres.public.products p ON o.product_id = p.product_id ORDER BY o.order_id

-- T10 three catalogs
SELECT o.order_id, c.customer_name, p.product_name FROM iceberg.warehouse.orders o
JOIN postgres.analytics.customers c ON o.customer_id = c.id
JOIN s3.datalake.products p ON o.product_id = p.id ORDER BY o.order_id

-- T11 a join of two systems
SELECT a.id, a.square, b."cube" FROM iceberg.raw.table1 a JOIN postgres.public.table2 b ON a.id = b.id ORDER BY a.id

-- T12 per region
SELECT region, count(*) AS total_orders, sum(amount) AS total_revenue, avg(amount) AS avg_order FROM iceberg.sales_data.orders
GROUP BY region ORDER BY region

-- T13 the best customers
SELECT customer_id, count(*) AS orders, sum(amount) AS revenue FROM iceberg.realtime.orders_hourly GROUP BY customer_id
ORDER BY revenue DESC, customer_id LIMIT 10

-- T14 the same with their rank
SELECT customer_id, sum(amount) AS total, row_number() OVER (ORDER BY sum(amount) DESC, customer_id) AS rank FROM iceberg.raw.orders
GROUP BY customer_id ORDER BY rank LIMIT 10

-- T15 beside the competitor's price
SELECT o.product_id, c.competitor_price, sum(o.amount) AS revenue, c.competitor_price - avg(o.unit_price) AS difference
FROM iceberg.realtime.orders_hourly o LEFT JOIN iceberg.market_data.competitor_prices c ON o.product_id = c.product_id
GROUP BY o.product_id, c.competitor_price ORDER BY o.product_id

-- T16 anomalies
SELECT id FROM iceberg.validation.staging_data WHERE amount < 0 OR customer_id IS NULL ORDER BY id

-- T17 three tables, two left joins
SELECT s.customer_id, h.amount AS before, p.competitor_price FROM iceberg.operational.sales s
LEFT JOIN iceberg.historical.sales h ON s.customer_id = h.customer_id
LEFT JOIN iceberg.competitive.pricing p ON s.product_id = p.product_id ORDER BY s.customer_id

-- T18 as of a time
SELECT count(*) FROM iceberg.ecommerce.orders FOR TIMESTAMP AS OF TIMESTAMP '{moment}'

-- T19 as of a time, another table
SELECT count(*) FROM iceberg.raw.customers FOR TIMESTAMP AS OF TIMESTAMP '{moment}'

-- T20 as of a snapshot
SELECT count(*) FROM iceberg.ecommerce.orders FOR VERSION AS OF {snapshot}

-- T21 the history of a table
SELECT is_current_ancestor, parent_id IS NULL FROM iceberg.ecommerce."orders$history" ORDER BY made_current_at

-- T22 its metadata files
SELECT count(*) FROM iceberg.ecommerce."orders$metadata_log_entries"

-- T23 its snapshots
SELECT operation, summary['total-records'] FROM iceberg.ecommerce."orders$snapshots" ORDER BY committed_at

-- T24 update by key
UPDATE iceberg.raw.orders SET status = 'shipped' WHERE order_id = 1001

-- T25 update several
UPDATE iceberg.analytics.orders SET status = 'shipped' WHERE id IN (1001, 1002, 1003)

-- T26 delete what was cancelled before a day
DELETE FROM iceberg.raw.orders WHERE status = 'cancelled' AND order_date < DATE '2024-01-01'

-- T27 the same by time
DELETE FROM iceberg.analytics.orders WHERE status = 'cancelled' AND created_at < TIMESTAMP '2024-03-01 00:00:00'

-- T28 merge
MERGE INTO iceberg.analytics.orders t USING iceberg.staging.orders s ON t.id = s.id
WHEN MATCHED THEN UPDATE SET status = s.status
WHEN NOT MATCHED THEN INSERT (id, customer_id, amount, status, created_at) VALUES (s.id, s.customer_id, s.amount, s.status, s.created_at)

-- T29 add a column
ALTER TABLE iceberg.analytics.orders ADD COLUMN discount DECIMAL(10,2)

-- T30 a partitioned table
CREATE TABLE iceberg.analytics.events (event_id integer, user_id integer, event_type varchar, "timestamp" timestamp(6), event_date date)
WITH (partitioning = ARRAY['event_date'])

-- T31 compaction
ALTER TABLE iceberg.analytics.orders EXECUTE optimize

-- T32 orphan files
ALTER TABLE iceberg.analytics.orders EXECUTE remove_orphan_files(retention_threshold => '7d')

-- T33 old snapshots
ALTER TABLE iceberg.analytics.orders EXECUTE expire_snapshots(retention_threshold => '7d')

-- T34 a raw file
SELECT id, product_name FROM s3.datalake.products ORDER BY id

-- T35 is it there
SELECT count(*) FROM iceberg.information_schema.schemata WHERE schema_name = 'raw'

-- T36 does it answer
SELECT 1

-- T37 all of a table, in either catalog
SELECT (SELECT count(*) FROM iceberg.raw.customers), (SELECT count(*) FROM postgres.public.customers)
