//! What a table knows of the last run of the same request: whether there is anything new.
use std::collections::BTreeMap;

use icehaul_lake::{Kind, SnapshotInfo};
use serde::{Deserialize, Serialize};

use super::{super::Place, order::Order};
use crate::{Result, crawl::Validators};

/// The entry of the snapshot summary.
const KEY: &str = "icehaul.scrape";

/// What is kept of a run in the summary of its snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Last {
    /// Which request it was.
    request: String,
    /// The digest of all rows, in their order.
    pub content: String,
    /// How to ask whether the page has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validators: Option<Validators>,
}

impl Last {
    pub(super) fn new(order: &Order, content: String, validators: Option<Validators>) -> Self {
        Self { request: order.key().to_owned(), content, validators }
    }

    /// For the summary.
    pub(super) fn entry(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(KEY.to_owned(), serde_json::to_string(self).unwrap_or_default())])
    }
}

/// The last run of the same request whose rows are still all that it would give: nothing but rows of others was added to
/// the table since, and not even these if it would replace them.
///
/// # Errors
/// [`crate::Code::CatalogUnavailable`], [`crate::Code::StorageUnavailable`].
pub(super) async fn last(place: &Place, order: &Order, overwrites: bool) -> Result<Option<Last>> {
    match place.lake.table(&place.table).await {
        Ok(table) => Ok(find(&table.snapshots(), order.key(), overwrites)),
        Err(error) if matches!(error.kind(), Kind::TableNotFound | Kind::NamespaceNotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn find(snapshots: &[SnapshotInfo], request: &str, overwrites: bool) -> Option<Last> {
    let mut history = snapshots.iter().filter(|snapshot| snapshot.is_current_ancestor).rev();
    let own = |snapshot: &SnapshotInfo| {
        let last: Last = serde_json::from_str(snapshot.summary.get(KEY)?).ok()?;
        (last.request == request).then_some(last)
    };
    let newest = history.next()?;
    if let Some(found) = own(newest) {
        return Some(found);
    }
    if overwrites || newest.operation != "append" {
        return None;
    }
    for snapshot in history {
        if let Some(found) = own(snapshot) {
            return Some(found);
        }
        if snapshot.operation != "append" {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(operation: &str, request: Option<&str>) -> SnapshotInfo {
        let entry = |request: &str| format!(r#"{{"request": "{request}", "content": "c-{request}"}}"#);
        SnapshotInfo {
            snapshot_id: "1".into(),
            parent_id: None,
            committed_at_ms: 0,
            operation: operation.into(),
            summary: request.map(|request| (KEY.to_owned(), entry(request))).into_iter().collect(),
            is_current_ancestor: true,
        }
    }

    #[test]
    fn only_rows_that_are_still_there_count() {
        let (append, overwrite) = ("append", "overwrite");
        for (history, appends, overwrites) in [
            (vec![(append, Some("a"))], true, true),
            (vec![(append, Some("a")), (append, Some("b"))], true, false),
            (vec![(append, Some("a")), (append, None)], true, false),
            (vec![(append, Some("a")), (overwrite, Some("b"))], false, false),
            (vec![(append, Some("a")), ("delete", None), (append, Some("b"))], false, false),
            (vec![(append, Some("b")), (overwrite, Some("a"))], true, true),
            (vec![], false, false),
        ] {
            let snapshots: Vec<_> = history.iter().map(|(operation, request)| snapshot(operation, *request)).collect();
            assert_eq!(find(&snapshots, "a", false).is_some(), appends, "{history:?}");
            assert_eq!(find(&snapshots, "a", true).is_some(), overwrites, "{history:?}");
        }
    }
}
