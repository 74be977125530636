//! Many files of one format as one source: looked at together, cut into splits, read part by part.
use std::{collections::BTreeMap, sync::Arc};

use arrow_schema::SchemaRef;
use futures::{StreamExt, TryStreamExt};
use serde_json::{Map, json};

use super::{Plan, Split, TypeNote, Wish};
use crate::{
    Batches, Code, Ctx, Error, FieldError, Result,
    format::{Blob, FormatName, MemoryBlob, Part, Reading},
    transform::{MarkKind, Marks, Rows},
};

/// Up to this size, in bytes, a file is fetched whole, and together with others: a store answers many small requests
/// slowly one after the other.
const SMALL: u64 = 1 << 20;
/// The most small files of one split, their size together, and how many are fetched at once.
const MOST_PARTS: usize = 64;
const MOST_BYTES: u64 = 16 << 20;
const AT_ONCE: usize = 8;

/// A file that was found, and the lineage of its rows.
pub(super) struct Found {
    pub blob: Arc<dyn Blob>,
    pub marks: Marks,
}

/// What a plan of many files keeps for the reads.
struct Held {
    format: FormatName,
    reading: Reading,
    schema: SchemaRef,
    files: Vec<Found>,
}

/// Finds what is wrong with how files are to be read, as far as the path or key in `field` tells their format.
pub(super) fn check(reading: &Reading, field: &str, name: &str, is_one: bool) -> Vec<FieldError> {
    match reading.format.or_else(|| FormatName::of(name)) {
        Some(format) => format.check(reading),
        None if is_one => {
            let detail = format!("does not tell the format; give `format`: one of {}", all_formats());
            vec![FieldError { field: field.into(), code: Code::UnknownFormat, detail }]
        }
        None => Vec::new(),
    }
}

fn all_formats() -> String {
    FormatName::ALL.iter().map(|format| format!("`{}`", format.as_str())).collect::<Vec<_>>().join(", ")
}

/// Looks at all files, of which there is at least one.
pub(super) async fn plan(
    ctx: &Ctx,
    reading: &Reading,
    wish: &Wish,
    origin: String,
    lineage: &'static [(&'static str, MarkKind)],
    files: Vec<Found>,
) -> Result<Plan> {
    let format = format_of(reading, &files)?;
    let faults = format.check(reading);
    if !faults.is_empty() {
        return Err(Error::fields(faults));
    }
    let blobs: Vec<_> = files.iter().map(|file| file.blob.clone()).collect();
    let scanned = ctx.stop.or(format.scan(reading, wish.table.as_deref(), &blobs, ctx)).await?;
    icehaul_lake::failpoint::hit("source.planned").await?;
    let splits = bundles(scanned.parts, |part| blobs.get(part.blob).map_or(0, |blob| blob.size()));
    let splits = splits.iter().enumerate().map(|(index, parts)| Split { index, part: json!(parts) });
    let mut type_notes = scanned.type_notes;
    type_notes.extend(partition_folders(files.iter().map(|file| file.blob.name()), &scanned.schema));
    Ok(Plan {
        origin,
        schema: scanned.schema.clone(),
        lineage,
        splits: splits.collect(),
        parallelism: None,
        rows_estimate: scanned.rows,
        files: Some(files.len() as u64),
        cursor: None,
        type_notes,
        hold: Some(Box::new(Arc::new(Held { format, reading: reading.clone(), schema: scanned.schema, files }))),
        unchanged: false,
        summary: BTreeMap::default(),
        told: Map::default(),
    })
}

/// The format that is asked for, or that all names tell.
fn format_of(reading: &Reading, files: &[Found]) -> Result<FormatName> {
    if let Some(format) = reading.format {
        return Ok(format);
    }
    let unknown = |what: String| Error::field("format", Code::UnknownFormat, what);
    let mut all: Option<(FormatName, &str)> = None;
    for name in files.iter().map(|file| file.blob.name()) {
        let Some(format) = FormatName::of(name) else {
            let what = format!("the format of `{name}` cannot be told from its name; give one of {}", all_formats());
            return Err(unknown(what));
        };
        match all {
            Some((other, first)) if other != format => {
                let what = format!("`{first}` and `{name}` have different formats; load them apart, or give `format`");
                return Err(unknown(what));
            }
            _ => all = all.or(Some((format, name))),
        }
    }
    all.map(|(format, _)| format).ok_or_else(|| Error::new(Code::EmptySource, "there are no files"))
}

/// Says of which folders named like Hive's partitions (`day=2024-01-01`) the value is in no column.
fn partition_folders<'a>(names: impl Iterator<Item = &'a str>, schema: &SchemaRef) -> Vec<TypeNote> {
    let mut found = BTreeMap::new();
    for name in names {
        let folders = name.rsplit_once('/').map_or("", |(folders, _)| folders);
        for folder in folders.split('/') {
            if let Some((column, _)) = folder.split_once('=')
                && schema.field_with_name(column).is_err()
            {
                found.entry(column.to_owned()).or_insert_with(|| folder.to_owned());
            }
        }
    }
    let note = |(column, folder)| TypeNote {
        note: format!(
            "folders such as `{folder}` are not read as a column; the lineage column of the file's name has them"
        ),
        column,
        source_type: "folder".into(),
        table_type: "none".into(),
    };
    found.into_iter().map(note).collect()
}

/// Parts of small files go together; every other part is a split of its own. Their order stays.
fn bundles(parts: Vec<Part>, size: impl Fn(&Part) -> u64) -> Vec<Vec<Part>> {
    let mut bundles: Vec<Vec<Part>> = Vec::new();
    let mut open_bytes = None;
    for part in parts {
        let bytes = size(&part);
        match (open_bytes, bundles.last_mut()) {
            (Some(before), Some(last)) if bytes <= SMALL && before + bytes <= MOST_BYTES && last.len() < MOST_PARTS => {
                open_bytes = Some(before + bytes);
                last.push(part);
            }
            _ => {
                open_bytes = (bytes <= SMALL).then_some(bytes);
                bundles.push(vec![part]);
            }
        }
    }
    bundles
}

/// Reads one split: its parts one after the other.
pub(super) fn read(ctx: &Ctx, plan: &Plan, split: &Split) -> Result<Batches> {
    let foreign = || Error::new(Code::Internal, "the plan is not one of files");
    let held = plan.hold.as_ref().and_then(|hold| hold.downcast_ref::<Arc<Held>>()).ok_or_else(foreign)?.clone();
    let parts: Vec<Part> = serde_json::from_value(split.part.clone()).map_err(|e| foreign().caused_by(e))?;
    if parts.iter().any(|part| part.blob >= held.files.len()) {
        return Err(foreign());
    }
    let (schema, ctx) = (held.schema.clone(), ctx.clone());
    let rows_of = move |part: Part| {
        let (held, ctx) = (held.clone(), ctx.clone());
        async move {
            let Found { blob, marks } = &held.files[part.blob];
            let (blob, lineage) = (at_hand(blob.clone()).await?, marks.clone());
            let rows = held.format.read(&held.reading, &held.schema, blob, &part, &ctx).await?;
            Ok::<_, Error>(rows.map_ok(move |batch| Rows { batch, lineage: lineage.clone() }))
        }
    };
    let stream = futures::stream::iter(parts).map(rows_of).buffered(AT_ONCE).try_flatten().boxed();
    Ok(Batches { schema, stream })
}

/// A small file in memory; a large one as it is.
async fn at_hand(blob: Arc<dyn Blob>) -> Result<Arc<dyn Blob>> {
    if blob.size() > SMALL {
        return Ok(blob);
    }
    let bytes = blob.read(0..blob.size()).await?;
    Ok(MemoryBlob::blob(blob.name(), bytes, SMALL as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_would_be_columns_elsewhere_are_told() {
        let schema = Arc::new(arrow_schema::Schema::new(vec![arrow_schema::Field::new(
            "p",
            arrow_schema::DataType::Int32,
            true,
        )]));
        let names = ["a/p=1/day=2024-01-01/x=1.csv", "a/p=2/day=2024-01-02/x=2.csv", "a=b.csv"];
        let notes = partition_folders(names.into_iter(), &schema);
        assert_eq!(notes.len(), 1);
        assert_eq!(notes[0].column, "day");
        assert!(notes[0].note.contains("`day=2024-01-01`"), "{}", notes[0].note);
    }

    #[test]
    fn small_files_are_read_together_and_large_ones_apart() {
        let sizes = [1, 2, SMALL + 1, SMALL + 1, 3, 4];
        let parts =
            |blobs: &[usize]| blobs.iter().map(|blob| Part { blob: *blob, at: json!(null) }).collect::<Vec<_>>();
        let cut = bundles(parts(&[0, 1, 2, 2, 3, 4, 5]), |part| sizes[part.blob]);
        let cut: Vec<Vec<usize>> = cut.iter().map(|parts| parts.iter().map(|part| part.blob).collect()).collect();
        assert_eq!(cut, [vec![0, 1], vec![2], vec![2], vec![3], vec![4, 5]]);
        let many = bundles(parts(&vec![0; MOST_PARTS + 1]), |_| 1);
        assert_eq!(many.iter().map(Vec::len).collect::<Vec<_>>(), [MOST_PARTS, 1]);
        let heavy = bundles(parts(&[0; 17]), |_| SMALL);
        assert_eq!(heavy.iter().map(Vec::len).collect::<Vec<_>>(), [16, 1]);
        assert!(bundles(Vec::new(), |_| 1).is_empty());
    }
}
