//! The rows of one page as a batch of the types that all their cells have.
use std::sync::Arc;

use arrow_array::{Array, RecordBatch, RecordBatchOptions};
use arrow_schema::Schema;

use super::{Column, Extraction, Note, Profile, Wanted};
use crate::{Code, Error, Result};

/// Gives the columns of a page that is all there is their types. What was changed, and why what looks like numbers is text,
/// goes to `notes`.
///
/// # Errors
/// [`Code::Internal`], as cells that decided on a type have it.
pub fn typed(columns: Vec<Column>, wish: &Extraction, notes: &mut Vec<Note>) -> Result<RecordBatch> {
    let broken = || Error::new(Code::Internal, "the columns of a page do not have the types that were decided");
    let rows = columns.first().map_or(0, |column| column.cells.len());
    let mut fields = Vec::with_capacity(columns.len());
    let mut arrays = Vec::with_capacity(columns.len());
    for column in columns {
        let mut profile = Profile::new(wish, false);
        profile.see(&column);
        let decision = profile.decide(&column.name, Wanted::default());
        arrays.push(decision.make(&column.cells, false).map_err(|_| broken())?.0);
        fields.push(decision.field);
        notes.extend(decision.notes);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
        .map_err(|e| broken().caused_by(e))
}
#[cfg(test)]
mod tests {
    use super::super::{Document, Limits, extract};
    use super::*;

    fn types(html: &str, wish: &Extraction) -> Vec<String> {
        let limits = Limits::default();
        let document = Document::parse(html, None, &limits).expect("a page");
        let extracted = extract(&document, wish, &limits).expect("rows");
        let batch = typed(extracted.columns, wish, &mut Vec::new()).expect("a batch");
        assert_eq!(batch.num_rows(), extracted.rows);
        batch.schema().fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect()
    }

    const PAGE: &str = "<table><tr><th>thousand<th>usd<th>pct<th>fn<th>acc<th>zip<th>eu<th>minus<th>mix<th>date<th>bad<th>ok<th>at\
        <tr><td>1,234<td>$1,000.50<td>12.5%<td>42[1]<td>(1,200)<td>00501<td>1.234,56<td>\u{2212}5<td>1<td>2024-01-02<td>2024-01-02<td>true<td>2024-05-01T10:00:00Z\
        <tr><td>5,678<td>$7<td>-3%<td>43[a]<td>300<td>10001<td>7,5<td>6<td>n/a<td>–<td>2024-02-30<td>false<td>2024-05-01T12:00:00Z</table>";

    #[test]
    fn all_cells_decide() {
        let expected = [
            "thousand Int32",
            "usd Decimal128",
            "pct Decimal128",
            "fn Int32",
            "acc Int32",
            "zip Utf8",
            "eu Utf8",
            "minus Int32",
            "mix Int32",
            "date Date32",
            "bad Utf8",
            "ok Boolean",
            "at Timestamp",
        ];
        let types = types(PAGE, &Extraction::default());
        assert_eq!(types.len(), expected.len());
        for (found, expected) in types.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}, not {expected}");
        }
    }

    #[test]
    fn without_the_wish_all_stay_text() {
        let types = types(PAGE, &Extraction { infer_types: false, ..Extraction::default() });
        assert!(types.iter().all(|found| found.ends_with(" Utf8")), "{types:?}");
    }
}
