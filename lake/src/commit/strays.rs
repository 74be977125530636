//! What a commit leaves that was killed before its swap: manifests, lists and metadata files to which nothing leads.
use std::collections::HashSet;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{find, snapshot::load_list};
use crate::{Result, schema::Base, storage::Storage};

/// As much of an id as tells the operation.
const MARK: usize = 13;

/// An id for the names of a try's files: its beginning tells the operation, so that what is left of its tries is found.
pub(super) fn id_of(operation: &str) -> Uuid {
    let mut bytes = Uuid::new_v4().into_bytes();
    bytes[..6].copy_from_slice(&Sha256::digest(operation)[..6]);
    Uuid::from_bytes(bytes)
}

/// Deletes the metadata files of an operation's tries that are not part of its table. It must have been committed: then none of
/// them can still become so.
pub(crate) async fn remove(storage: &Storage, base: &Base, operation: &str) -> Result<()> {
    let metadata = &base.metadata;
    if find(metadata, operation).is_none() {
        return Ok(());
    }
    let id = id_of(operation).to_string();
    let mark = &id[..MARK];
    let directory = format!("{}/metadata", metadata.location());
    let mut names: HashSet<_> = storage.names_in(&directory).await?.into_iter().collect();
    names.retain(|name| name.contains(mark));
    let mut reached = |path: &str| names.remove(path.rsplit('/').next().unwrap_or_default());
    reached(&base.location);
    for log in metadata.metadata_log() {
        reached(&log.metadata_file);
    }
    for snapshot in metadata.snapshots().filter(|snapshot| snapshot.manifest_list().contains(mark)) {
        reached(snapshot.manifest_list());
        let list = load_list(snapshot, metadata, storage.io()).await?;
        for manifest in list.entries() {
            reached(&manifest.manifest_path);
        }
    }
    for name in names {
        storage.remove(&format!("{directory}/{name}")).await;
    }
    Ok(())
}
