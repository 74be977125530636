//! Where rows come from. Adding a source: one new file here, and its name twice below.
mod database;
mod files;
mod many;
mod mysql;
mod pattern;
mod postgres;
mod s3;
mod web;

use std::{any::Any, collections::BTreeMap};

use arrow_schema::SchemaRef;
use icehaul_lake::{Lake, TableName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    Batches, Code, Ctx, Error, FieldError, Result, Secret,
    config::{Connections, FileRoots},
    crawl::egress::Egress,
    spec::{JobOptions, Load, Target, read_request, schema_of},
    transform::MarkKind,
};

/// A place to read rows from. The type that implements it is also its part of the request body.
pub trait Source: Clone + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The product's name, for messages.
    const TITLE: &'static str;
    /// Whether later loads can go on where the last one ended.
    const INCREMENTAL: bool = false;
    /// Whether rows close to the newest one can be left for the next run.
    const LAGS: bool = true;

    /// Finds what is wrong without any I/O.
    fn check(&self) -> Vec<FieldError>;

    /// Finds what is wrong with names of the configuration (a connection, a folder, a network), without any I/O.
    fn check_names(&self, _names: &Names<'_>) -> Vec<FieldError> {
        Vec::new()
    }

    /// The secrets among its fields.
    fn secrets(&mut self) -> Vec<&mut Secret> {
        Vec::new()
    }

    /// The name under which a table keeps how far it was loaded from this source; it changes when the rows meant change.
    ///
    /// # Errors
    /// [`Code::ConnectionNotFound`], [`Code::ConflictingFields`] for a source that is not [`Source::INCREMENTAL`].
    fn cursor_source(&self, _ctx: &Ctx) -> Result<String> {
        Err(Error::fields(vec![no_cursor::<Self>("cursor")]))
    }

    /// The keys that the older system's callers expect beside ours, made from the result.
    fn old_keys(&self, _result: &Value) -> Vec<(&'static str, Value)> {
        Vec::new()
    }

    /// Looks at the source: which columns, cut into which splits, in one consistent state.
    fn plan(&self, ctx: &Ctx, wish: &Wish) -> impl Future<Output = Result<Plan>> + Send;

    /// Reads one split of the plan, only as fast as the batches are taken.
    fn read(&self, ctx: &Ctx, plan: &Plan, split: &Split) -> impl Future<Output = Result<Batches>> + Send;

    /// Takes back what an attempt has written down for later ones; called when there will be none. `done` is whether the
    /// job has succeeded.
    fn forget(&self, _ctx: &Ctx, _place: &Place, _done: bool) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// What names of a request are looked for in.
pub struct Names<'a> {
    /// The named connections.
    pub connections: &'a Connections,
    /// The folders below which requests may name files.
    pub roots: &'a FileRoots,
    /// Where requests to sites may go.
    pub egress: &'a Egress,
}

/// The table that rows go to.
#[derive(Clone)]
pub struct Place {
    /// Its catalog.
    pub lake: Lake,
    /// Its name.
    pub table: TableName,
}

/// What the load wants of the plan beyond all rows.
#[derive(Clone, Default)]
pub struct Wish {
    /// To keep count of a cursor, and perhaps only rows beyond it.
    pub cursor: Option<CursorWish>,
    /// The columns of the table that the rows go to, if it exists: types that the rows shall have where they can.
    pub table: Option<SchemaRef>,
    /// That table.
    pub place: Option<Place>,
    /// Whether the rows that are in it go.
    pub overwrites: bool,
}

/// A read that later ones can go on from.
#[derive(Clone, Debug, Default)]
pub struct CursorWish {
    /// The column whose value only grows.
    pub column: String,
    /// Only rows beyond this value.
    pub after: Option<String>,
    /// Rows without a value in the column too: all rows are meant, not only those that later reads go on from.
    pub nulls: bool,
    /// Rows this close to the newest one are left for the next run.
    pub lag: Option<f64>,
}

/// What will be read: the columns and the splits that make up all rows, each exactly once.
pub struct Plan {
    /// Where the rows come from, without secrets: `postgres://host:port/database`.
    pub origin: String,
    /// The schema of every batch, without the lineage columns.
    pub schema: SchemaRef,
    /// The lineage columns; every batch brings their values.
    pub lineage: &'static [(&'static str, MarkKind)],
    /// At least one.
    pub splits: Vec<Split>,
    /// How many splits may be read at once, if the request says.
    pub parallelism: Option<usize>,
    /// The number of rows, where the source tells without counting.
    pub rows_estimate: Option<u64>,
    /// The number of files that will be read, for sources that consist of files.
    pub files: Option<u64>,
    /// The highest value of the cursor among the rows, if one was wished for and there are rows.
    pub cursor: Option<String>,
    /// Columns whose type could not be kept exactly, and other things that the result must say.
    pub type_notes: Vec<TypeNote>,
    /// What must live as long as the reads: the transaction that exported the snapshot, say.
    pub hold: Option<Box<dyn Any + Send + Sync>>,
    /// Nothing is new since the last run: nothing is read, and no snapshot made.
    pub unchanged: bool,
    /// Entries for the snapshot's summary, for later runs.
    pub summary: BTreeMap<String, String>,
    /// Keys of the result that only this source has.
    pub told: Map<String, Value>,
}

/// A part of the rows: small, and readable apart from the others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Split {
    /// Its place in the plan, from 0.
    pub index: usize,
    /// What the source needs to find it.
    pub part: Value,
}

/// A column whose type could not be kept as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TypeNote {
    /// The column.
    pub column: String,
    /// Its type in the source.
    pub source_type: String,
    /// Its type in the table.
    pub table_type: String,
    /// What that means for its values.
    pub note: String,
}

pub(crate) use database::Dialect;
pub use database::SslMode;
pub(crate) use files::one as one_file;
pub use s3::{S3Access, check_endpoint};
pub(crate) use s3::{check_bucket, check_key};

macro_rules! sources {
    ($($kind:literal $module:ident::$source:ident),* $(,)?) => {
        $(pub use $module::$source;)*

        /// A load request of any source.
        #[derive(Clone, Debug)]
        pub enum LoadSpec { $(#[doc = concat!("`", $kind, "`")] $source(Box<Load<$source>>),)* }

        impl LoadSpec {
            /// The kinds of job that load from a source.
            pub const KINDS: &[&str] = &[$($kind),*];

            /// The job's kind, such as `load.postgres`.
            #[must_use]
            pub const fn kind(&self) -> &'static str { match self { $(Self::$source(_) => $kind,)* } }

            /// The source's title, for messages.
            #[must_use]
            pub const fn title(&self) -> &'static str { match self { $(Self::$source(_) => $source::TITLE,)* } }

            /// The JSON Schema of the request body.
            #[must_use]
            pub fn request_schema(kind: &str) -> Option<Value> {
                match kind { $($kind => Some(schema_of::<Load<$source>>()),)* _ => None }
            }

            /// Reads a request body strictly.
            ///
            /// # Errors
            /// Every wrong field at once; [`Code::NotFound`] for an unknown kind.
            pub fn from_request(kind: &str, body: Value) -> Result<Self> {
                match kind { $($kind => Ok(Self::$source(Box::new(read_request(body, Load::check)?))),)* _ => Err(unknown(kind)) }
            }

            /// Reads what [`LoadSpec::to_value`] wrote.
            ///
            /// # Errors
            /// [`Code::InvalidRequest`], [`Code::NotFound`] for an unknown kind.
            pub fn from_value(kind: &str, value: Value) -> Result<Self> {
                match kind {
                    $($kind => serde_json::from_value(value).map(|load| Self::$source(Box::new(load)))
                        .map_err(|e| Error::new(Code::InvalidRequest, e.to_string())),)*
                    _ => Err(unknown(kind)),
                }
            }

            /// The request as JSON; secrets in the clear become `***`.
            #[must_use]
            pub fn to_value(&self) -> Value { match self { $(Self::$source(load) => serde_json::to_value(load).unwrap_or_default(),)* } }

            /// Where the rows go.
            #[must_use]
            pub fn target(&self) -> &Target { match self { $(Self::$source(load) => &load.target,)* } }

            /// How the job is run.
            #[must_use]
            pub fn options(&self) -> &JobOptions { match self { $(Self::$source(load) => &load.options,)* } }

            /// The secrets among its fields.
            pub fn secrets(&mut self) -> Vec<&mut Secret> { match self { $(Self::$source(load) => load.source.secrets(),)* } }

            /// See [`Source::check_names`].
            #[must_use]
            pub fn check_names(&self, names: &Names<'_>) -> Vec<FieldError> {
                match self { $(Self::$source(load) => load.source.check_names(names),)* }
            }

            /// See [`Source::cursor_source`].
            ///
            /// # Errors
            /// The source's.
            pub fn cursor_source(&self, ctx: &Ctx) -> Result<String> { match self { $(Self::$source(load) => load.source.cursor_source(ctx),)* } }

            /// See [`Source::old_keys`].
            #[must_use]
            pub fn old_keys(&self, result: &Value) -> Vec<(&'static str, Value)> { match self { $(Self::$source(load) => load.source.old_keys(result),)* } }

            /// See [`Source::plan`].
            ///
            /// # Errors
            /// The source's.
            pub async fn plan(&self, ctx: &Ctx, wish: &Wish) -> Result<Plan> { match self { $(Self::$source(load) => load.source.plan(ctx, wish).await,)* } }

            /// See [`Source::read`].
            ///
            /// # Errors
            /// The source's.
            pub async fn read(&self, ctx: &Ctx, plan: &Plan, split: &Split) -> Result<Batches> { match self { $(Self::$source(load) => load.source.read(ctx, plan, split).await,)* } }

            /// See [`Source::forget`].
            pub async fn forget(&self, ctx: &Ctx, place: &Place, done: bool) { match self { $(Self::$source(load) => load.source.forget(ctx, place, done).await,)* } }
        }
    };
}

sources! {
    "load.postgres" postgres::Postgres,
    "load.mysql" mysql::MySql,
    "load.file" files::Files,
    "load.s3" s3::S3,
    "scrape.html" web::Page,
    "scrape.api" web::Api,
}

/// What is wrong with a field that asks a source for what only [`Source::INCREMENTAL`] ones can.
pub(crate) fn no_cursor<S: Source>(field: &str) -> FieldError {
    let detail = format!("{} cannot be read incrementally", S::TITLE);
    FieldError { field: field.into(), code: Code::ConflictingFields, detail }
}

fn unknown(kind: &str) -> Error {
    Error::new(Code::NotFound, format!("there is no job kind `{kind}`"))
}
