//! The commit engine: one snapshot per operation, whatever races with it.
mod carried;
mod check;
mod cursor;
mod engine;
mod seen;
mod snapshot;
mod strays;
mod summary;

use std::{
    collections::{BTreeMap, HashSet},
    future::Future,
    pin::Pin,
    sync::Arc,
};

use iceberg::spec::{SnapshotRef, TableMetadata};

pub(crate) use cursor::cursors;
pub use cursor::{Cursor, CursorMove, Cursors};
pub(crate) use engine::commit;
pub(crate) use snapshot::{added_paths, load_list};
pub(crate) use strays::remove as remove_strays;

/// The summary entry that names the operation.
pub(crate) const OPERATION: &str = "icehaul.job-id";

/// What a commit does to the table's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The rows that are there stay.
    Append,
    /// The rows that are there go, in the same snapshot.
    Overwrite,
    /// The table must not be there; it is made with its rows, or with a snapshot of none.
    Create,
    /// Some data files go and others come, in one snapshot. A cursor that moves makes one too, without any file.
    Replace(Arc<Replaced>),
}

impl Change {
    /// Whether files of the table go.
    fn removes_files(&self) -> bool {
        match self {
            Self::Append | Self::Create => false,
            Self::Overwrite => true,
            Self::Replace(replaced) => !replaced.files.is_empty(),
        }
    }

    /// Whether the file at this location goes.
    fn removes(&self, path: &str) -> bool {
        match self {
            Self::Append | Self::Create => false,
            Self::Overwrite => true,
            Self::Replace(replaced) => replaced.files.contains(path),
        }
    }
}

/// What goes with a [`Change::Replace`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replaced {
    /// The locations of the data files that go.
    pub files: HashSet<String>,
    /// The snapshot at which the table must still be, because what is published was found out there; any if `None`.
    pub at: Option<i64>,
}

/// The answer to "may I commit now?", asked right before each compare-and-swap.
pub type Permission = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// What makes a commit happen once and only with the right of its holder.
#[derive(Clone)]
pub struct Guard {
    /// The operation (job) id; kept in the summary as `icehaul.job-id` and looked for in every snapshot before each swap.
    pub operation: String,
    /// Asked right before each swap; `false` ends the commit with [`crate::Kind::GuardRefused`].
    pub permission: Permission,
    /// The cursor to check and move in the same swap.
    pub cursor: Option<CursorMove>,
    /// More entries for the snapshot summary (`icehaul.…`).
    pub summary: BTreeMap<String, String>,
}

/// What is in the table after a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The snapshot; `None` when nothing changed and none was made.
    pub snapshot_id: Option<i64>,
    /// An earlier attempt of the same operation had committed it.
    pub already: bool,
    /// The summary of that snapshot.
    pub summary: BTreeMap<String, String>,
    /// The paths of the caller's files that are not in the table and may be deleted. An earlier attempt may have
    /// committed some of the very files that this one took up again, so never delete others.
    pub unused: Vec<String>,
}

impl Committed {
    pub(crate) fn of(snapshot: &SnapshotRef, already: bool) -> Self {
        let summary = snapshot.summary();
        let mut entries: BTreeMap<_, _> = summary.additional_properties.clone().into_iter().collect();
        entries.insert("operation".to_owned(), summary.operation.as_str().to_owned());
        Self { snapshot_id: Some(snapshot.snapshot_id()), already, summary: entries, unused: Vec::new() }
    }

    const fn nothing() -> Self {
        Self { snapshot_id: None, already: false, summary: BTreeMap::new(), unused: Vec::new() }
    }
}

/// A snapshot and those before it, the newest first. A broken chain that loops ends too.
pub(crate) fn ancestors<'a>(
    metadata: &'a TableMetadata,
    newest: Option<&'a SnapshotRef>,
) -> impl Iterator<Item = &'a SnapshotRef> {
    let mut seen = HashSet::new();
    let parent = |snapshot: &&'a SnapshotRef| snapshot.parent_snapshot_id().and_then(|id| metadata.snapshot_by_id(id));
    std::iter::successors(newest, parent).take_while(move |snapshot| seen.insert(snapshot.snapshot_id()))
}

/// The newest value of a summary entry along the history of a snapshot.
pub(crate) fn newest_entry<'a>(
    metadata: &'a TableMetadata,
    newest: Option<&'a SnapshotRef>,
    key: &str,
) -> Option<&'a String> {
    ancestors(metadata, newest).find_map(|snapshot| snapshot.summary().additional_properties.get(key))
}

/// The snapshot that an operation committed, wherever in the table's history or branches it is.
pub(crate) fn find(metadata: &TableMetadata, operation: &str) -> Option<SnapshotRef> {
    let is_it = |snapshot: &&SnapshotRef| {
        snapshot.summary().additional_properties.get(OPERATION).is_some_and(|id| id == operation)
    };
    metadata.snapshots().find(is_it).cloned()
}
