//! Answers as rows.
use super::*;

/// A column's name and cells.
type Shown = (String, Vec<Option<String>>);

fn shown(document: &str, path: &str, fields: &[(&str, &str)]) -> Result<Vec<Shown>, Code> {
    let limits = Limits::default();
    let document = parse(document, &limits).map_err(|e| e.code())?;
    let fields: Vec<_> =
        fields.iter().map(|(name, path)| ((*name).to_owned(), Path::parse(path).expect("a path"))).collect();
    let path = Path::parse(path).expect("a path");
    let extracted =
        extract(&document, &path, &fields, rows(&limits, Strings::Meant, false)).map_err(|error| error.code())?;
    let cells = |column: &crate::extract::Column| column.cells.iter().map(|cell| cell.map(String::from)).collect();
    Ok(extracted.columns.iter().map(|column| (column.name.clone(), cells(column))).collect())
}

fn column(name: &str, cells: &[&str]) -> Shown {
    (name.to_owned(), cells.iter().map(|cell| Some((*cell).to_owned()).filter(|cell| cell != "-")).collect())
}

#[test]
fn objects_scalars_and_arrays_become_rows() {
    let issues = r#"{"data": {"issues": [{"id": 1, "n": -1e2}, {"x": true, "id": 22222222222222222222, "t": {"a": [1.50]}}],
        "one": {"id": 7}, "list": [1, "x", null, [2]], "empty": [], "none": null, "text": "x"}}"#;
    assert_eq!(
        shown(issues, "data.issues", &[]).expect("rows"),
        [
            column("id", &["1", "22222222222222222222"]),
            column("n", &["-100", "-"]),
            column("x", &["-", "true"]),
            column("t", &["-", r#"{"a":[1.50]}"#]),
        ]
    );
    assert_eq!(shown(issues, "data.one", &[]).expect("one row"), [column("id", &["7"])]);
    assert_eq!(shown(issues, "$.data.list", &[]).expect("values"), [column("value", &["1", "x", "-", "[2]"])]);
    assert_eq!(shown(issues, "$.data.issues[*].id", &[]).expect("ids")[0].1.len(), 2);
    assert_eq!(shown(issues, "data.empty", &[]), Ok(vec![]));
    assert_eq!(shown(issues, "data.none", &[]), Ok(vec![]));
    assert_eq!(shown(issues, "data.text", &[]), Err(Code::JsonPathNotArray));
    assert_eq!(shown(issues, "data.nothing", &[]), Err(Code::JsonPathEmpty));
    assert_eq!(shown("[{\"a\": 1}, {\"a\": 2}]", "", &[]).expect("rows"), [column("a", &["1", "2"])]);
    assert_eq!(shown("7", "", &[]), Err(Code::JsonPathNotArray));
    let fields = [("deep", "t.a[0]"), ("id", "id")];
    assert_eq!(
        shown(issues, "data.issues", &fields).expect("fields"),
        [column("deep", &["-", "1.50"]), column("id", &["1", "22222222222222222222"])]
    );
}

#[test]
fn names_are_kept_and_told_apart() {
    let found = shown(r#"[{"a b": 1, "A B": 2, "": 3, "a b": 4}]"#, "", &[]).expect("rows");
    assert_eq!(found, [column("a b", &["1"]), column("A B_2", &["2"]), column("column_3", &["3"])]);
}
