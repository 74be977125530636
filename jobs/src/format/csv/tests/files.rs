use std::io::Write;

use serde_json::json;

use super::*;

#[tokio::test]
async fn types_follow_from_all_cells() {
    let text = "id,big,price,day,at,moment,ok,zip,name,none\n\
                1,3000000000,1.5,2024-02-29,2024-02-29T12:34:56.5,2024-02-29 12:00:00Z,true,01234,a,\n\
                2,-7,10,1999-12-31,2024-02-29 00:00,2024-02-29 12:00:00+02:00,false,99999,\"b, c\",\n";
    let loaded = load(json!({}), text).await.expect("loaded");
    let columns = [
        "id: int",
        "big: long",
        "price: decimal(3, 1)",
        "day: date",
        "at: timestamp",
        "moment: timestamptz",
        "ok: boolean",
        "zip: string",
        "name: string",
        "none: string",
    ];
    assert_eq!(loaded.columns, columns);
    assert_eq!(
        loaded.lines(),
        [
            "1|3000000000|1.5|2024-02-29|2024-02-29T12:34:56.500|2024-02-29T12:00:00Z|true|01234|a|-",
            "2|-7|10.0|1999-12-31|2024-02-29T00:00:00|2024-02-29T10:00:00Z|false|99999|b, c|-",
        ]
    );
    assert_eq!(loaded.notes.len(), 2, "{:?}", loaded.notes);
    assert!(loaded.notes[0].starts_with("moment: the moments are kept"), "{:?}", loaded.notes);
    assert!(loaded.notes[1].contains("(a.csv, line 2: `01234`)"), "{:?}", loaded.notes);
}

#[tokio::test]
async fn the_last_cell_decides_too() {
    let mut text = String::from("n\n");
    (0..5000).for_each(|n| text.push_str(&format!("{n}\n")));
    text.push_str("abc\n");
    let loaded = load_by(&reading(json!({})), &[("a.csv", text.as_bytes())], 1000, 4096).await.expect("loaded");
    assert_eq!(loaded.columns, ["n: string"]);
    assert_eq!(loaded.rows.len(), 5001);
    assert!(
        loaded.notes[0].contains("numbers and texts") && loaded.notes[0].contains("line 5002: `abc`"),
        "{:?}",
        loaded.notes
    );
    let (code, message) = code(json!({"schema": {"n": "int"}}), &text).await;
    assert_eq!(
        (code, message.as_str()),
        (Code::TypeMismatch, "a.csv, line 5002: column `n`: `abc` is not of the type int that `schema` gives")
    );
}

#[tokio::test]
async fn exactly_the_rows() {
    for (text, rows) in [
        ("a,b\n1,2\n", &["1|2"][..]),
        ("a,b\n1,2", &["1|2"]),
        ("a,b\r\n1,2\r\n", &["1|2"]),
        ("a,b\r1,2\r3,4", &["1|2", "3|4"]),
        ("a,b\n1,2\r\n3,4\r5,6\n", &["1|2", "3|4", "5|6"]),
        ("\u{feff}a,b\n1,2\n", &["1|2"]),
        ("\n\na,b\n\n1,2\n\n\n3,4\n\n", &["1|2", "3|4"]),
        ("a,b\n\"x\ny\",\"p\r\nq\"\n", &["x\ny|p\r\nq"]),
        ("a,b\n\"say \"\"hi\"\"\",\"\"\"\"\n", &["say \"hi\"|\""]),
        ("a,b\n5\" wide,x\"y\"\n", &["5\" wide|x\"y\""]),
        ("a,b\n,\n\"\",x\n", &["-|-", "|x"]),
        ("a,b\n=1+1,@x\n", &["=1+1|@x"]),
        ("a,b\n1,\n", &["1|-"]),
        ("a,b\n1,", &["1|-"]),
        ("a,b\n \"x\" ,y\n", &[" \"x\" |y"]),
        ("a\nx\n\ny\n", &["x", "-", "y"]),
        ("a\nx\n\"\"\n\n", &["x", "", "-"]),
        ("a,b", &[]),
        ("a,b\n\n", &[]),
    ] {
        let loaded = load(json!({}), text).await.unwrap_or_else(|e| panic!("{text:?}: {e}"));
        assert_eq!(loaded.lines(), rows, "{text:?}");
        let names: Vec<_> = loaded.columns.iter().map(|c| c.split(':').next().expect("a name")).collect();
        assert!(names == ["a", "b"] || names == ["a"], "{text:?}: {names:?}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_line() {
    for (text, code_, part) in [
        ("", Code::EmptySource, "a.csv: the file is empty"),
        ("\n\r\n", Code::EmptySource, "empty"),
        ("\u{feff}", Code::EmptySource, "empty"),
        ("a,b\n1,2\n3\n", Code::RaggedRow, "a.csv, line 3: the row has 1 field, the first one has 2"),
        ("a,b\n\"x\n\ny\",2\n1,2,3\n", Code::RaggedRow, "line 5: the row has 3 fields"),
        ("a;b\n1;2,5\n", Code::RaggedRow, "is `delimiter` right"),
        ("a,b\n1,2\n\"x\n,\"\"y,2\n3,4\n", Code::CsvUnterminatedQuote, "line 3"),
        ("a,b\n1,2\nx\n\n", Code::RaggedRow, "line 3"),
        ("a,b\n1,2\r\n\"x\"y,2\n", Code::CsvInvalid, "line 3: text follows the quote"),
        ("a,b\n1,2\n\n3,\0\n", Code::CsvInvalid, "line 4: there is a byte of value 0"),
        ("\u{feff}\u{feff}a,b\n1,2\n", Code::CsvInvalid, "line 1: the text begins with a second byte order mark"),
    ] {
        let (code, message) = code(json!({}), text).await;
        assert_eq!(code, code_, "{text:?}: {message}");
        assert!(message.contains(part), "{text:?}: {message}");
    }
}

#[tokio::test]
async fn the_dialect_is_the_requests() {
    let loaded = load(json!({"delimiter": ";", "quote": "'"}), "a;b\n'x;y';\"z\"\n").await.expect("loaded");
    assert_eq!(loaded.lines(), ["x;y|\"z\""]);
    let loaded = load(json!({"quote": ""}), "a,b\n\"x,y\"\n").await.expect("loaded");
    assert_eq!(loaded.lines(), ["\"x|y\""]);
    let loaded = load(json!({"trim": true}), "a , b\n 1 ,\t2\n \" x \" , y z \n , \n  \n").await.expect("loaded");
    assert_eq!((loaded.columns[0].as_str(), loaded.columns[1].as_str()), ("a: string", "b: string"));
    assert_eq!(loaded.lines(), ["1|2", " x |y z", "-|-"]);
    let loaded = load(json!({"header": false}), "\"1\"\"\",x\n2,y\n").await.expect("loaded");
    assert_eq!(loaded.columns, ["column_1: string", "column_2: string"]);
    assert_eq!(loaded.lines(), ["1\"|x", "2|y"]);
    let tsv = load_by(&reading(json!({})), &[("a.tsv", b"a\tb,c\n1\t2\n")], 7, 16).await.expect("loaded");
    assert_eq!(tsv.columns, ["a: int", "b,c: int"]);
    let one = load(json!({}), "a;b\n1;2\n").await.expect("loaded");
    assert!(one.notes[0].contains("`delimiter` perhaps `;`"), "{:?}", one.notes);
}

#[tokio::test]
async fn nulls_are_what_the_request_says() {
    let text = "n,t\n1,\"\"\nNA,x\n\"NA\",y\n,\n";
    let loaded = load(json!({"null_values": ["NA"]}), text).await.expect("loaded");
    assert_eq!(
        (loaded.columns[0].as_str(), loaded.lines()),
        ("n: int", vec!["1|".into(), "-|x".into(), "-|y".into(), "-|-".into()])
    );
    let loaded = load(json!({"null_values": ["NA", ""]}), text).await.expect("loaded");
    assert_eq!(loaded.lines(), ["1|-", "-|x", "-|y", "-|-"]);
    let loaded = load(json!({}), "n\n1\n\"\"\n").await.expect("loaded");
    assert_eq!(loaded.columns, ["n: string"]);
    assert!(loaded.notes[0].contains("`null_values`: [\"\"]"), "{:?}", loaded.notes);
}

#[tokio::test]
async fn a_given_schema_wins() {
    let types = json!({"schema": {"zip": "int", "x": "double", "d": "decimal(6,2)", "u": "uuid", "t": "time"}});
    let text = "zip,x,d,u,t\n00501,1e3,1.500,67e55044-10b1-426f-9247-bb680e5fe0c8,12:30\n";
    let loaded = load(types.clone(), text).await.expect("loaded");
    assert_eq!(loaded.columns, ["zip: int", "x: double", "d: decimal(6, 2)", "u: uuid", "t: time"]);
    assert_eq!(loaded.lines(), ["501|1000.0|1.50|67e5504410b1426f9247bb680e5fe0c8|12:30:00"]);
    assert!(loaded.notes.is_empty());
    let (code_, message) = code(types, "zip,x,d,u,t\n\"1\n2\",1,1.505,,\n1,,1.505,,\n").await;
    assert_eq!(code_, Code::TypeMismatch);
    assert!(message.contains("line 2: column `zip`: `1\\n2`"), "{message}");
    let (code, message) = code(json!({"schema": {"Zip": "int"}}), text).await;
    assert_eq!(code, Code::SourceColumnNotFound);
    assert!(message.contains("`Zip`"), "{message}");
}

#[tokio::test]
async fn a_tables_types_are_taken_where_all_cells_have_them() {
    let decimal = Kind::Decimal { precision: 3, scale: 2 };
    let mut fields: Vec<_> = [
        ("zip", Kind::String),
        ("price", decimal),
        ("more", decimal),
        ("fine", decimal),
        ("big", Kind::Long),
        ("ok", Kind::Boolean),
        ("at", Kind::TimestampTz),
        ("n", Kind::Int),
    ]
    .iter()
    .map(|(name, kind)| kind.field(name))
    .collect();
    fields.push(arrow_schema::Field::new("raw", DataType::LargeBinary, false));
    let table = Schema::new(fields);
    let onto = async |text: &str| {
        load_onto(Some(&table), &reading(json!({})), &[("a.csv", text.as_bytes())], 7, 16).await.expect("loaded")
    };
    let loaded =
        onto("zip,price,more,fine,big,ok,at,n,raw,new\n12345,2,12.5,0.125,7,,,x,,1\n00501,1.5,1,1,8,,,2,,\n").await;
    let types = [
        "zip: string",
        "price: decimal(3, 2)",
        "more: decimal(4, 2)",
        "fine: decimal(4, 3)",
        "big: long",
        "ok: boolean",
        "at: timestamptz",
        "n: string",
        "raw: LargeBinary",
        "new: int",
    ];
    assert_eq!(loaded.columns, types);
    assert_eq!(loaded.lines(), ["12345|2.00|12.50|0.125|7|-|-|x|-|1", "00501|1.50|1.00|1.000|8|-|-|2|-|-"]);
    let header = onto("zip,ok,n,new\n").await;
    assert_eq!(header.columns, ["zip: string", "ok: boolean", "n: int", "new: string"]);
    assert_eq!((header.rows.len(), header.notes.len()), (0, 0));
    let given = reading(json!({"schema": {"zip": "int"}}));
    let loaded = load_onto(Some(&table), &given, &[("a.csv", b"zip\n00501\n")], 7, 16).await.expect("loaded");
    assert_eq!((loaded.columns, loaded.rows), (vec!["zip: int".to_owned()], vec![vec![Some("501".to_owned())]]));
}

#[tokio::test]
async fn a_file_of_other_columns_is_refused() {
    let files: [(&str, &[u8]); 3] = [("1.csv", b"id,a\n1,x\n"), ("2.csv", b"2,y\n3,z\n"), ("3.csv", b"id\n4\n")];
    let error = load_by(&reading(json!({})), &files, 3, 16).await.expect_err("no header");
    assert_eq!(error.code(), Code::SchemaMismatch);
    assert!(error.message().starts_with("2.csv: none of its columns (`2`, `y`)"), "{error}");
    assert!(error.message().ends_with("has it a header? `header`"), "{error}");
    let joined = load_by(&reading(json!({})), &[files[0], files[2]], 3, 16).await.expect("loaded");
    assert_eq!(joined.notes, ["a: column `a` is in 1 of 2 files; the rows of the others have NULL"]);
}

#[tokio::test]
async fn files_are_joined_by_name() {
    let files: [(&str, &[u8]); 4] =
        [("1.csv", b"id,a\n1,x\n"), ("2.csv", b"b,id\n2.5,2\n"), ("3.csv", b""), ("4.csv", b"id\n3.25\n4\n")];
    let loaded = load_by(&reading(json!({})), &files, 3, 16).await.expect("loaded");
    assert_eq!(loaded.columns, ["id: decimal(3, 2)", "a: string", "b: decimal(2, 1)"]);
    assert_eq!(loaded.lines(), ["1.00|x|-", "2.00|-|2.5", "3.25|-|-", "4.00|-|-"]);

    let mixed: [(&str, &[u8]); 2] = [("1.csv", b"id\n1\n"), ("2.csv", b"id\n2024-01-01\n")];
    let loaded = load_by(&reading(json!({})), &mixed, 3, 16).await.expect("loaded");
    assert_eq!(loaded.lines(), ["1", "2024-01-01"]);
    assert!(loaded.notes[0].contains("2.csv, line 2: `2024-01-01`"), "{:?}", loaded.notes);

    let by_case: [(&str, &[u8]); 2] = [("1.csv", b"id\n1\n"), ("2.csv", b"ID\n2\n")];
    let error = load_by(&reading(json!({})), &by_case, 3, 16).await.expect_err("refused");
    assert_eq!(error.code(), Code::SchemaMismatch);
    assert!(error.message().starts_with("2.csv: column `ID`"), "{error}");
    let widths: [(&str, &[u8]); 2] = [("1.csv", b"1,2\n"), ("2.csv", b"1\n")];
    let error = load_by(&reading(json!({"header": false})), &widths, 3, 16).await.expect_err("refused");
    assert_eq!(error.code(), Code::SchemaMismatch);
}

#[tokio::test]
async fn other_encodings_and_broken_ones() {
    let text = "näme,n\n\"zwölf\n\",1\nélan €,2\n";
    let utf16: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_be_bytes).collect();
    let (latin, _, _) = encoding_rs::WINDOWS_1252.encode(text);
    for (json, bytes) in [
        (json!({}), &utf16[..]),
        (json!({}), &big),
        (json!({"encoding": "utf-16"}), &utf16),
        (json!({"encoding": "windows-1252"}), &latin),
        (json!({"encoding": "utf-8"}), text.as_bytes()),
    ] {
        for chunk in [1, 5, 1000] {
            let loaded = load_by(&reading(json.clone()), &[("a.csv", bytes)], chunk, 8).await.expect("loaded");
            assert_eq!(loaded.columns, ["näme: string", "n: int"], "{json}");
            assert_eq!(loaded.lines(), ["zwölf\n|1", "élan €|2"], "{json}");
        }
    }
    for (json, bytes) in [(json!({}), &latin[..]), (json!({"encoding": "utf-16le"}), b"a\0\n\0b\0\n\0\0\xd8c\0")] {
        let error = load_by(&reading(json.clone()), &[("a.csv", bytes)], 4, 8).await.expect_err("refused");
        assert_eq!(error.code(), Code::InvalidText, "{json}: {error}");
    }
    let error = load_by(&reading(json!({})), &[("a.csv", b"a\n\n1\n\xff\n")], 4, 8).await.expect_err("refused");
    assert!(error.message().starts_with("a.csv, line 4: the bytes are not text in UTF-8"), "{error}");
}

#[tokio::test]
async fn compressed_files_are_read_to_their_end() {
    let mut text = String::from("id,name\n");
    (0..3000).for_each(|n| text.push_str(&format!("{n},\"name, {n}\"\n")));
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).expect("written");
    let gzip = encoder.finish().expect("finished");
    let zstd = zstd::encode_all(text.as_bytes(), 1).expect("encoded");
    for (name, bytes) in [("a.csv.gz", &gzip), ("a.csv.zst", &zstd), ("a.csv", &gzip)] {
        for piece in [100, 1 << 20] {
            let loaded = load_by(&reading(json!({})), &[(name, bytes)], 100, piece).await.expect("loaded");
            assert_eq!((loaded.rows.len(), loaded.parts), (3000, 1));
            assert_eq!(loaded.columns, ["id: int", "name: string"]);
        }
        let error =
            load_by(&reading(json!({})), &[(name, &bytes[..bytes.len() - 3])], 100, 100).await.expect_err("cut");
        assert_eq!(error.code(), Code::Truncated);
    }
    let error = load_by(&reading(json!({})), &[("a.csv.gz", text.as_bytes())], 100, 100).await.expect_err("no gzip");
    assert_eq!(error.code(), Code::BadCompression);
}

#[tokio::test]
async fn bounds_hold() {
    let mut ctx = ctx();
    ctx.limits = Arc::new(crate::config::Limits { max_cell_bytes: 600_000, max_columns: 3, ..Default::default() });
    let refused = async |text: String| {
        let blobs = [MemoryBlob::blob("a.csv", text, 100_000)];
        Csv::scan(&Reading::default(), None, &blobs, &ctx).await.map(|_| ()).expect_err("refused")
    };
    let open = refused(format!("a\nx\n\"{}", "y,\n".repeat(1_000_000))).await;
    assert_eq!(open.code(), Code::CellTooLarge);
    assert!(
        open.message().starts_with("a.csv, line 3: a field has") && open.message().contains("is a quote never closed?"),
        "{open}"
    );
    let closed = refused(format!("a\n\"{}\"\n", "y".repeat(600_001))).await;
    assert_eq!(closed.code(), Code::CellTooLarge);
    let wide = refused(format!("a,b,c\n{0},{0},{0}\n", "y".repeat(500_000))).await;
    assert!(wide.code() == Code::CellTooLarge && wide.message().contains("the row has"), "{wide}");
    assert_eq!(refused("a,b,c,d\n".into()).await.code(), Code::TooManyColumns);
    assert_eq!(refused(",".repeat(2_000_000)).await.code(), Code::CellTooLarge);
}

#[tokio::test]
async fn a_file_that_changes_is_noticed() {
    let (ctx, reading) = (ctx(), Reading::default());
    let before = [MemoryBlob::blob("a.csv", "id\n1\n2\n", 100)];
    let scanned = Csv::scan(&reading, None, &before, &ctx).await.expect("scanned");
    for after in ["id\n1\nx\n", "id\n112\n", "id\n1,2\n", "id\n\"1\n\n"] {
        let blob = MemoryBlob::blob("a.csv", after, 100);
        let read = async {
            let stream = Csv::read(&reading, &scanned.schema, blob, &scanned.parts[0], &ctx).await?;
            stream.try_collect::<Vec<_>>().await
        };
        assert_eq!(read.await.expect_err("noticed").code(), Code::SourceChanged, "{after:?}");
    }
}

#[tokio::test]
async fn what_a_first_look_refuses_a_second_does_not_take() {
    let (ctx, reading) = (ctx(), reading(json!({"schema": {"n": "string"}})));
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).expect("written");
        encoder.finish().expect("finished")
    };
    let plain = |text: &str| text.as_bytes().to_vec();
    for (before, after) in [
        (plain("n\nab\ncd\n"), plain("n\na\0\ncd\n")),
        (plain("n\nab\ncd\n"), b"n\na\xff\ncd\n".to_vec()),
        (plain("n\nab\ncd\n"), plain("n\nab\n\n\n\n")),
        (gzip("n\nab\n"), gzip("n\nab\ncd\n")),
        (gzip("n\nab\n"), gzip("\u{feff}\u{feff}n\nab\n")),
        (gzip("n\nab\n"), gzip("n\nab\n")[..20].to_vec()),
        (gzip("n\nab\n"), [gzip("n\nab\n"), plain("cd")].concat()),
    ] {
        let before = [MemoryBlob::blob("a.csv", before, 100)];
        let scanned = plan::scan_in_pieces(&reading, None, &before, &ctx, Some(100)).await.expect("scanned");
        let blob = MemoryBlob::blob("a.csv", after.clone(), 100);
        let read = async {
            let stream = Csv::read(&reading, &scanned.schema, blob, &scanned.parts[0], &ctx).await?;
            stream.try_collect::<Vec<_>>().await
        };
        assert_eq!(read.await.expect_err("noticed").code(), Code::SourceChanged, "{after:?}");
    }
}

#[tokio::test]
async fn blank_lines_before_the_first_row_are_kept_or_refused() {
    let header = reading(json!({"header": false}));
    let text = "\n".repeat(30_000) + "1\n2\n";
    let loaded = load_by(&header, &[("a.csv", text.as_bytes())], 1000, 1 << 20).await.expect("loaded");
    assert_eq!((loaded.columns, loaded.rows.len()), (vec!["column_1: int".to_owned()], 30_002));
    let mut ctx = ctx();
    ctx.limits = Arc::new(crate::config::Limits { max_cell_bytes: 20_000, ..Default::default() });
    let blobs = [MemoryBlob::blob("a.csv", text, 1000)];
    let error =
        plan::scan_in_pieces(&header, None, &blobs, &ctx, Some(1 << 20)).await.map(|_| ()).expect_err("refused");
    assert_eq!(error.code(), Code::CsvInvalid, "{error}");
    assert!(error.message().contains("blank lines"), "{error}");
}

#[tokio::test]
async fn a_stop_ends_it() {
    let ctx = ctx();
    ctx.stop.set(crate::StopReason::Cancelled);
    let blobs = [MemoryBlob::blob("a.csv", "id\n1\n", 100)];
    let ended = Csv::scan(&Reading::default(), None, &blobs, &ctx).await.map(|_| ());
    assert_eq!(ended.expect_err("stopped").code(), Code::Cancelled);
}
