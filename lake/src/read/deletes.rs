//! Delete files of tables whose partition column was widened: `iceberg` 0.10 finds them by the partition's value as it was
//! written, and 7 as a long is not 7 as an int to it, so that deleted rows come back. Such tables are planned here.
use std::{collections::HashMap, sync::Arc};

use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use iceberg::{
    scan::{FileScanTask, FileScanTaskDeleteFile},
    spec::{
        DataContentType, Literal, ManifestContentType, ManifestEntryRef, ManifestFile, NameMapping, PrimitiveLiteral,
        PrimitiveType, SnapshotRef, TableMetadata, Transform, Type,
    },
    table::Table,
};

use super::error;
use crate::{Result, TableName};

/// Whether a column that makes partitions has, or may have had, another width than now.
pub fn may_be_missed(metadata: &TableMetadata) -> bool {
    let highest = metadata.schemas_iter().map(|schema| schema.schema_id()).max().unwrap_or(0);
    let complete = metadata.schemas_iter().len() as i64 == i64::from(highest) + 1;
    let keeps_values = |transform| matches!(transform, Transform::Identity | Transform::Truncate(_));
    let fields = metadata.partition_specs_iter().flat_map(|spec| spec.fields());
    fields.filter(|field| keeps_values(field.transform)).any(|field| {
        let types: Vec<_> = metadata.schemas_iter().filter_map(|schema| schema.field_by_id(field.source_id)).collect();
        let wide = Type::Primitive(PrimitiveType::Long);
        let long = types
            .iter()
            .any(|field| *field.field_type == wide || *field.field_type == Type::Primitive(PrimitiveType::Double));
        long && (!complete || types.windows(2).any(|pair| pair[0].field_type != pair[1].field_type))
    })
}

/// The partition of a file: its spec and its values, as wide as they can be.
type Partition = (i32, Vec<Option<Literal>>);

fn partition(spec: i32, entry: &ManifestEntryRef) -> Partition {
    let wide = |value: Option<&Literal>| {
        Some(match value? {
            Literal::Primitive(PrimitiveLiteral::Int(v)) => Literal::long(i64::from(*v)),
            Literal::Primitive(PrimitiveLiteral::Float(v)) => Literal::double(f64::from(v.into_inner())),
            other => other.clone(),
        })
    };
    (spec, entry.data_file().partition().iter().map(wide).collect())
}

/// Pieces of work for the file reader.
pub type Tasks = BoxStream<'static, Result<FileScanTask>>;

/// All delete files of a snapshot.
#[derive(Default)]
struct Deletes {
    by_partition: HashMap<Partition, Vec<ManifestEntryRef>>,
    /// Equality deletes without a partition: they apply to every file.
    everywhere: Vec<(i32, ManifestEntryRef)>,
}

impl Deletes {
    fn add(&mut self, spec: i32, entry: ManifestEntryRef) {
        let partition = partition(spec, &entry);
        match partition.1.is_empty() && entry.content_type() == DataContentType::EqualityDeletes {
            true => self.everywhere.push((spec, entry)),
            false => self.by_partition.entry(partition).or_default().push(entry),
        }
    }

    /// Those that apply to a data file: position deletes as old as it or younger, equality deletes that are younger.
    fn of(&self, spec: i32, data: &ManifestEntryRef) -> Vec<FileScanTaskDeleteFile> {
        let near = self.by_partition.get(&partition(spec, data)).into_iter().flatten().map(|entry| (spec, entry));
        let all = near.chain(self.everywhere.iter().map(|(spec, entry)| (*spec, entry)));
        let applies = |delete: &ManifestEntryRef| match delete.content_type() {
            DataContentType::EqualityDeletes => delete.sequence_number() > data.sequence_number(),
            _ => delete.sequence_number() >= data.sequence_number(),
        };
        all.filter(|(_, delete)| applies(delete)).map(|(spec, delete)| file(spec, delete)).collect()
    }
}

fn file(spec: i32, delete: &ManifestEntryRef) -> FileScanTaskDeleteFile {
    FileScanTaskDeleteFile::builder()
        .with_file_path(delete.file_path().to_owned())
        .with_file_size_in_bytes(delete.file_size_in_bytes())
        .with_file_type(delete.content_type())
        .with_partition_spec_id(spec)
        .with_equality_ids(delete.data_file().equality_ids())
        .build()
}

/// Every data file of a snapshot with the delete files that apply to it; `None` if it has no delete files.
///
/// # Errors
/// A manifest cannot be read.
pub async fn tasks(name: Arc<TableName>, table: &Table, snapshot: &SnapshotRef) -> Result<Option<Tasks>> {
    let io = table.file_io().clone();
    let list = match table.manifest_list_reader(snapshot).load().await {
        Ok(list) => list,
        Err(cause) => return Err(error::reading(&name, &io, &[snapshot.manifest_list().to_owned()], cause).await),
    };
    let (data, deleting): (Vec<ManifestFile>, Vec<ManifestFile>) =
        list.entries().iter().cloned().partition(|manifest| manifest.content == ManifestContentType::Data);
    if deleting.is_empty() {
        return Ok(None);
    }
    let mut deletes = Deletes::default();
    for manifest in deleting {
        let loaded = match manifest.load_manifest(&io).await {
            Ok(loaded) => loaded,
            Err(cause) => return Err(error::reading(&name, &io, &[manifest.manifest_path], cause).await),
        };
        let alive = loaded.entries().iter().filter(|entry| entry.is_alive());
        alive.for_each(|entry| deletes.add(manifest.partition_spec_id, entry.clone()));
    }
    let mapping = table.metadata().properties().get("schema.name-mapping.default");
    let mapping = mapping.and_then(|json| serde_json::from_str::<NameMapping>(json).ok()).map(Arc::new);
    let (deletes, schema) = (Arc::new(deletes), table.metadata().current_schema().clone());
    let tasks = futures::stream::iter(data).then(move |manifest| {
        let (name, io, deletes, schema, mapping) =
            (name.clone(), io.clone(), deletes.clone(), schema.clone(), mapping.clone());
        async move {
            let loaded = match manifest.load_manifest(&io).await {
                Ok(loaded) => loaded,
                Err(cause) => return Err(error::reading(&name, &io, &[manifest.manifest_path], cause).await),
            };
            let alive: Vec<_> = loaded.entries().iter().filter(|entry| entry.is_alive()).cloned().collect();
            let tasks = alive.into_iter().map(move |entry| {
                FileScanTask::builder()
                    .with_file_size_in_bytes(entry.file_size_in_bytes())
                    .with_start(0)
                    .with_length(entry.file_size_in_bytes())
                    .with_record_count(Some(entry.record_count()))
                    .with_data_file_path(entry.file_path().to_owned())
                    .with_data_file_format(entry.file_format())
                    .with_schema(schema.clone())
                    .with_project_field_ids(Vec::new())
                    .with_deletes(deletes.of(manifest.partition_spec_id, &entry))
                    .with_partition(Some(entry.data_file().partition().clone()))
                    .with_name_mapping(mapping.clone())
                    .with_case_sensitive(true)
                    .build()
            });
            Ok(futures::stream::iter(tasks.map(Ok).collect::<Vec<_>>()))
        }
    });
    Ok(Some(tasks.try_flatten().boxed()))
}
