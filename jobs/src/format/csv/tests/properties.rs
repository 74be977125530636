//! Any table comes back, however it is written, cut and streamed.
use proptest::prelude::*;

use super::*;

/// How a table is written.
#[derive(Clone, Debug)]
struct Style {
    delimiter: char,
    ends: Vec<&'static str>,
    quote_all: bool,
    last_end: bool,
    mark: bool,
}

fn style() -> impl Strategy<Value = Style> {
    let ends = prop::collection::vec(prop::sample::select(vec!["\n", "\r\n", "\r"]), 1..4);
    (prop::sample::select(vec![',', ';', '\t', '|']), ends, any::<bool>(), any::<bool>(), any::<bool>())
        .prop_map(|(delimiter, ends, quote_all, last_end, mark)| Style { delimiter, ends, quote_all, last_end, mark })
}

fn cell() -> impl Strategy<Value = Option<String>> {
    let special = prop::sample::select(vec![
        ",", "\"", "\n", "\r", "\r\n", ";", "\t", "|", " ", "\"\"", ",\"", "é", "漢", "", "a", "1",
    ]);
    let messy = prop::collection::vec(special, 0..8).prop_map(|parts| Some(parts.concat()));
    prop_oneof![1 => Just(None), 4 => messy, 1 => "[a-z]{0,90}".prop_map(Some)]
}

fn table() -> impl Strategy<Value = (usize, Texts)> {
    (1_usize..6)
        .prop_flat_map(|width| (Just(width), prop::collection::vec(prop::collection::vec(cell(), width), 0..40)))
}

fn written(width: usize, rows: &Texts, style: &Style) -> String {
    let mut text = if style.mark { "\u{feff}".to_owned() } else { String::new() };
    let header = (0..width).map(|n| Some(format!("c{n}"))).collect::<Vec<_>>();
    let all: Vec<_> = std::iter::once(&header).chain(rows).collect();
    for (n, row) in all.iter().enumerate() {
        let cells: Vec<_> = row.iter().map(|cell| field(cell.as_deref(), style)).collect();
        text += &cells.join(&style.delimiter.to_string());
        let last = n + 1 == all.len();
        // Of a last row that is nothing, only the line break tells.
        if !last || style.last_end || text.is_empty() || cells.concat().is_empty() && width == 1 {
            // A blank line between CR and LF could not be told from CR LF.
            text += style.ends[if width == 1 { 0 } else { n % style.ends.len() }];
        }
    }
    text
}

fn field(cell: Option<&str>, style: &Style) -> String {
    let Some(cell) = cell else { return String::new() };
    let special = |c: char| c == style.delimiter || c == '\n' || c == '\r';
    match style.quote_all || cell.is_empty() || cell.starts_with('"') || cell.contains(special) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_table_comes_back((width, rows) in table(), style in style(), chunk in 1_usize..200, piece in 1_u64..300) {
        let text = written(width, &rows, &style);
        let names = (0..width).map(|n| (format!("c{n}"), "string".to_owned())).collect();
        let reading = Reading { delimiter: Some(style.delimiter.to_string()), schema: Some(names), ..Reading::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let loaded = runtime.block_on(load_by(&reading, &[("a.csv", text.as_bytes())], chunk, piece));
        let loaded = loaded.map_err(|e| TestCaseError::fail(format!("{text:?}: {e}")))?;
        prop_assert_eq!(&loaded.rows, &rows, "{:?}", text);
    }

    #[test]
    fn cuts_do_not_change_what_is_seen(text in "([ab1\",\n\r;]|\"\"|,|\r\n){0,200}", chunk in 1_usize..50, piece in 1_u64..100) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let text = format!("a,b\n{text}");
        let whole = runtime.block_on(load_by(&Reading::default(), &[("a.csv", text.as_bytes())], 1 << 20, 1 << 20));
        let cut = runtime.block_on(load_by(&Reading::default(), &[("a.csv", text.as_bytes())], chunk, piece));
        match (whole, cut) {
            (Ok(whole), Ok(cut)) => {
                prop_assert_eq!(whole.rows, cut.rows);
                prop_assert_eq!(whole.columns, cut.columns);
                prop_assert_eq!(whole.notes, cut.notes);
            }
            (Err(whole), Err(cut)) => prop_assert_eq!(whole.message(), cut.message()),
            (whole, cut) => prop_assert!(false, "{:?} became {:?}", whole.map(|w| w.lines()), cut.map(|c| c.lines())),
        }
    }

    #[test]
    fn blank_lines_are_rows_of_one_column_and_of_no_other(
        lines in prop::collection::vec(prop_oneof![6 => Just(""), 1 => Just("1"), 1 => Just("22")], 0..400),
        first in 0_usize..300,
        width in 1_usize..4,
        header in any::<bool>(),
        end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        compressed in any::<bool>(),
        chunk in 1_usize..200,
        piece in 1_u64..300,
    ) {
        let mut lines: Vec<_> = std::iter::repeat_n("", first).chain(["7"]).chain(lines).collect();
        if header {
            lines.insert(first, "n");
        }
        let line = |cell: &&str| if cell.is_empty() { String::new() } else { vec![*cell; width].join(",") };
        let text: String = lines.iter().map(|cell| line(cell) + end).collect();
        let bytes = if compressed { zstd::encode_all(text.as_bytes(), 1).expect("encoded") } else { text.into_bytes() };
        let reading = Reading { header: Some(header), ..Reading::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let loaded = runtime.block_on(load_by(&reading, &[("a.csv", &bytes)], chunk, piece));
        let loaded = loaded.map_err(|e| TestCaseError::fail(e.to_string()))?;
        let expected = lines.into_iter().skip(if header { first + 1 } else { 0 });
        let expected = expected.filter(|cell| width == 1 || !cell.is_empty());
        let expected: Vec<_> = expected.map(|cell| vec![(!cell.is_empty()).then(|| cell.to_owned()); width]).collect();
        prop_assert_eq!(loaded.rows, expected);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), chunk in 1_usize..50) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let _ = runtime.block_on(load_by(&Reading::default(), &[("a.csv", &bytes)], chunk, 64));
    }
}
