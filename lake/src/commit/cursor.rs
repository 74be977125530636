//! How far incremental loads have come: kept with the data, so that it moves exactly when they do.
use std::collections::BTreeMap;

use iceberg::spec::TableMetadata;
use serde::{Deserialize, Serialize};

use super::{Change, newest_entry};
use crate::{Error, Kind, Result, schema::Base};

/// The snapshot summary entry and table property that holds all cursors of a table, as JSON.
pub(crate) const KEY: &str = "icehaul.cursors";

/// How far a table has been loaded from one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The column whose value only grows.
    pub column: String,
    /// The highest value loaded, as the source writes it.
    pub value: String,
}

/// The cursors of a table, each by the source that it belongs to.
pub type Cursors = BTreeMap<String, Cursor>;

/// An incremental load's step: the table's cursor for the source must still be `from`, and becomes `to` with the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorMove {
    /// What is read: server, database and table, say. A table keeps one cursor for each source.
    pub source: String,
    /// What the table's cursor was when the rows were read; `None` for the first load.
    pub from: Option<Cursor>,
    /// What it becomes.
    pub to: Cursor,
}

/// The cursors along the history of the current snapshot: the newest ones, else the table's property.
///
/// # Errors
/// [`Kind::UnsupportedFeature`] if someone has written there what is no cursor.
pub(crate) fn cursors(metadata: &TableMetadata) -> Result<Cursors> {
    let newest = newest_entry(metadata, metadata.current_snapshot(), KEY);
    let Some(text) = newest.or_else(|| metadata.properties().get(KEY)) else { return Ok(Cursors::new()) };
    serde_json::from_str(text).map_err(|e| {
        Error::new(Kind::UnsupportedFeature, format!("the table's `{KEY}` is not readable: correct or remove it"))
            .caused_by(e)
    })
}

/// What a commit makes of the cursors; `None` if they stay. An overwrite ends those of all sources: their rows are gone.
///
/// # Errors
/// [`Kind::CursorMoved`] if the step does not begin where the table's cursor is now.
pub(super) fn moved(step: Option<&CursorMove>, change: &Change, now: Option<&Base>) -> Result<Option<Cursors>> {
    let before = now.map_or_else(|| Ok(Cursors::new()), |base| cursors(&base.metadata))?;
    let mut after = match change {
        Change::Append | Change::Create | Change::Replace(_) => before.clone(),
        Change::Overwrite => Cursors::new(),
    };
    if let Some(step) = step {
        let found = before.get(&step.source);
        if found != step.from.as_ref() {
            return Err(conflict(step, found));
        }
        after.insert(step.source.clone(), step.to.clone());
    }
    Ok((after != before).then_some(after))
}

fn conflict(step: &CursorMove, found: Option<&Cursor>) -> Error {
    let show = |cursor: Option<&Cursor>| {
        cursor.map_or_else(|| "not set".to_owned(), |cursor| format!("at `{}` of `{}`", cursor.value, cursor.column))
    };
    let (then, now) = (show(step.from.as_ref()), show(found));
    let message = format!("the cursor for {} was {then} when the rows were read and is {now} now", step.source);
    Error::new(Kind::CursorMoved, message)
}
