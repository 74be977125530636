//! Which columns are compared.
use icehaul_lake::Column;

use super::{VerifyTables, side::Side};
use crate::{Code, Error, Result};

impl VerifyTables {
    /// Leaves the columns that are compared; gives the names of the others. A column of one side only stays if it is meant: that
    /// it is not on the other side is a difference.
    pub(super) fn choose(
        &self,
        source: &Side,
        destination: &Side,
        here: &mut Vec<Column>,
        there: &mut Vec<Column>,
    ) -> Result<Vec<String>> {
        let known = |name: &String| here.iter().chain(there.iter()).any(|column| column.name == *name);
        let mut left_out = Vec::new();
        if let Some(mut chosen) = self.meant(source, destination) {
            if self.source_columns {
                // Columns may have got other names since they were loaded.
                left_out.extend(chosen.extract_if(.., |name| !known(name)));
                if chosen.is_empty() {
                    let detail = "no load of Icehaul has noted columns that these tables have; give `columns`";
                    return Err(Error::field("source_columns", Code::SourceColumnNotFound, detail));
                }
            }
            if let Some((n, name)) = chosen.iter().enumerate().find(|(_, name)| !known(name)) {
                return Err(unknown(&format!("columns.{n}"), name, here));
            }
            for columns in [here.as_mut_slice(), there.as_mut_slice()] {
                let others = columns.iter().map(|column| &column.name).filter(|name| !chosen.contains(name));
                left_out.extend(others.cloned());
            }
            here.retain(|column| chosen.contains(&column.name));
            there.retain(|column| chosen.contains(&column.name));
        }
        let shared =
            |name: &String| [&*here, &*there].iter().all(|side| side.iter().any(|column| column.name == *name));
        if let Some((n, name)) = self.key.iter().enumerate().find(|(_, name)| !shared(name)) {
            return Err(unknown(&format!("key.{n}"), name, here));
        }
        left_out.sort();
        left_out.dedup();
        Ok(left_out)
    }

    /// The columns that the request means; `None` for all of them.
    fn meant(&self, source: &Side, destination: &Side) -> Option<Vec<String>> {
        if !self.source_columns {
            return (!self.columns.is_empty()).then(|| self.columns.clone());
        }
        Some([source, destination].into_iter().filter_map(Side::source_columns).flatten().collect())
    }
}

fn unknown(field: &str, name: &str, here: &[Column]) -> Error {
    let names: Vec<_> = here.iter().map(|column| column.name.as_str()).collect();
    let detail = format!("`{name}` is no column that is compared; those of the source are {}", names.join(", "));
    Error::field(field, Code::SourceColumnNotFound, detail)
}
