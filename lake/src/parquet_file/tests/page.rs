//! Writes the section on Parquet of `docs/types.md` and holds it to the code.
use parquet::schema::parser::parse_message_type;

use super::super::types::{Leaf, type_name};

/// Every kind of leaf, as Parquet's own notation of schemas has it.
const SAMPLES: [&str; 37] = [
    "boolean c",
    "int32 c (INTEGER(8,true))",
    "int32 c (INTEGER(16,true))",
    "int32 c",
    "int64 c",
    "int32 c (INTEGER(8,false))",
    "int32 c (INTEGER(16,false))",
    "int32 c (INTEGER(32,false))",
    "int64 c (INTEGER(64,false))",
    "fixed_len_byte_array(2) c (FLOAT16)",
    "float c",
    "double c",
    "int32 c (DECIMAL(9,2))",
    "int64 c (DECIMAL(18,2))",
    "fixed_len_byte_array(16) c (DECIMAL(38,10))",
    "byte_array c (DECIMAL(38,10))",
    "fixed_len_byte_array(32) c (DECIMAL(76,20))",
    "int32 c (DATE)",
    "int32 c (TIME(MILLIS,false))",
    "int64 c (TIME(MICROS,false))",
    "int64 c (TIME(MICROS,true))",
    "int64 c (TIME(NANOS,true))",
    "int64 c (TIMESTAMP(MILLIS,true))",
    "int64 c (TIMESTAMP(MICROS,false))",
    "int64 c (TIMESTAMP(MICROS,true))",
    "int64 c (TIMESTAMP(NANOS,false))",
    "int64 c (TIMESTAMP(NANOS,true))",
    "int96 c",
    "fixed_len_byte_array(12) c (INTERVAL)",
    "byte_array c (STRING)",
    "byte_array c (ENUM)",
    "byte_array c (JSON)",
    "byte_array c (BSON)",
    "fixed_len_byte_array(16) c (UUID)",
    "fixed_len_byte_array(5) c",
    "byte_array c",
    "int32 c (UNKNOWN)",
];

fn section() -> String {
    let mut page = String::from(
        "## Parquet\n\n\
         Written by another test (`ICEHAUL_BLESS=1 cargo test -p icehaul-lake page`). A file's types are those that Parquet \
         itself says; the Arrow schema that some writers add is not looked at. Every column may hold NULLs in the table; names \
         are kept.\n\n\
         | Parquet | stored as | Iceberg | note |\n|---|---|---|---|\n",
    );
    for sample in SAMPLES {
        let leaf = leaf(sample).unwrap_or_else(|why| panic!("{sample}: {why}"));
        let stored = sample.split(" c").next().unwrap_or_default();
        let note = leaf.note().unwrap_or_default();
        page += &format!("| {} | {stored} | {} | {note} |\n", leaf.source(), type_name(&leaf.field("c")));
    }
    page + "| list of T (with 3 or 2 levels), repeated T | groups | list<T> |  |\n\
            | map of K to V | groups | map<K, V> |  |\n\
            | map of K to nothing | groups | list<K> |  |\n\
            | struct, variant | groups | struct<…> |  |\n\
            | a decimal of more than 76 digits, a fixed length of more than 65536 bytes, a group without fields, a type that \
            later versions of the format add | | refused: `unsupported_type` | |\n\n\
            These values have no place in the table's type; the load fails and names the file, the row and the column: a fraction \
            of a microsecond, 24:00, a time beyond the 64-bit microseconds, an integer beyond its annotated bits, a NULL as a map's \
            key (`unrepresentable_value`); a decimal with more digits than its type says (`decimal_overflow`); a value, or the lists \
            of a row, beyond `limits.max_cell_bytes` (`cell_too_large`). Text that is not UTF-8 makes the file \
            `parquet_invalid`.\n\n\
            Several files become one schema: columns by name, NULL where a file has none of the name, int widened to long, float to \
            double, a decimal to one with room for the digits of both; a column without values fits every type. Anything else is \
            `schema_mismatch`, and names that differ by case only are `duplicate_column`.\n"
}

fn leaf(sample: &str) -> Result<Leaf, String> {
    let message = parse_message_type(&format!("message m {{ optional {sample}; }}")).map_err(|e| e.to_string())?;
    Leaf::of(&message.get_fields()[0])
}

#[test]
fn the_page_says_what_the_code_does() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/types.md");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    let (before, own) = written.find("## Parquet").map_or((written.as_str(), ""), |at| written.split_at(at));
    if std::env::var_os("ICEHAUL_BLESS").is_some() {
        assert!(std::fs::write(path, format!("{before}{}", section())).is_ok(), "docs/types.md cannot be written");
    } else {
        assert_eq!(own, section(), "docs/types.md is out of date; run this test with ICEHAUL_BLESS=1");
    }
}

#[test]
fn what_cannot_be_carried_is_refused() {
    for sample in ["byte_array c (DECIMAL(80,2))", "fixed_len_byte_array(70000) c"] {
        assert!(leaf(sample).is_err(), "{sample}");
    }
}
