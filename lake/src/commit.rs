//! The commit engine: one snapshot per operation, whatever races with it.
use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc};

/// What a commit does to the table's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The rows that are there stay.
    Append,
    /// The rows that are there go, in the same snapshot.
    Overwrite,
}

/// An incremental load's step: the table's cursor must still be `from`, and becomes `to` with the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorMove {
    /// The cursor column.
    pub column: String,
    /// The value that the read started from; `None` for the first load.
    pub from: Option<String>,
    /// The highest value read.
    pub to: String,
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
    /// An earlier attempt of the same operation had committed it; the caller's files are not in the table.
    pub already: bool,
    /// The summary of that snapshot.
    pub summary: BTreeMap<String, String>,
}
