//! Builds one try of a commit: manifests, manifest list, snapshot and metadata file, none of which anyone sees yet.
use std::collections::{BTreeSet, HashMap, HashSet};

use iceberg::{
    io::FileIO,
    spec::{
        DataFile, MAIN_BRANCH, ManifestContentType, ManifestFile, ManifestList, ManifestListWriter, ManifestWriter,
        ManifestWriterBuilder, Operation, PartitionSpec, SchemaRef, Snapshot, Summary, TableMetadata,
    },
};
use uuid::Uuid;

use super::{
    Change,
    summary::{self, Counts},
};
use crate::{
    Error, Kind, Result,
    carry::{CarriedHistory, CarriedManifest},
    storage::{Storage, failed},
};

/// The live manifests of the current snapshot and what they hold.
pub(super) struct Held {
    pub(super) manifests: Vec<ManifestFile>,
    counts: Counts,
}

impl Held {
    pub(super) async fn of(metadata: &TableMetadata, io: &FileIO) -> Result<Self> {
        let Some(snapshot) = metadata.current_snapshot() else {
            return Ok(Self { manifests: Vec::new(), counts: Counts::default() });
        };
        let list = load_list(snapshot, metadata, io).await?;
        let alive = |manifest: &ManifestFile| manifest.has_added_files() || manifest.has_existing_files();
        let manifests: Vec<_> = list.consume_entries().into_iter().filter(alive).collect();
        let counts = summary::held(snapshot, &manifests, io).await?;
        Ok(Self { manifests, counts })
    }
}

/// The paths of the files that a snapshot added or removed.
pub(crate) async fn added_paths(snapshot: &Snapshot, metadata: &TableMetadata, io: &FileIO) -> Result<HashSet<String>> {
    let mut paths = HashSet::new();
    for manifest in load_list(snapshot, metadata, io).await?.entries() {
        if manifest.added_snapshot_id == snapshot.snapshot_id() {
            let loaded = manifest.load_manifest(io).await.map_err(|e| failed("read", &manifest.manifest_path, e))?;
            paths.extend(loaded.entries().iter().map(|entry| entry.file_path().to_owned()));
        }
    }
    Ok(paths)
}

pub(crate) async fn load_list(snapshot: &Snapshot, metadata: &TableMetadata, io: &FileIO) -> Result<ManifestList> {
    let path = snapshot.manifest_list();
    let read = async {
        let content = io.new_input(path)?.read().await?;
        ManifestList::parse_with_version(&content, metadata.format_version())
    };
    read.await.map_err(|e| failed("read", path, e))
}

/// The files of one commit, and what they are written with.
pub(super) struct Builder<'a> {
    pub(super) storage: &'a Storage,
    pub(super) commit: Uuid,
    pub(super) snapshot_id: i64,
    pub(super) added: Vec<DataFile>,
    /// The manifest of the added files: written once, for all tries.
    pub(super) manifest: Option<ManifestFile>,
    /// Files that are carried over from another table, and their manifests: these too are written once.
    pub(super) carried: &'a [CarriedManifest],
    pub(super) history: Option<&'a CarriedHistory<'a>>,
    /// In their order; none for those without files.
    pub(super) carried_manifests: Vec<Option<ManifestFile>>,
    /// Where these manifests are, from before they are written until they are part of the table.
    pub(super) loose: Vec<String>,
}

/// What one try has written apart from the added files' manifest.
#[derive(Default)]
pub(super) struct Written {
    pub(super) paths: Vec<String>,
}

impl Builder<'_> {
    /// The manifest of the added files, with sequence numbers left open for whichever try wins.
    pub(super) async fn added(&mut self, metadata: &str, schema: &SchemaRef, spec: &PartitionSpec) -> Result<()> {
        if self.manifest.is_some() || self.added.is_empty() {
            return Ok(());
        }
        let path = format!("{metadata}/{}-m0.avro", self.commit);
        self.loose.push(path.clone());
        let mut writer = self.writer(&path, self.snapshot_id, schema, spec, ManifestContentType::Data)?;
        for file in &self.added {
            writer.add_file(file.clone(), -1).map_err(|e| failed("write", &path, e))?;
        }
        self.manifest = Some(writer.write_manifest_file().await.map_err(|e| failed("write", &path, e))?);
        Ok(())
    }

    /// The snapshot that changes the table `metadata` to its new content.
    pub(super) async fn snapshot(
        &self,
        metadata: &TableMetadata,
        schema_id: i32,
        change: &Change,
        mut entries: HashMap<String, String>,
        attempt: usize,
        written: &mut Written,
    ) -> Result<Snapshot> {
        let held = Held::of(metadata, self.storage.io()).await?;
        let spec_id =
            self.manifest.as_ref().map_or_else(|| metadata.default_partition_spec_id(), |m| m.partition_spec_id);
        let mut partitions = summary::partitions(self.added.iter().map(|file| (spec_id, file)));
        let directory = format!("{}/metadata", metadata.location());
        let carried = || self.carried.iter().flat_map(CarriedManifest::placed);
        partitions.extend(summary::partitions(carried()));
        let mut manifests: Vec<_> =
            self.manifest.iter().chain(self.carried_manifests.iter().flatten()).cloned().collect();
        let (mut kept, mut removed) = (held.counts, Counts::default());
        carried().for_each(|(_, file)| kept.add(file));
        if change.removes_files() {
            for (index, manifest) in held.manifests.into_iter().enumerate() {
                let path = format!("{directory}/{}-{attempt}-m{}.avro", self.commit, index + 1);
                written.paths.push(path.clone());
                let left = self.without(change, &manifest, &path, &mut removed, &mut partitions).await?;
                manifests.push(left.unwrap_or(manifest));
            }
            kept = kept.minus(&removed);
        } else {
            manifests.extend(held.manifests);
        }
        entries.extend(summary::entries(&kept, &self.added, &removed, partitions.len()));
        let list = format!("{directory}/snap-{}-{attempt}-{}.avro", self.snapshot_id, self.commit);
        written.paths.push(list.clone());
        let (parent, sequence) = (metadata.current_snapshot_id(), metadata.next_sequence_number());
        self.list(&list, (self.snapshot_id, parent, sequence), manifests).await?;
        let operation = match change {
            _ if !change.removes_files() => Operation::Append,
            Change::Replace(_) if self.added.is_empty() => Operation::Delete,
            _ => Operation::Overwrite,
        };
        Ok(Snapshot::builder()
            .with_snapshot_id(self.snapshot_id)
            .with_parent_snapshot_id(parent)
            .with_sequence_number(sequence)
            // Clocks differ; a table's time does not go back.
            .with_timestamp_ms(chrono::Utc::now().timestamp_millis().max(metadata.last_updated_ms()))
            .with_manifest_list(list)
            .with_schema_id(schema_id)
            .with_summary(Summary { operation, additional_properties: entries })
            .build())
    }

    /// A manifest that says which files of another one are gone; `None` if all of them stay.
    async fn without(
        &self,
        change: &Change,
        manifest: &ManifestFile,
        path: &str,
        removed: &mut Counts,
        partitions: &mut BTreeSet<String>,
    ) -> Result<Option<ManifestFile>> {
        let old = &manifest.manifest_path;
        let loaded = manifest.load_manifest(self.storage.io()).await.map_err(|e| failed("read", old, e))?;
        let alive: Vec<_> = loaded.entries().iter().filter(|entry| entry.is_alive()).collect();
        if !alive.iter().any(|entry| change.removes(entry.file_path())) {
            return Ok(None);
        }
        let about = loaded.metadata();
        let mut writer =
            self.writer(path, self.snapshot_id, about.schema(), about.partition_spec(), manifest.content)?;
        for entry in alive {
            let file = entry.data_file();
            let sequence = entry.sequence_number().unwrap_or(manifest.sequence_number);
            let file_sequence = entry.file_sequence_number.or(Some(manifest.sequence_number));
            let said = if change.removes(file.file_path()) {
                removed.add(file);
                partitions.extend(summary::partitions([(manifest.partition_spec_id, file)]));
                writer.add_delete_file(file.clone(), sequence, file_sequence)
            } else {
                let since = entry.snapshot_id().unwrap_or(manifest.added_snapshot_id);
                writer.add_existing_file(file.clone(), since, sequence, file_sequence)
            };
            said.map_err(|e| failed("write", path, e))?;
        }
        writer.write_manifest_file().await.map(Some).map_err(|e| failed("write", path, e))
    }

    pub(super) fn writer(
        &self,
        path: &str,
        snapshot: i64,
        schema: &SchemaRef,
        spec: &PartitionSpec,
        content: ManifestContentType,
    ) -> Result<ManifestWriter> {
        let output = self.storage.io().new_output(path).map_err(|e| failed("write", path, e))?;
        let builder = ManifestWriterBuilder::new(output, Some(snapshot), schema.clone(), spec.clone());
        Ok(match content {
            ManifestContentType::Data => builder.build_v2_data(),
            ManifestContentType::Deletes => builder.build_v2_deletes(),
        })
    }

    /// The manifest list of a snapshot: its id, its parent's, and its sequence number.
    pub(super) async fn list(
        &self,
        path: &str,
        (snapshot, parent, sequence): (i64, Option<i64>, i64),
        manifests: Vec<ManifestFile>,
    ) -> Result<()> {
        let out = self.storage.create(path).await?;
        let mut list = ManifestListWriter::v2(Box::new(out), snapshot, parent, sequence);
        list.add_manifests(manifests.into_iter()).map_err(|e| failed("write", path, e))?;
        list.close().await.map_err(|e| failed("write", path, e))
    }
}

/// The table's next metadata with everything that the commit changes, and the old metadata files that no one needs.
pub(super) fn next_metadata(
    base: TableMetadata,
    location: Option<String>,
    schema: Option<&SchemaRef>,
    properties: HashMap<String, String>,
    snapshot: Option<Snapshot>,
) -> Result<(TableMetadata, Vec<String>)> {
    let build = || {
        let mut builder = base.into_builder(location).set_properties(properties)?;
        if let Some(schema) = schema {
            builder = builder.add_current_schema(schema.as_ref().clone())?;
        }
        if let Some(snapshot) = snapshot {
            builder = builder.set_branch_snapshot(snapshot, MAIN_BRANCH)?;
        }
        builder.build()
    };
    let built =
        build().map_err(|e| Error::new(Kind::Internal, "the table's next metadata is not valid").caused_by(e))?;
    let expired = built.expired_metadata_logs.into_iter().map(|log| log.metadata_file).collect();
    Ok((built.metadata, expired))
}

/// Where the next metadata file lies: numbered after the one before it.
pub(super) fn metadata_path(table: &str, before: Option<&str>, id: Uuid) -> String {
    let name = before.and_then(|path| path.rsplit('/').next()).map(|name| name.trim_start_matches('v'));
    let digits = name.map(|name| name.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
    let version = digits.map_or(0, |digits| digits.parse::<u32>().unwrap_or_default() + 1);
    format!("{table}/metadata/{version:05}-{id}.metadata.json")
}

#[cfg(test)]
mod tests {
    use super::{Uuid, metadata_path};

    #[test]
    fn metadata_files_count_up() {
        let next = |before| metadata_path("file:///t", before, Uuid::nil()).split_at(24).0.to_owned();
        assert_eq!(next(None), "file:///t/metadata/00000");
        assert_eq!(next(Some("file:///t/metadata/00041-aa.metadata.json")), "file:///t/metadata/00042");
        assert_eq!(next(Some("file:///t/metadata/v7.metadata.json")), "file:///t/metadata/00008");
    }
}
