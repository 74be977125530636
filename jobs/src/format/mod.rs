//! What the bytes of files mean, wherever the files lie. Adding a format: one new file here, and its name twice below.
//!
//! A source finds the files and pins them ([`Blob`]); a format looks at all of them ([`FileFormat::scan`]: one schema, and
//! the parts that can be read apart), then reads part by part.
mod csv;
mod decompress;
mod join;
mod memory;
mod parquet_files;

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use bytes::Bytes;
use futures::{future::BoxFuture, stream::BoxStream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use self::memory::MemoryBlob;
use crate::{Code, Ctx, FieldError, Result, source::TypeNote};

/// A file, pinned to the version that was there when the load was planned: every read gives bytes of that version, or
/// fails with [`Code::SourceChanged`].
pub trait Blob: Send + Sync + 'static {
    /// Where it lies, as messages and lineage name it.
    fn name(&self) -> &str;

    /// Its size in bytes.
    fn size(&self) -> u64;

    /// Exactly the bytes of a range.
    fn read(&self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>>;

    /// The bytes of a range, in order, in chunks of some mebibytes, read a little ahead.
    fn stream(self: Arc<Self>, range: Range<u64>) -> BoxStream<'static, Result<Bytes>>;
}

/// What a look at all files has found.
pub struct Scanned {
    /// The schema of every batch of every file.
    pub schema: SchemaRef,
    /// What can be read apart; together all rows, each once.
    pub parts: Vec<Part>,
    /// The number of rows, if the look has counted them.
    pub rows: Option<u64>,
    /// Columns whose type could not be kept exactly.
    pub type_notes: Vec<TypeNote>,
}

/// A part of a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Part {
    /// The file's place in the list of all.
    pub blob: usize,
    /// What the format needs to find the part.
    pub at: Value,
}

/// The rows of a part.
pub type RowStream = BoxStream<'static, Result<RecordBatch>>;

/// A format of files.
pub trait FileFormat {
    /// Its name in requests.
    const NAME: &'static str;

    /// Finds what is wrong with the request without any I/O.
    fn check(reading: &Reading) -> Vec<FieldError>;

    /// Looks at all files: their common schema and the parts to read. What the files leave open of a type is as `table`
    /// has it, the columns of the table that the rows go to.
    fn scan(
        reading: &Reading,
        table: Option<&Schema>,
        blobs: &[Arc<dyn Blob>],
        ctx: &Ctx,
    ) -> impl Future<Output = Result<Scanned>> + Send;

    /// Reads a part, as batches of the common schema.
    fn read(
        reading: &Reading,
        schema: &SchemaRef,
        blob: Arc<dyn Blob>,
        part: &Part,
        ctx: &Ctx,
    ) -> impl Future<Output = Result<RowStream>> + Send;
}

/// The fields of a request that say how files are read.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Reading {
    /// The files' format; default: by the suffix of their names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<FormatName>,
    /// CSV: the character between fields, one of ASCII; default `,`, or the tab for names that end in `.tsv`. `\t` is the
    /// tab.
    #[schemars(example = &";")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<String>,
    /// CSV: the character around fields that hold delimiters or line breaks, doubled within them; default `"`. Empty: there
    /// are no such fields, and quotes are text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<String>,
    /// CSV: whether the first record has the columns' names; default true. Without them the columns are `column_1`,
    /// `column_2` and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// CSV: the encoding, by a name of the WHATWG's list such as `windows-1252`; default: UTF-8, or UTF-16 if the file
    /// begins with its mark.
    #[schemars(example = &"windows-1252")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// CSV: texts that stand for NULL, in quotes or not, beside the empty field without quotes, which always does. The empty
    /// text makes empty fields in quotes NULL, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub null_values: Option<Vec<String>>,
    /// CSV: types of columns, instead of those that follow from the values: boolean, int, long, decimal(p, s), float, double,
    /// date, time, timestamp, timestamptz, uuid or string, or as SQL spells them (bigint, varchar). A value that does not
    /// fit fails the load. Without, a table that exists says the types of its columns wherever all values fit them.
    #[schemars(example = example_schema())]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<BTreeMap<String, String>>,
    /// CSV: whether blanks around fields without quotes are cut off; default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trim: Option<bool>,
}

fn example_schema() -> BTreeMap<String, String> {
    BTreeMap::from([("zip".to_owned(), "string".to_owned())])
}

impl Reading {
    /// Refuses the fields that only mean something for CSV.
    #[must_use]
    pub fn refuse_csv_fields(&self, format: FormatName) -> Vec<FieldError> {
        let given = [
            ("delimiter", self.delimiter.is_some()),
            ("quote", self.quote.is_some()),
            ("header", self.header.is_some()),
            ("encoding", self.encoding.is_some()),
            ("null_values", self.null_values.is_some()),
            ("schema", self.schema.is_some()),
            ("trim", self.trim.is_some()),
        ];
        let detail = format!("is a field of the format csv, not of {}", format.as_str());
        let fault =
            |field: &str| FieldError { field: field.into(), code: Code::ConflictingFields, detail: detail.clone() };
        given.into_iter().filter(|(_, given)| *given).map(|(field, _)| fault(field)).collect()
    }
}

macro_rules! formats {
    ($($name:ident $module:ident::$format:ident, $about:literal;)*) => {
        /// The formats that exist.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum FormatName { $(#[doc = $about] $name,)* }

        impl FormatName {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name in requests.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$name => $module::$format::NAME,)* } }

            /// See [`FileFormat::check`].
            #[must_use]
            pub fn check(self, reading: &Reading) -> Vec<FieldError> { match self { $(Self::$name => $module::$format::check(reading),)* } }

            /// See [`FileFormat::scan`].
            ///
            /// # Errors
            /// The format's and the files'.
            pub async fn scan(self, reading: &Reading, table: Option<&Schema>, blobs: &[Arc<dyn Blob>], ctx: &Ctx) -> Result<Scanned> {
                match self { $(Self::$name => $module::$format::scan(reading, table, blobs, ctx).await,)* }
            }

            /// See [`FileFormat::read`].
            ///
            /// # Errors
            /// The format's and the file's.
            pub async fn read(self, reading: &Reading, schema: &SchemaRef, blob: Arc<dyn Blob>, part: &Part, ctx: &Ctx) -> Result<RowStream> {
                match self { $(Self::$name => $module::$format::read(reading, schema, blob, part, ctx).await,)* }
            }
        }
    };
}

formats! {
    Csv csv::Csv, "Comma-separated values (RFC 4180), with any delimiter.";
    Parquet parquet_files::Parquet, "Apache Parquet.";
}

impl FormatName {
    /// The format that a name's suffix tells, a compression's suffix aside: `orders.csv.gz` is CSV.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let bare = [".gz", ".zst", ".zstd"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(&name);
        match bare.rsplit_once('.')?.1 {
            "csv" | "tsv" | "tab" | "txt" => Some(Self::Csv),
            "parquet" | "pq" => Some(Self::Parquet),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_tell_the_format() {
        let names = [
            ("a/orders.CSV", Some(FormatName::Csv)),
            ("orders.csv.gz", Some(FormatName::Csv)),
            ("part-0.zstd.parquet", Some(FormatName::Parquet)),
            ("orders", None),
            ("orders.gz", None),
        ];
        for (name, format) in names {
            assert_eq!(FormatName::of(name), format, "{name}");
        }
    }
}
