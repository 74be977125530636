//! All files together: one schema, and the parts that can be read apart.
use std::{collections::HashMap, sync::Arc};

use arrow_schema::{Field, Schema};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

use super::{
    super::{Blob, Part, Reading, Scanned, join::Join},
    dialect::Dialect,
    seen::Seen,
    survey::{Piece, Survey, Surveyed},
};
use crate::{Code, Ctx, Error, Result, source::TypeNote, transform::infer::Kind};

/// A large file is cut into about so many pieces, none smaller or larger than this.
const PIECES: u64 = 64;
const SMALLEST_PIECE: u64 = 4 << 20;
const LARGEST_PIECE: u64 = 64 << 20;

/// What is needed to read a part.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct At {
    #[serde(flatten)]
    pub piece: Piece,
    /// The place in the schema of each of the file's columns; left out if they are all of the schema in its order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub places: Option<Vec<usize>>,
}

/// Looks at all files.
///
/// # Errors
/// The files', [`Code::EmptySource`], [`Code::SchemaMismatch`] and [`Code::SourceColumnNotFound`].
pub(super) async fn scan(
    reading: &Reading,
    table: Option<&Schema>,
    blobs: &[Arc<dyn Blob>],
    ctx: &Ctx,
) -> Result<Scanned> {
    scan_in_pieces(reading, table, blobs, ctx, None).await
}

/// As [`scan`], with pieces of a given size.
pub(super) async fn scan_in_pieces(
    reading: &Reading,
    table: Option<&Schema>,
    blobs: &[Arc<dyn Blob>],
    ctx: &Ctx,
    piece: Option<u64>,
) -> Result<Scanned> {
    let width = 2 * ctx.limits.parallelism.max(1);
    let room = Arc::new(Semaphore::new(width));
    let surveys = blobs.iter().map(|blob| Survey {
        blob: blob.clone(),
        dialect: Arc::new(Dialect::new(reading, blob.name())),
        ctx: ctx.clone(),
        room: room.clone(),
        width,
        piece: piece.unwrap_or((blob.size() / PIECES).clamp(SMALLEST_PIECE, LARGEST_PIECE)),
    });
    let surveys: Vec<_> = surveys.map(Arc::new).collect();
    let mut surveys =
        stream::iter(surveys).map(|survey| AbortOnDropHandle::new(tokio::spawn(survey.run()))).buffered(width);
    let mut union = Union::default();
    let mut n = 0;
    while let Some(surveyed) = surveys.next().await {
        let surveyed =
            surveyed.map_err(|e| Error::new(Code::Internal, "the look at a file panicked").caused_by(e))??;
        if let Some(surveyed) = surveyed {
            union.add(n, blobs[n].name(), surveyed, reading)?;
        }
        n += 1;
    }
    union.finish(reading, table, blobs)
}

/// The columns of all files so far, by name.
#[derive(Default)]
struct Union {
    columns: Vec<Column>,
    /// The place of each by its name in small letters.
    places: HashMap<String, usize>,
    parts: Vec<(usize, Vec<usize>, Vec<Piece>)>,
    join: Join,
    hint: Option<TypeNote>,
}

struct Column {
    name: String,
    seen: Seen,
    /// Where the cell lies that made it text.
    place: Option<String>,
    /// The number of files that have it.
    files: usize,
}

impl Column {
    /// Its field, and what there is to say of it. The type is the given one, else the table's if all cells have it without
    /// loss, else what the cells have in common.
    fn field(&self, given: Option<Kind>, table: Option<&Schema>) -> (Field, Option<TypeNote>) {
        if let Some(kind) = given {
            return (kind.field(&self.name), None);
        }
        let guess = &self.seen.guess;
        let there = table.and_then(|table| table.field_with_name(&self.name).ok());
        if let Some(there) = there.filter(|_| guess.is_nothing()) {
            return (there.clone().with_nullable(true), None);
        }
        let decided = guess.decide(self.place.as_deref());
        let fitting = there.and_then(|there| guess.fit(Kind::of(there.data_type())?));
        let kind = fitting.unwrap_or(decided.kind);
        let note = decided.note.filter(|_| kind == decided.kind).map(|(source_type, note)| TypeNote {
            column: self.name.clone(),
            source_type,
            table_type: kind.to_string(),
            note,
        });
        (kind.field(&self.name), note)
    }
}

impl Union {
    fn add(&mut self, n: usize, file: &str, surveyed: Surveyed, reading: &Reading) -> Result<()> {
        if reading.header == Some(false)
            && n > 0
            && !self.columns.is_empty()
            && surveyed.names.len() != self.columns.len()
        {
            let (here, before) = (surveyed.names.len(), self.columns.len());
            let message = format!(
                "{file}: the file has {here} columns, those before it have {before}, and there is no header to tell which are which"
            );
            return Err(Error::new(Code::SchemaMismatch, message));
        }
        let known = |name: &str| self.places.contains_key(&name.to_lowercase());
        self.join.add(file, surveyed.names.iter().map(String::as_str), known, "has it a header? `header`")?;
        if self.hint.is_none() {
            self.hint = hint(&surveyed.names);
        }
        let mut places = Vec::with_capacity(surveyed.names.len());
        for (name, seen) in surveyed.names.into_iter().zip(surveyed.columns) {
            places.push(self.column(file, name, seen)?);
        }
        self.parts.push((n, places, surveyed.pieces));
        Ok(())
    }

    fn column(&mut self, file: &str, name: String, seen: Seen) -> Result<usize> {
        let next = self.columns.len();
        let place = *self.places.entry(name.to_lowercase()).or_insert(next);
        match self.columns.get_mut(place) {
            None => {
                let text = seen.place(file);
                self.columns.push(Column { name, seen, place: text, files: 1 });
            }
            Some(column) if column.name == name => {
                let (guess, text) = (seen.guess.clone(), seen.place(file).or_else(|| seen.first_place(file)));
                column.files += 1;
                let was_text = column.seen.guess.is_text();
                if !was_text && !column.seen.guess.merge(&guess) {
                    column.place = text;
                }
            }
            Some(column) => {
                let message = format!(
                    "{file}: column `{name}` differs from `{}` of another file by case only; rename one",
                    column.name
                );
                return Err(Error::new(Code::SchemaMismatch, message));
            }
        }
        Ok(place)
    }

    fn finish(self, reading: &Reading, table: Option<&Schema>, blobs: &[Arc<dyn Blob>]) -> Result<Scanned> {
        if self.columns.is_empty() {
            let message = match blobs {
                [one] => format!("{}: the file is empty; not even a header is there", one.name()),
                _ => format!("all {} files are empty; not even a header is there", blobs.len()),
            };
            return Err(Error::new(Code::EmptySource, message));
        }
        let dialect = Dialect::new(reading, "");
        for name in dialect.kinds.keys() {
            if !self.columns.iter().any(|column| column.name == *name) {
                let message = format!("`schema` names the column `{name}`, which no file has");
                return Err(Error::new(Code::SourceColumnNotFound, message));
            }
        }
        let mut fields = Vec::with_capacity(self.columns.len());
        let mut type_notes: Vec<_> = self.hint.into_iter().collect();
        for column in &self.columns {
            let (field, note) = column.field(dialect.kinds.get(&column.name).copied(), table);
            let data_type = field.data_type();
            let name = Kind::of(data_type).map_or_else(|| data_type.to_string(), |kind| kind.to_string());
            type_notes.extend(note.into_iter().chain(self.join.note(&column.name, &name, column.files)));
            fields.push(field);
        }
        let in_order =
            |places: &[usize]| places.len() == fields.len() && places.iter().enumerate().all(|(n, place)| n == *place);
        let mut parts = Vec::new();
        let mut rows = 0;
        for (blob, places, pieces) in self.parts {
            let places = (!in_order(&places)).then_some(places);
            for piece in pieces {
                rows += piece.rows;
                let at = serde_json::to_value(At { piece, places: places.clone() });
                let at = at.map_err(|e| Error::new(Code::Internal, "a part cannot be named").caused_by(e))?;
                parts.push(Part { blob, at });
            }
        }
        Ok(Scanned { schema: Arc::new(Schema::new(fields)), parts, rows: Some(rows), type_notes })
    }
}

/// Says that the delimiter may be wrong, if the only column's name looks like several.
fn hint(names: &[String]) -> Option<TypeNote> {
    let [name] = names else { return None };
    let delimiter = [(';', "`;`"), ('\t', "the tab, `\\t`"), ('|', "`|`"), (',', "`,`")]
        .into_iter()
        .find(|(sign, _)| name.contains(*sign))?;
    Some(TypeNote {
        column: name.clone(),
        source_type: "one column".into(),
        table_type: Kind::String.to_string(),
        note: format!("the header is one column; is `delimiter` perhaps {}?", delimiter.1),
    })
}
