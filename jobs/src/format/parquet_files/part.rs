//! Row groups, put together to parts.
use std::{ops::Range, sync::Arc};

use icehaul_lake::parquet_file::RowGroup;
use serde::{Deserialize, Serialize};

use crate::{
    Code, Error, Result,
    format::{Blob, Part},
};

/// What a part is to hold at least and at most, compressed, as long as row groups permit.
const LEAST_BYTES: u64 = 4 << 20;
const MOST_BYTES: u64 = 32 << 20;
/// Parts that a single file is cut into if it is large enough, so that all lanes end at about the same time.
const PARTS: u64 = 8;

/// Row groups of a file that follow each other, and how many rows they had when the load was planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Groups {
    from: usize,
    to: usize,
    rows: u64,
}

impl Groups {
    pub(super) fn of(part: &Part) -> Result<Self> {
        serde_json::from_value(part.at.clone())
            .map_err(|e| Error::new(Code::Internal, "a part of a Parquet file is not one of this version").caused_by(e))
    }

    pub(super) const fn range(self) -> Range<usize> {
        self.from..self.to
    }

    /// Refuses a file that has other row groups than when the load was planned.
    pub(super) fn check(self, blob: &Arc<dyn Blob>, groups: &[RowGroup]) -> Result<()> {
        let rows = groups.get(self.range()).map(|groups| groups.iter().map(|group| group.rows).sum());
        match rows == Some(self.rows) {
            true => Ok(()),
            false => Err(Error::new(Code::SourceChanged, format!("`{}` changed while it was read", blob.name()))),
        }
    }
}

/// The parts of a file; row groups without rows are in none of them.
pub(super) fn cut(blob: usize, groups: &[RowGroup], files: usize) -> Result<Vec<Part>> {
    let total: u64 = groups.iter().map(|group| group.bytes).sum();
    let target = if files >= PARTS as usize { MOST_BYTES } else { (total / PARTS).clamp(LEAST_BYTES, MOST_BYTES) };
    let mut parts: Vec<Groups> = Vec::new();
    let mut bytes = 0;
    for (index, group) in groups.iter().enumerate().filter(|(_, group)| group.rows > 0) {
        match parts.last_mut() {
            Some(part) if part.to == index && bytes + group.bytes / 2 <= target => {
                (part.to, part.rows) = (index + 1, part.rows + group.rows);
                bytes += group.bytes;
            }
            _ => {
                parts.push(Groups { from: index, to: index + 1, rows: group.rows });
                bytes = group.bytes;
            }
        }
    }
    let part = |groups: Groups| {
        let at =
            serde_json::to_value(groups).map_err(|e| Error::new(Code::Internal, "a part is no JSON").caused_by(e))?;
        Ok(Part { blob, at })
    };
    parts.into_iter().map(part).collect()
}
