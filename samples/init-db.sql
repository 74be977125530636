-- The sample source database: run it in database `source_db` as a superuser, as often as you like.
--
--   createdb source_db && psql -d source_db -f samples/init-db.sql
--
-- It drops and makes again the schemas sales, customers, products and analytics and its own tables in public.
-- Login for loads: admin / admin123. It can read the samples and nothing else: a load needs no more, and Icehaul refuses
-- superusers. Every row is the same on every run, but for the three orders of today in public.orders.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
BEGIN;

DROP SCHEMA IF EXISTS sales, customers, products, analytics CASCADE;
DROP TABLE IF EXISTS public.customers, public.products, public.orders, public.transactions, public.staging_data,
    public.table1, public.table2;

CREATE SCHEMA customers;
CREATE SCHEMA products;
CREATE SCHEMA sales;

-- ---------------------------------------------------------------- customers

CREATE TABLE customers.customer_info (
    customer_id   integer PRIMARY KEY,
    name          varchar(100) NOT NULL,
    email         varchar(150) NOT NULL UNIQUE,
    city          varchar(80),
    country       varchar(80),
    signup_date   date NOT NULL,
    customer_type varchar(20) NOT NULL CHECK (customer_type IN ('retail', 'business', 'vip'))
);

INSERT INTO customers.customer_info VALUES
    (1,  'Ana Silva',       'ana.silva@example.com',       'Lisbon',     'Portugal',       '2021-03-14', 'vip'),
    (2,  'Ben Okafor',      'ben.okafor@example.com',      'Lagos',      'Nigeria',        '2022-01-09', 'retail'),
    (3,  'Chen Wei',        'chen.wei@example.com',        'Singapore',  'Singapore',      '2022-06-30', 'business'),
    (4,  'Dana Müller',     'dana.mueller@example.com',    'Hamburg',    'Germany',        '2022-11-21', 'retail'),
    (5,  'Elif Yılmaz',     'elif.yilmaz@example.com',     'Izmir',      'Türkiye',        '2023-02-02', 'business'),
    (6,  'Frank O''Neill',  'frank.oneill@example.com',    'Galway',     'Ireland',        '2023-05-17', 'retail'),
    (7,  'Grace Kim',       'grace.kim@example.com',       'Seoul',      'South Korea',    '2023-08-25', 'vip'),
    (8,  'Hugo Martín',     'hugo.martin@example.com',     'Valencia',   'Spain',          '2023-12-31', 'retail'),
    (9,  'Ines "Nina" Roy', 'ines.roy@example.com',        NULL,         'Canada',         '2024-01-01', 'business'),
    (10, '李 娜',            'li.na@example.com',           'Vancouver',  'Canada',         '2024-04-12', 'retail');

CREATE TABLE customers.customer_activity (
    activity_id   integer PRIMARY KEY,
    customer_id   integer NOT NULL REFERENCES customers.customer_info,
    activity_type varchar(40) NOT NULL,
    activity_at   timestamp NOT NULL,
    detail        text
);

INSERT INTO customers.customer_activity VALUES
    (1,  1,  'login',          '2023-11-02 08:15:00',        'web'),
    (2,  1,  'purchase',       '2023-11-03 09:30:00.125',    'order 1001'),
    (3,  2,  'login',          '2023-12-11 19:02:11',        'mobile app'),
    (4,  3,  'address_change', '2023-12-30 23:59:59.999999', E'from "Queen St"\nto Orchard Road'),
    (5,  4,  'purchase',       '2024-01-01 00:00:00',        'order 1006'),
    (6,  5,  'support_ticket', '2024-01-18 13:44:09',        'late delivery, refunded'),
    (7,  6,  'login',          '2024-02-14 07:00:00',        NULL),
    (8,  7,  'newsletter',     '2024-03-05 12:00:00',        'opened'),
    (9,  9,  'login',          '2024-04-22 16:20:30',        ''),
    (10, 10, 'purchase',       '2024-05-06 10:10:10',        'order 1015');

-- ---------------------------------------------------------------- products

CREATE TABLE products.product_catalog (
    product_id   integer PRIMARY KEY,
    product_name varchar(120) NOT NULL,
    category     varchar(60) NOT NULL,
    price        numeric(10,2) NOT NULL CHECK (price >= 0),
    stock        integer NOT NULL DEFAULT 0 CHECK (stock >= 0)
);

INSERT INTO products.product_catalog VALUES
    (101, 'Laptop 14"',           'electronics', 899.00, 25),
    (102, 'Wireless mouse',       'electronics',  24.99, 300),
    (103, 'Desk, standing',       'furniture',   449.50, 12),
    (104, 'Office chair',         'furniture',   189.00, 40),
    (105, 'Notebook, ruled, A5',  'stationery',    3.20, 1500),
    (106, 'Café mug',             'kitchen',      11.90, 220),
    (107, 'Backpack 30 l',        'travel',       79.95, 65),
    (108, 'Gift card',            'other',         0.00, 0);

CREATE TABLE products.product_reviews (
    review_id   integer PRIMARY KEY,
    product_id  integer NOT NULL REFERENCES products.product_catalog,
    customer_id integer NOT NULL REFERENCES customers.customer_info,
    rating      integer NOT NULL CHECK (rating BETWEEN 1 AND 5),
    review_text text,
    review_date date NOT NULL
);

INSERT INTO products.product_reviews VALUES
    (1,  101, 1,  5, 'Fast and quiet.',                  '2023-11-20'),
    (2,  101, 3,  4, 'Good, but the fan is loud.',       '2023-12-15'),
    (3,  102, 2,  3, NULL,                               '2023-12-28'),
    (4,  103, 4,  5, 'Sturdy. Set up in 20 minutes.',    '2024-01-10'),
    (5,  104, 5,  2, 'Squeaks after a week.',            '2024-01-31'),
    (6,  105, 6,  5, 'Paper takes ink well – thank you', '2024-02-20'),
    (7,  106, 7,  4, 'Nice handle ☕',                    '2024-03-08'),
    (8,  107, 8,  1, 'Zip broke on day one.',            '2024-03-30'),
    (9,  107, 9,  4, 'Fits under the seat.',             '2024-04-25'),
    (10, 102, 10, 5, 'Just works.',                      '2024-05-12');

-- ---------------------------------------------------------------- sales

CREATE TABLE sales.orders (
    order_id    integer PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES customers.customer_info,
    product_id  integer NOT NULL REFERENCES products.product_catalog,
    quantity    integer NOT NULL CHECK (quantity > 0),
    unit_price  numeric(10,2) NOT NULL CHECK (unit_price >= 0),
    amount      numeric(10,2) NOT NULL CHECK (amount = quantity * unit_price),
    status      varchar(20) NOT NULL CHECK (status IN ('pending', 'completed', 'cancelled', 'shipped')),
    region      varchar(40) NOT NULL,
    order_date  date NOT NULL,
    created_at  timestamp NOT NULL,
    updated_at  timestamp NOT NULL CHECK (updated_at >= created_at)
);

-- Both sides of 2024-01-01, of 100 and of 500; every status on both sides; one unit price below the catalog's.
INSERT INTO sales.orders VALUES
    (1001, 1,  101, 1,  899.00,  899.00, 'completed', 'Europe',        '2023-11-03', '2023-11-03 09:30:00',        '2023-11-06 14:00:00'),
    (1002, 2,  102, 2,   24.99,   49.98, 'completed', 'Africa',        '2023-11-19', '2023-11-19 20:11:05',        '2023-11-22 08:45:00'),
    (1003, 3,  103, 1,  449.50,  449.50, 'cancelled', 'Asia',          '2023-12-05', '2023-12-05 03:25:40',        '2023-12-05 04:00:00'),
    (1004, 4,  105, 10,   3.20,   32.00, 'pending',   'Europe',        '2023-12-20', '2023-12-20 11:59:59',        '2023-12-20 11:59:59'),
    (1005, 5,  104, 3,  189.00,  567.00, 'shipped',   'Asia',          '2023-12-31', '2023-12-31 23:59:59.999999', '2024-01-02 09:00:00'),
    (1006, 4,  103, 1,  449.50,  449.50, 'completed', 'Europe',        '2024-01-01', '2024-01-01 00:00:00',        '2024-01-04 17:30:00'),
    (1007, 6,  106, 6,   11.90,   71.40, 'completed', 'Europe',        '2024-01-15', '2024-01-15 08:08:08',        '2024-01-17 12:00:00'),
    (1008, 7,  101, 2,  879.00, 1758.00, 'shipped',   'Asia',          '2024-02-02', '2024-02-02 01:15:00.5',      '2024-02-03 10:10:00'),
    (1009, 8,  107, 1,   79.95,   79.95, 'cancelled', 'Europe',        '2024-02-14', '2024-02-14 18:00:00',        '2024-02-15 07:20:00'),
    (1010, 9,  104, 1,  189.00,  189.00, 'pending',   'North America', '2024-02-29', '2024-02-29 22:05:10',        '2024-02-29 22:05:10'),
    (1011, 1,  102, 4,   24.99,   99.96, 'completed', 'Europe',        '2024-03-10', '2024-03-10 02:30:00',        '2024-03-12 16:40:00'),
    (1012, 2,  107, 2,   79.95,  159.90, 'completed', 'Africa',        '2024-03-31', '2024-03-31 01:30:00',        '2024-04-02 11:00:00'),
    (1013, 3,  101, 1,  899.00,  899.00, 'pending',   'Asia',          '2024-04-09', '2024-04-09 06:00:00',        '2024-04-09 06:00:00'),
    (1014, 7,  105, 40,   3.20,  128.00, 'completed', 'Asia',          '2024-04-27', '2024-04-27 13:37:00',        '2024-04-30 09:15:00'),
    (1015, 10, 103, 2,  449.50,  899.00, 'shipped',   'North America', '2024-05-06', '2024-05-06 10:10:10.010101', '2024-05-08 15:00:00');

CREATE TABLE sales.order_items (
    item_id    integer PRIMARY KEY,
    order_id   integer NOT NULL REFERENCES sales.orders,
    product_id integer NOT NULL REFERENCES products.product_catalog,
    quantity   integer NOT NULL CHECK (quantity > 0),
    unit_price numeric(10,2) NOT NULL CHECK (unit_price >= 0)
);

-- One item per order: its product at its price.
INSERT INTO sales.order_items
SELECT order_id - 1000, order_id, product_id, quantity, unit_price FROM sales.orders ORDER BY order_id;

CREATE VIEW sales.order_summary AS
SELECT o.order_id, c.name AS customer_name, o.order_date, o.status, count(i.item_id) AS item_count, o.amount
FROM sales.orders o
JOIN customers.customer_info c USING (customer_id)
LEFT JOIN sales.order_items i USING (order_id)
GROUP BY o.order_id, c.name;

CREATE VIEW sales.revenue_by_region AS
SELECT region, count(*) AS total_orders, sum(amount) AS total_revenue, round(avg(amount), 2) AS avg_order
FROM sales.orders
GROUP BY region;

CREATE INDEX orders_customer_id_idx ON sales.orders (customer_id);
CREATE INDEX orders_order_date_idx ON sales.orders (order_date);
CREATE INDEX orders_region_idx ON sales.orders (region);
CREATE INDEX order_items_order_id_idx ON sales.order_items (order_id);
CREATE INDEX customer_activity_customer_id_idx ON customers.customer_activity (customer_id);
CREATE INDEX product_reviews_product_id_idx ON products.product_reviews (product_id);

-- ---------------------------------------------------------------- for joins over several databases, and simple loads

CREATE SCHEMA analytics;
CREATE TABLE analytics.customers AS
    SELECT customer_id AS id, name::text AS customer_name FROM customers.customer_info;
CREATE TABLE public.customers AS
    SELECT customer_id AS id, name::text AS name FROM customers.customer_info;
CREATE TABLE public.products AS
    SELECT product_id, product_name::text AS product_name FROM products.product_catalog;

-- Tables named without a schema. Three of these orders are of today, so that "since yesterday" finds something.
CREATE TABLE public.orders AS
    SELECT order_id, customer_id, quantity, amount, status, order_date AS date, created_at FROM sales.orders
    UNION ALL
    SELECT 2000 + n, n, 1, 24.99::numeric(10,2), 'pending', CURRENT_DATE, date_trunc('second', LOCALTIMESTAMP) FROM generate_series(1, 3) n;
CREATE TABLE public.transactions AS
    SELECT order_id AS transaction_id, customer_id, amount, created_at FROM sales.orders WHERE status <> 'cancelled';
CREATE TABLE public.staging_data AS
    SELECT n AS id, 'value ' || n AS value FROM generate_series(1, 5) n;
CREATE TABLE public.table1 AS SELECT n AS id, n * n AS square FROM generate_series(1, 10) n;
CREATE TABLE public.table2 AS SELECT n AS id, n * n * n AS cube FROM generate_series(1, 10) n;

-- ---------------------------------------------------------------- the login: it reads, and that is all

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'admin') THEN
        CREATE ROLE admin LOGIN PASSWORD 'admin123';
    END IF;
END
$$;
GRANT USAGE ON SCHEMA public, sales, customers, products, analytics TO admin;
GRANT SELECT ON ALL TABLES IN SCHEMA public, sales, customers, products, analytics TO admin;

COMMIT;

ANALYZE;
