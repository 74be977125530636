//! Which files a table has, and whether they may be carried.
use std::collections::{BTreeMap, HashMap};

use iceberg::spec::{DataFile, DataFileFormat, FormatVersion, ManifestFile, SnapshotRef};

use super::{Carry, Entry, Item, Manifest, history::History};
use crate::{At, Error, Kind, Result, Table, commit::load_list, storage::failed};

impl Table {
    /// The files of a state, to be carried as they are.
    ///
    /// # Errors
    /// [`Kind::UnsupportedFeature`] for what would not be the same elsewhere: format version 3, encryption, files outside of
    /// the table's location, other formats than Parquet; [`Kind::SnapshotNotFound`], [`Kind::FileMissing`].
    pub async fn carry(&self, at: At) -> Result<Carry> {
        let snapshots: Vec<_> = self.snapshot(at)?.into_iter().collect();
        self.carried(&snapshots, false).await
    }

    /// The files of all snapshots, to be carried with them. A table without any has no history.
    ///
    /// # Errors
    /// As `carry`.
    pub async fn carry_all(&self) -> Result<Carry> {
        let mut snapshots: Vec<_> = self.metadata().snapshots().cloned().collect();
        snapshots.sort_by_key(|snapshot| (snapshot.sequence_number(), snapshot.timestamp_ms()));
        self.carried(&snapshots, true).await
    }

    async fn carried(&self, snapshots: &[SnapshotRef], all: bool) -> Result<Carry> {
        self.check_carried()?;
        if all && !snapshots.is_empty() && self.metadata().current_snapshot().is_none() {
            return Err(self.cannot_be_carried("snapshots, but no current one"));
        }
        let mut found = Found::default();
        let mut lists = Vec::with_capacity(snapshots.len());
        for snapshot in snapshots {
            let list = load_list(snapshot, self.metadata(), self.io()).await?.consume_entries();
            let list: Vec<_> = list.into_iter().collect();
            let mut places = Vec::new();
            for listed in list {
                places.push(found.manifest(self, listed, all).await?);
            }
            lists.push((snapshot.clone(), places));
        }
        let history = (all && !snapshots.is_empty()).then(|| History::of(self.metadata(), lists)).transpose();
        let history =
            history.map_err(|cause| self.cannot_be_carried("a history that cannot be read").caused_by(cause))?;
        let statistics = history.iter().flat_map(History::statistics);
        let mut items: Vec<_> =
            found.files.into_values().map(|file| Item::Table(Box::new(file))).chain(statistics).collect();
        items.sort_by(|a, b| a.path().cmp(b.path()));
        items.dedup_by(|a, b| a.path() == b.path());
        let inside = crate::read::inside(self.metadata().location());
        if let Some(item) = items.iter().find(|item| !inside(item.path())) {
            return Err(self.cannot_be_carried(&format!("a file outside of its location (`{}`)", item.path())));
        }
        let numbers: HashMap<_, _> = items.iter().enumerate().map(|(n, item)| (item.path().to_owned(), n)).collect();
        let manifests = found.manifests.into_iter().map(|raw| raw.numbered(&numbers)).collect();
        Ok(Carry { name: self.name().clone(), io: self.io().clone(), items, numbers, manifests, history })
    }

    fn check_carried(&self) -> Result<()> {
        let metadata = self.metadata();
        if metadata.format_version() > FormatVersion::V2 {
            return Err(self.cannot_be_carried(&format!("format version {}", metadata.format_version() as u8)));
        }
        if metadata.properties().contains_key("encryption.key-id") {
            return Err(self.cannot_be_carried("encryption"));
        }
        Ok(())
    }

    fn cannot_be_carried(&self, what: &str) -> Error {
        let message =
            format!("table {} has {what}, which cannot be copied file by file; `copy` `rows` may", self.name());
        Error::new(Kind::UnsupportedFeature, message)
    }
}

/// What was found so far: manifests that several snapshots share are read once.
#[derive(Default)]
struct Found {
    /// By location.
    files: BTreeMap<String, DataFile>,
    manifests: Vec<Raw>,
    places: HashMap<String, usize>,
}

/// A manifest whose files have no numbers yet.
struct Raw {
    manifest: Manifest,
    paths: Vec<String>,
}

impl Found {
    /// Reads a manifest, if it is a new one, and gives its place. What it says of files that are gone matters only beside the
    /// snapshots that had them.
    async fn manifest(&mut self, table: &Table, listed: ManifestFile, gone_too: bool) -> Result<usize> {
        if let Some(place) = self.places.get(&listed.manifest_path) {
            return Ok(*place);
        }
        let loaded = listed.load_manifest(table.io()).await.map_err(|e| failed("read", &listed.manifest_path, e))?;
        let (mut entries, mut paths) = (Vec::new(), Vec::new());
        for entry in loaded.entries().iter().filter(|entry| gone_too || entry.is_alive()) {
            let file = entry.data_file();
            if file.file_format() != DataFileFormat::Parquet {
                return Err(table.cannot_be_carried(&format!("a file in {}", file.file_format())));
            }
            if entry.is_alive() {
                self.files.entry(file.file_path().to_owned()).or_insert_with(|| file.clone());
            }
            paths.push(file.file_path().to_owned());
            entries.push(Entry {
                number: usize::MAX,
                status: entry.status(),
                snapshot: entry.snapshot_id().unwrap_or(listed.added_snapshot_id),
                sequence: entry.sequence_number().unwrap_or(listed.sequence_number),
                file_sequence: entry.file_sequence_number.unwrap_or(listed.sequence_number),
            });
        }
        let (schema, spec) = (loaded.metadata().schema().clone(), loaded.metadata().partition_spec().clone());
        self.places.insert(listed.manifest_path.clone(), self.manifests.len());
        self.manifests.push(Raw { manifest: Manifest { listed, schema, spec, entries }, paths });
        Ok(self.manifests.len() - 1)
    }
}

impl Raw {
    /// With its files' numbers, without those that no snapshot has any more.
    fn numbered(self, numbers: &HashMap<String, usize>) -> Manifest {
        let entries = self.manifest.entries.into_iter().zip(self.paths);
        let entries = entries.filter_map(|(entry, path)| Some(Entry { number: *numbers.get(&path)?, ..entry }));
        Manifest { entries: entries.collect(), ..self.manifest }
    }
}
