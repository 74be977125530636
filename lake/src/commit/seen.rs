//! What a loaded table tells of commits.
use super::{Committed, Cursors, cursors, find};
use crate::{Result, Table};

impl Table {
    /// The snapshot that an operation has committed, if it has.
    #[must_use]
    pub fn committed(&self, operation: &str) -> Option<Committed> {
        find(self.metadata(), operation).map(|snapshot| Committed::of(&snapshot, true))
    }

    /// How far it has been loaded, by source.
    ///
    /// # Errors
    /// [`crate::Kind::UnsupportedFeature`].
    pub fn cursors(&self) -> Result<Cursors> {
        cursors(self.metadata())
    }

    /// Whether it has rows, as far as its newest snapshot says.
    #[must_use]
    pub fn has_rows(&self) -> bool {
        self.metadata().current_snapshot().is_some_and(|snapshot| {
            snapshot.summary().additional_properties.get("total-records").is_none_or(|count| count != "0")
        })
    }
}
