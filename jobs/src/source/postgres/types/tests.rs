//! Writes `docs/types.md` and holds it to the code.
use tokio_postgres::types::{Field as Attribute, Kind, Type};

use super::{super::columns::Fault, way};

/// PostgreSQL packs precision and scale so.
const fn digits(precision: i32, scale: i32) -> i32 {
    ((precision << 16) | (scale & 0x7ff)) + 4
}

fn own(name: &str, kind: Kind) -> Type {
    Type::new(name.to_owned(), 100_000, kind, "public".to_owned())
}

/// Every kind of type, as it is written in SQL, with its modifier.
fn samples() -> Vec<(&'static str, Type, i32)> {
    let plain = |name, ty| (name, ty, -1);
    let label = |name, ty| (name, ty, -1);
    vec![
        plain("boolean", Type::BOOL),
        plain("smallint", Type::INT2),
        plain("integer", Type::INT4),
        plain("bigint", Type::INT8),
        plain("oid", Type::OID),
        plain("real", Type::FLOAT4),
        plain("double precision", Type::FLOAT8),
        ("numeric(12,2)", Type::NUMERIC, digits(12, 2)),
        ("numeric(38,10)", Type::NUMERIC, digits(38, 10)),
        ("numeric(5,-2)", Type::NUMERIC, digits(5, -2)),
        ("numeric(3,5)", Type::NUMERIC, digits(3, 5)),
        ("numeric(50,2)", Type::NUMERIC, digits(50, 2)),
        plain("numeric", Type::NUMERIC),
        plain("money", Type::MONEY),
        plain("date", Type::DATE),
        plain("time", Type::TIME),
        plain("time with time zone", Type::TIMETZ),
        plain("timestamp", Type::TIMESTAMP),
        plain("timestamp with time zone", Type::TIMESTAMPTZ),
        plain("interval", Type::INTERVAL),
        plain("text", Type::TEXT),
        plain("varchar, varchar(n)", Type::VARCHAR),
        plain("char(n)", Type::BPCHAR),
        plain("name", Type::NAME),
        plain("\"char\"", Type::CHAR),
        label("citext", own("citext", Kind::Simple)),
        plain("xml", Type::XML),
        plain("json", Type::JSON),
        plain("jsonb", Type::JSONB),
        plain("uuid", Type::UUID),
        plain("bytea", Type::BYTEA),
        plain("bit(n), bit varying", Type::VARBIT),
        plain("inet", Type::INET),
        plain("cidr", Type::CIDR),
        plain("macaddr", Type::MACADDR),
        plain("point, and other geometric types", Type::POINT),
        plain("tsvector, tsquery", Type::TS_VECTOR),
        plain("int4range, and other ranges", Type::INT4_RANGE),
        plain("int4multirange, and other multiranges", Type::INT4MULTI_RANGE),
        plain("pg_lsn, xid, regclass, …", Type::PG_LSN),
        label("an enum", own("mood", Kind::Enum(vec!["fine".into()]))),
        label("a domain over integer", own("age", Kind::Domain(Type::INT4))),
        label("a composite type", own("pair", Kind::Composite(vec![Attribute::new("a".into(), Type::INT4)]))),
        plain("record", Type::RECORD),
        label("a type of an extension (hstore, ltree, geometry, vector, …)", own("ltree", Kind::Simple)),
        plain("integer[]", Type::INT4_ARRAY),
        plain("text[]", Type::TEXT_ARRAY),
        plain("uuid[]", Type::UUID_ARRAY),
        ("numeric(12,2)[]", Type::NUMERIC_ARRAY, digits(12, 2)),
        plain("numeric[]", Type::NUMERIC_ARRAY),
        plain("interval[]", Type::INTERVAL_ARRAY),
        plain("jsonb[]", Type::JSONB_ARRAY),
        plain("void, and other pseudo-types", Type::VOID),
    ]
}

fn page() -> String {
    let mut page = String::from(
        "# What becomes of a column's type\n\n\
         Written from the code by a test (`ICEHAUL_BLESS=1 cargo test -p icehaul-jobs types`); do not edit.\n\n\
         ## PostgreSQL\n\n\
         A value is carried exactly or the load fails; nothing is rounded, cut or made NULL. A column with a note is listed \
         under `type_notes` in the job's result.\n\n\
         | PostgreSQL | Iceberg | note |\n|---|---|---|\n",
    );
    for (name, ty, modifier) in samples() {
        let (iceberg, note) = match way(&ty, modifier, 2) {
            Some(way) => (way.kind.iceberg(), way.note.unwrap_or_default()),
            None => ("refused: `unsupported_type`".into(), "cast it in the query"),
        };
        page += &format!("| {name} | {iceberg} | {note} |\n");
    }
    page += "\nThe scale of `money` is that of the server's `lc_monetary`. Names of columns are kept as they are.\n\n\
             These values have no place in the table's type; the load fails and names row and column:\n\n\
             | code | the value |\n|---|---|\n";
    let faults = [
        Fault::NotANumber,
        Fault::Infinite,
        Fault::OutOfRange,
        Fault::Midnight,
        Fault::Dimensions,
        Fault::TooManyDigits,
        Fault::TooLarge(200_000_000),
    ];
    for fault in faults {
        page += &format!("| `{}` | {fault} |\n", fault.code().as_str());
    }
    page + "\nInfinite dates and timestamps, and NaN in a decimal, can be read by a query that replaces or casts them; \
            `real` and `double precision` keep NaN and the infinities. Years before Christ are kept.\n"
}

#[test]
fn the_page_says_what_the_code_does() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/types.md");
    // The rest is that of other tests: of MySQL, and of the lake's Parquet files.
    let written = std::fs::read_to_string(path).unwrap_or_default();
    let (own, rest) = written.find("\n## MySQL").map_or((written.as_str(), ""), |at| written.split_at(at));
    if std::env::var_os("ICEHAUL_BLESS").is_some() {
        assert!(std::fs::write(path, page() + rest).is_ok(), "docs/types.md cannot be written");
        return;
    }
    assert_eq!(own, page(), "docs/types.md is out of date; run this test with ICEHAUL_BLESS=1");
}
