//! From what is asked for to the pieces of files that hold it.
use std::{collections::HashSet, sync::Arc};

use arrow_schema::{DataType, Schema};
use futures::{StreamExt, stream::BoxStream};
use iceberg::{
    expr::{Bind, BoundPredicate, Predicate},
    scan::FileScanTask,
    spec::{DataFileFormat, FormatVersion, PartitionSpecRef, Transform},
};

use super::{BATCH_ROWS, Scan, Table, arrow, deletes, error, filter, history::State, rows::Reader, shape, since::told};
use crate::{Error, Kind, Result};

/// A live data file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FileInfo {
    /// Its location.
    pub path: String,
    /// Its rows, not counting what delete files take away.
    pub rows: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// Whether delete files apply to it.
    pub has_deletes: bool,
}

/// A planned scan: pieces to read, found as they are taken, and how to read one.
pub(super) struct Plan {
    pub tasks: BoxStream<'static, Result<FileScanTask>>,
    pub reader: Arc<Reader>,
}

impl Table {
    pub(super) async fn plan(&self, scan: &Scan) -> Result<Plan> {
        let state = self.resolve(scan.at)?;
        self.check_readable(&state)?;
        let whole = arrow::schema(&state.schema)?;
        let output = positions(&whole, scan.columns.as_deref())?;
        let filter = scan.filter.clone().unwrap_or(Predicate::AlwaysTrue).rewrite_not();
        let filter = filter::split(filter, self.metadata(), &state.schema);
        let pushed = self.bind(filter.pushed.as_ref(), &state)?;
        let rest = self.bind(filter.rest.as_ref(), &state)?;

        let scanned = scanned_columns(&whole, &output, filter.rest.as_ref());
        let wanted = arrow::with_ids(&state.schema)?.project(&scanned).map_err(internal)?;
        // The file reader tells columns of one type apart by their order alone: it must be the table's.
        let mut ordered = scanned.clone();
        ordered.sort_unstable();
        let fields: Vec<_> = ordered.iter().map(|column| &state.schema.as_struct().fields()[*column]).collect();
        let project: Vec<i32> = fields.iter().map(|field| field.id).collect();
        let reader = self.inner.reader_builder().with_data_file_concurrency_limit(1);
        let reader = Arc::new(Reader {
            table: self.name.clone(),
            io: self.inner.file_io().clone(),
            files: reader.with_batch_size(scan.batch_size.unwrap_or(BATCH_ROWS).max(1)).build(),
            look: shape::may_differ(self.metadata(), &fields),
            wanted,
            scanned: Arc::new(whole.project(&scanned).map_err(internal)?),
            schema: Arc::new(whole.project(&output).map_err(internal)?),
            filter: rest,
            keep: output.len(),
        });
        let constants = self.partition_constants()?;
        let known = self.known_at(scan.since).await?;
        let allowed = inside(self.metadata().location());
        let name = self.name.clone();
        let schema = state.schema.clone();
        let tasks = self.tasks(&state, filter.pushed).await?;
        let fresh = move |task: &Result<FileScanTask>| {
            let known = task.as_ref().is_ok_and(|task| !known.is_empty() && known.contains(&told(task)));
            futures::future::ready(!known)
        };
        let tasks = tasks.filter(fresh).map(move |task| {
            let task = task?;
            if task.data_file_format != DataFileFormat::Parquet {
                return Err(unsupported(&name, &format!("a data file in {}", task.data_file_format)));
            }
            let deletes = task.deletes.iter().map(|delete| &delete.file_path);
            if let Some(path) = std::iter::once(&task.data_file_path).chain(deletes).find(|path| !allowed(path)) {
                return Err(unsupported(&name, &format!("a file outside of its location (`{path}`)")));
            }
            Ok(FileScanTask {
                schema: schema.clone(),
                project_field_ids: project.clone(),
                predicate: pushed.clone(),
                partition_spec: constants.clone(),
                ..task
            })
        });
        Ok(Plan { tasks: tasks.boxed(), reader })
    }

    /// The files that may hold rows for which `filter` holds.
    pub(super) async fn tasks(
        &self,
        state: &State,
        filter: Option<Predicate>,
    ) -> Result<BoxStream<'static, Result<FileScanTask>>> {
        let Some(snapshot) = &state.snapshot else { return Ok(futures::stream::empty().boxed()) };
        if deletes::may_be_missed(self.metadata())
            && let Some(tasks) = deletes::tasks(self.name.clone(), &self.inner, snapshot).await?
        {
            return Ok(tasks);
        }
        let mut scan = self.inner.scan().snapshot_id(snapshot.snapshot_id()).select_empty();
        // The crate plans with the snapshot's schema. Where that is not the one asked for, names may mean other columns,
        // so that no file is left out; the file reader still gets the filter.
        let planned = snapshot.schema(self.metadata()).map_err(|cause| error::broken(&self.name, cause))?;
        if let Some(filter) = filter.filter(|_| planned.schema_id() == state.schema.schema_id()) {
            scan = scan.with_filter(filter);
        }
        let io = self.inner.file_io().clone();
        let (name, paths) = (self.name.clone(), Arc::new([snapshot.manifest_list().to_owned()]));
        let scan = scan.build().map_err(|cause| error::broken(&name, cause))?;
        let files = match scan.plan_files().await {
            Ok(files) => files,
            Err(cause) => return Err(error::reading(&name, &io, paths.as_slice(), cause).await),
        };
        let tasks = files.then(move |task| {
            let (name, io, paths) = (name.clone(), io.clone(), paths.clone());
            async move {
                match task {
                    Ok(task) => Ok(task),
                    Err(cause) => Err(error::reading(&name, &io, paths.as_slice(), cause).await),
                }
            }
        });
        Ok(tasks.boxed())
    }

    /// Refuses what would be read wrongly.
    fn check_readable(&self, state: &State) -> Result<()> {
        let metadata = self.metadata();
        if metadata.format_version() > FormatVersion::V2 {
            return Err(unsupported(&self.name, &format!("format version {}", metadata.format_version() as u8)));
        }
        let snapshot_key = state.snapshot.as_ref().and_then(|snapshot| snapshot.encryption_key_id());
        if metadata.properties().contains_key("encryption.key-id") || snapshot_key.is_some() {
            return Err(unsupported(&self.name, "encryption"));
        }
        Ok(())
    }

    fn bind(&self, filter: Option<&Predicate>, state: &State) -> Result<Option<BoundPredicate>> {
        let bound = filter.map(|filter| filter.bind(state.schema.clone(), true)).transpose();
        bound.map_err(|cause| {
            let message = format!("the filter does not fit table {}: {}", self.name, cause.message());
            Error::new(Kind::SchemaMismatch, message).caused_by(cause)
        })
    }

    /// Files that were added to a table as they were (it has a name mapping then) may lack their partition's columns:
    /// the values come from the partition. The crate does not say which spec a file is of, so there must be one.
    fn partition_constants(&self) -> Result<Option<PartitionSpecRef>> {
        let metadata = self.metadata();
        let identity = |spec: &&PartitionSpecRef| spec.fields().iter().any(|f| f.transform == Transform::Identity);
        if !metadata.properties().contains_key("schema.name-mapping.default") {
            return Ok(None);
        }
        match (metadata.partition_specs_iter().find(identity), metadata.partition_specs_iter().len()) {
            (Some(spec), 1) => Ok(Some(spec.clone())),
            (Some(_), _) => Err(unsupported(&self.name, "a name mapping together with several partition specs")),
            (None, _) => Ok(None),
        }
    }
}

/// The places of the columns asked for.
fn positions(schema: &Schema, columns: Option<&[String]>) -> Result<Vec<usize>> {
    let Some(columns) = columns else { return Ok((0..schema.fields().len()).collect()) };
    let mut seen = HashSet::new();
    let mut place = |name: &String| {
        if !seen.insert(name.clone()) {
            return Err(Error::new(Kind::SchemaMismatch, format!("column `{name}` is asked for twice")));
        }
        schema.index_of(name).map_err(|_| {
            let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            Error::new(
                Kind::SchemaMismatch,
                format!("there is no column `{name}`; the columns are {}", names.join(", ")),
            )
        })
    };
    columns.iter().map(&mut place).collect()
}

/// What is read of the files: the output, then what only the filter needs; never nothing, so that rows are counted.
fn scanned_columns(schema: &Schema, output: &[usize], filter: Option<&Predicate>) -> Vec<usize> {
    let mut names = HashSet::new();
    filter.iter().for_each(|filter| filter::columns(filter, &mut names));
    let needed = (0..schema.fields().len()).filter(|column| names.contains(schema.field(*column).name()));
    let mut scanned = output.to_vec();
    scanned.extend(needed.filter(|column| !output.contains(column)));
    if scanned.is_empty() {
        let width = |column: &usize| match schema.field(*column).data_type() {
            DataType::Boolean => 0,
            other => other.primitive_width().unwrap_or(usize::MAX),
        };
        scanned.extend((0..schema.fields().len()).min_by_key(width));
    }
    scanned
}

/// Whether a file lies in a table. Metadata may come from elsewhere and name any path.
pub(crate) fn inside(location: &str) -> impl Fn(&str) -> bool + Send + 'static {
    let location = format!("{}/", plain_path(location).trim_end_matches('/'));
    move |path| plain_path(path).starts_with(&location) && !path.split('/').any(|part| part == "..")
}

/// A path without the spellings of its scheme.
fn plain_path(path: &str) -> String {
    if let Some(local) = path.strip_prefix("file:") {
        return format!("/{}", local.trim_start_matches('/'));
    }
    match path.strip_prefix("s3a://").or_else(|| path.strip_prefix("s3n://")) {
        Some(object) => format!("s3://{object}"),
        None => path.to_owned(),
    }
}

fn unsupported(table: &crate::TableName, what: &str) -> Error {
    Error::new(Kind::UnsupportedFeature, format!("table {table} has {what}, which cannot be read here"))
}

fn internal(cause: arrow_schema::ArrowError) -> Error {
    Error::new(Kind::Internal, "a scan could not be planned").caused_by(cause)
}
