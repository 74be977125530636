//! Which files a snapshot has, and whether they may be carried.
use std::{collections::HashMap, sync::Arc};

use iceberg::spec::{DataFileFormat, FormatVersion};

use super::{Carry, File, Manifest};
use crate::{At, Error, Kind, Result, Table, commit::load_list, storage::failed};

impl Table {
    /// The files of a state, to be carried as they are.
    ///
    /// # Errors
    /// [`Kind::UnsupportedFeature`] for what would not be the same elsewhere: format version 3, encryption, files outside of
    /// the table's location, other formats than Parquet; [`Kind::SnapshotNotFound`], [`Kind::FileMissing`].
    pub async fn carry(&self, at: At) -> Result<Carry> {
        let (metadata, io) = (self.metadata(), self.io().clone());
        let refuse = |what: &str| {
            let message =
                format!("table {} has {what}, which cannot be copied file by file; `copy` `rows` may", self.name());
            Err(Error::new(Kind::UnsupportedFeature, message))
        };
        if metadata.format_version() > FormatVersion::V2 {
            return refuse(&format!("format version {}", metadata.format_version() as u8));
        }
        if metadata.properties().contains_key("encryption.key-id") {
            return refuse("encryption");
        }
        let inside = crate::read::inside(metadata.location());
        let mut manifests = Vec::new();
        if let Some(snapshot) = self.snapshot(at)? {
            let listed: Vec<_> = load_list(&snapshot, metadata, &io).await?.consume_entries().into_iter().collect();
            for manifest in listed {
                let path = &manifest.manifest_path;
                let loaded = manifest.load_manifest(&io).await.map_err(|e| failed("read", path, e))?;
                let mut files = Vec::new();
                for entry in loaded.entries().iter().filter(|entry| entry.is_alive()) {
                    let file = entry.data_file();
                    if file.file_format() != DataFileFormat::Parquet {
                        return refuse(&format!("a file in {}", file.file_format()));
                    }
                    if !inside(file.file_path()) {
                        return refuse(&format!("a file outside of its location (`{}`)", file.file_path()));
                    }
                    let sequence = entry.sequence_number().unwrap_or(manifest.sequence_number);
                    let file_sequence = entry.file_sequence_number.unwrap_or(manifest.sequence_number);
                    files.push(File { file: file.clone(), sequence, file_sequence });
                }
                if !files.is_empty() {
                    manifests.push(Manifest {
                        content: manifest.content,
                        schema: loaded.metadata().schema().clone(),
                        spec: loaded.metadata().partition_spec().clone(),
                        files,
                    });
                }
            }
        }
        let mut paths: Vec<_> =
            manifests.iter().flat_map(|m| &m.files).map(|f| f.file.file_path().to_owned()).collect();
        paths.sort_unstable();
        let numbers: HashMap<String, usize> = paths.into_iter().enumerate().map(|(n, path)| (path, n)).collect();
        let places = manifests.iter().enumerate().flat_map(|(n, m)| (0..m.files.len()).map(move |place| (n, place)));
        let places = places.collect();
        Ok(Carry { name: self.name().clone(), io, manifests, numbers: Arc::new(numbers), places })
    }
}
