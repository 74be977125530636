//! Writes the section on MySQL of `docs/types.md` and holds it to the code.
use super::{super::columns::Fault, *};

fn of(ty: ColumnType, length: u32, decimals: u8, flags: ColumnFlags) -> Option<Carried> {
    let column = Column::new(ty).with_column_length(length).with_decimals(decimals).with_flags(flags);
    way(&column).map(|way| way.kind)
}

#[test]
fn the_width_of_a_decimal_tells_its_digits() {
    let decimal = |length, scale, flags| of(ColumnType::MYSQL_TYPE_NEWDECIMAL, length, scale, flags);
    let (signed, unsigned) = (ColumnFlags::empty(), ColumnFlags::UNSIGNED_FLAG);
    assert_eq!(decimal(12, 2, signed), Some(Carried::Decimal { precision: 10, scale: 2 }));
    assert_eq!(decimal(11, 0, signed), Some(Carried::Decimal { precision: 10, scale: 0 }));
    assert_eq!(decimal(11, 2, unsigned), Some(Carried::Decimal { precision: 10, scale: 2 }));
    assert_eq!(decimal(40, 38, signed), Some(Carried::Decimal { precision: 38, scale: 38 }));
    assert_eq!(decimal(41, 2, signed), Some(Carried::Text));
    assert_eq!(decimal(0, 0, signed), Some(Carried::Decimal { precision: 1, scale: 0 }));
}

#[test]
fn a_sign_decides_about_integers() {
    let (signed, unsigned) = (ColumnFlags::empty(), ColumnFlags::UNSIGNED_FLAG);
    assert_eq!(of(ColumnType::MYSQL_TYPE_LONG, 11, 0, signed), Some(Carried::Int));
    assert_eq!(of(ColumnType::MYSQL_TYPE_LONG, 10, 0, unsigned), Some(Carried::Long));
    assert_eq!(of(ColumnType::MYSQL_TYPE_LONGLONG, 20, 0, unsigned), Some(Carried::Unsigned));
    assert_eq!(of(ColumnType::MYSQL_TYPE_INT24, 8, 0, unsigned), Some(Carried::Int));
    assert_eq!(of(ColumnType::MYSQL_TYPE_UNKNOWN, 0, 0, signed), None);
}

/// Every kind of type, as it is written in SQL and as the server describes it.
fn samples() -> Vec<(&'static str, Column)> {
    use ColumnType::*;
    let plain = |ty| Column::new(ty).with_character_set(45);
    let unsigned = |ty| plain(ty).with_flags(ColumnFlags::UNSIGNED_FLAG);
    let decimal = |length, scale| plain(MYSQL_TYPE_NEWDECIMAL).with_column_length(length).with_decimals(scale);
    let bytes = |ty| Column::new(ty).with_character_set(BINARY);
    vec![
        ("tinyint, tinyint(1), boolean", plain(MYSQL_TYPE_TINY)),
        ("smallint", plain(MYSQL_TYPE_SHORT)),
        ("mediumint, mediumint unsigned", plain(MYSQL_TYPE_INT24)),
        ("int", plain(MYSQL_TYPE_LONG)),
        ("int unsigned", unsigned(MYSQL_TYPE_LONG)),
        ("bigint", plain(MYSQL_TYPE_LONGLONG)),
        ("bigint unsigned", unsigned(MYSQL_TYPE_LONGLONG)),
        ("float", plain(MYSQL_TYPE_FLOAT)),
        ("double", plain(MYSQL_TYPE_DOUBLE)),
        ("decimal(12,2)", decimal(14, 2)),
        ("decimal(38,0)", decimal(39, 0)),
        ("decimal(65,30)", decimal(67, 30)),
        ("date", plain(MYSQL_TYPE_DATE)),
        ("datetime, datetime(6)", plain(MYSQL_TYPE_DATETIME)),
        ("timestamp, timestamp(6)", plain(MYSQL_TYPE_TIMESTAMP)),
        ("time, time(6)", plain(MYSQL_TYPE_TIME)),
        ("year", plain(MYSQL_TYPE_YEAR)),
        ("bit, bit(1)", plain(MYSQL_TYPE_BIT).with_column_length(1)),
        ("bit(n)", plain(MYSQL_TYPE_BIT).with_column_length(8)),
        ("char(n), varchar(n), text, …", plain(MYSQL_TYPE_VAR_STRING)),
        ("MariaDB's uuid, inet4, inet6", plain(MYSQL_TYPE_STRING)),
        ("binary(n), varbinary(n), blob, …", bytes(MYSQL_TYPE_BLOB)),
        ("enum", plain(MYSQL_TYPE_STRING).with_flags(ColumnFlags::ENUM_FLAG)),
        ("set", plain(MYSQL_TYPE_STRING).with_flags(ColumnFlags::SET_FLAG)),
        ("json (of MariaDB: a longtext)", plain(MYSQL_TYPE_JSON)),
        ("geometry, point, …", bytes(MYSQL_TYPE_GEOMETRY)),
        ("vector of MySQL 9", bytes(MYSQL_TYPE_VECTOR)),
        ("a type that is not known", plain(MYSQL_TYPE_UNKNOWN)),
    ]
}

fn section() -> String {
    let mut page = String::from(
        "\n## MySQL\n\n\
         And MariaDB. As with PostgreSQL a value is carried exactly or the load fails, and a column with a note is listed \
         under `type_notes`.\n\n\
         | MySQL | Iceberg | note |\n|---|---|---|\n",
    );
    for (name, column) in samples() {
        let (iceberg, note) = match way(&column) {
            Some(way) => (way.kind.iceberg(), way.note.map(|(_, note)| note).unwrap_or_default()),
            None => ("refused: `unsupported_type`".into(), "cast it in the query"),
        };
        page += &format!("| {name} | {iceberg} | {note} |\n");
    }
    page += "\nTimes of `timestamp` are read in UTC whatever the server's zone is. Text arrives as UTF-8 whatever the column's \
             character set is.\n\n\
             These values have no place in the table's type; the load fails and names row and column:\n\n\
             | code | the value |\n|---|---|\n";
    for fault in [Fault::NoDate, Fault::TooManyDigits, Fault::NotText, Fault::Unmapped, Fault::TooLarge(200_000_000)] {
        page += &format!("| `{}` | {fault} |\n", fault.code().as_str());
    }
    page
}

#[test]
fn the_page_says_what_the_code_does() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/types.md");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    let (before, rest) = written.split_at(written.find("\n## MySQL").unwrap_or(written.len()));
    let (own, after) = rest.split_at(rest.find("\n## Parquet").unwrap_or(rest.len()));
    if std::env::var_os("ICEHAUL_BLESS").is_some() {
        assert!(
            std::fs::write(path, format!("{before}{}{after}", section())).is_ok(),
            "docs/types.md cannot be written"
        );
        return;
    }
    assert_eq!(own, section(), "docs/types.md is out of date; run this test with ICEHAUL_BLESS=1");
}
