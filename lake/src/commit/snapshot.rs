//! Builds one try of a commit: manifests, manifest list, snapshot and metadata file, none of which anyone sees yet.
use std::collections::{HashMap, HashSet};

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
    carry::CarriedManifest,
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
    pub(super) carried_manifests: Vec<ManifestFile>,
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
        let mut writer = self.writer(&path, schema, spec, ManifestContentType::Data)?;
        for file in &self.added {
            writer.add_file(file.clone(), -1).map_err(|e| failed("write", &path, e))?;
        }
        self.manifest = Some(writer.write_manifest_file().await.map_err(|e| failed("write", &path, e))?);
        Ok(())
    }

    /// The manifests of carried files, which keep the sequence numbers that say which deletes apply to them.
    pub(super) async fn carry(&mut self, metadata: &str) -> Result<()> {
        if !self.carried_manifests.is_empty() {
            return Ok(());
        }
        let mut written = Vec::with_capacity(self.carried.len());
        for (index, carried) in self.carried.iter().enumerate() {
            let path = format!("{metadata}/{}-c{index}.avro", self.commit);
            self.loose.push(path.clone());
            let mut writer = self.writer(&path, &carried.schema, &carried.spec, carried.content)?;
            for (file, sequence, of_file) in &carried.files {
                writer
                    .add_existing_file(file.clone(), self.snapshot_id, *sequence, Some(*of_file))
                    .map_err(|e| failed("write", &path, e))?;
            }
            written.push(writer.write_manifest_file().await.map_err(|e| failed("write", &path, e))?);
        }
        self.carried_manifests = written;
        Ok(())
    }

    /// The snapshot that changes the table `metadata` to its new content.
    pub(super) async fn snapshot(
        &self,
        metadata: &TableMetadata,
        schema_id: i32,
        change: Change,
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
        let mut manifests: Vec<_> = self.manifest.iter().chain(&self.carried_manifests).cloned().collect();
        let (mut kept, mut removed) = (held.counts, Counts::default());
        carried().for_each(|(_, file)| kept.add(file));
        if change == Change::Overwrite {
            kept = Counts::default();
            for (index, manifest) in held.manifests.iter().enumerate() {
                let path = format!("{directory}/{}-{attempt}-m{}.avro", self.commit, index + 1);
                written.paths.push(path.clone());
                manifests.push(self.emptied(manifest, &path, &mut removed, &mut partitions).await?);
            }
        } else {
            manifests.extend(held.manifests);
        }
        entries.extend(summary::entries(&kept, &self.added, &removed, partitions.len()));
        let list = format!("{directory}/snap-{}-{attempt}-{}.avro", self.snapshot_id, self.commit);
        written.paths.push(list.clone());
        self.list(&list, metadata, manifests).await?;
        let operation = if change == Change::Overwrite { Operation::Overwrite } else { Operation::Append };
        Ok(Snapshot::builder()
            .with_snapshot_id(self.snapshot_id)
            .with_parent_snapshot_id(metadata.current_snapshot_id())
            .with_sequence_number(metadata.next_sequence_number())
            // Clocks differ; a table's time does not go back.
            .with_timestamp_ms(chrono::Utc::now().timestamp_millis().max(metadata.last_updated_ms()))
            .with_manifest_list(list)
            .with_schema_id(schema_id)
            .with_summary(Summary { operation, additional_properties: entries })
            .build())
    }

    /// A manifest that says that all files of another one are gone.
    async fn emptied(
        &self,
        manifest: &ManifestFile,
        path: &str,
        removed: &mut Counts,
        partitions: &mut std::collections::BTreeSet<String>,
    ) -> Result<ManifestFile> {
        let old = &manifest.manifest_path;
        let loaded = manifest.load_manifest(self.storage.io()).await.map_err(|e| failed("read", old, e))?;
        let about = loaded.metadata();
        let mut writer = self.writer(path, about.schema(), about.partition_spec(), manifest.content)?;
        for entry in loaded.entries().iter().filter(|entry| entry.is_alive()) {
            let file = entry.data_file();
            removed.add(file);
            partitions.extend(summary::partitions([(manifest.partition_spec_id, file)]));
            let sequence = entry.sequence_number().unwrap_or(manifest.sequence_number);
            let file_sequence = entry.file_sequence_number.or(Some(manifest.sequence_number));
            writer.add_delete_file(file.clone(), sequence, file_sequence).map_err(|e| failed("write", path, e))?;
        }
        writer.write_manifest_file().await.map_err(|e| failed("write", path, e))
    }

    fn writer(
        &self,
        path: &str,
        schema: &SchemaRef,
        spec: &PartitionSpec,
        content: ManifestContentType,
    ) -> Result<ManifestWriter> {
        let output = self.storage.io().new_output(path).map_err(|e| failed("write", path, e))?;
        let builder = ManifestWriterBuilder::new(output, Some(self.snapshot_id), schema.clone(), spec.clone());
        Ok(match content {
            ManifestContentType::Data => builder.build_v2_data(),
            ManifestContentType::Deletes => builder.build_v2_deletes(),
        })
    }

    async fn list(&self, path: &str, metadata: &TableMetadata, manifests: Vec<ManifestFile>) -> Result<()> {
        let out = self.storage.create(path).await?;
        let (parent, sequence) = (metadata.current_snapshot_id(), metadata.next_sequence_number());
        let mut list = ManifestListWriter::v2(Box::new(out), self.snapshot_id, parent, sequence);
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
pub(super) fn metadata_path(table: &str, before: Option<&str>) -> String {
    let name = before.and_then(|path| path.rsplit('/').next()).map(|name| name.trim_start_matches('v'));
    let digits = name.map(|name| name.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
    let version = digits.map_or(0, |digits| digits.parse::<u32>().unwrap_or_default() + 1);
    format!("{table}/metadata/{version:05}-{}.metadata.json", Uuid::new_v4())
}

#[cfg(test)]
mod tests {
    use super::metadata_path;

    #[test]
    fn metadata_files_count_up() {
        let next = |before| metadata_path("file:///t", before).split_at(24).0.to_owned();
        assert_eq!(next(None), "file:///t/metadata/00000");
        assert_eq!(next(Some("file:///t/metadata/00041-aa.metadata.json")), "file:///t/metadata/00042");
        assert_eq!(next(Some("file:///t/metadata/v7.metadata.json")), "file:///t/metadata/00008");
    }
}
