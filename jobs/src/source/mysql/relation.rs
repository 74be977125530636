//! A table: what it is, and cutting it into ranges of its key.
use serde::{Deserialize, Serialize};

use super::{ident, session::Session};
use crate::{
    Code, Error, Result,
    source::database::{Dialect, TableRef},
};

/// Splits per reader, so that none of them waits long for the last one.
const SPLITS_PER_READER: i128 = 4;

/// Which rows of the source a split takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Part {
    /// All.
    All,
    /// Those whose key is from `from` to below `to`.
    Keys { from: Option<i128>, to: Option<i128> },
    /// None: there is nothing new.
    Nothing,
}

impl Part {
    /// The condition on a table's rows.
    pub(super) fn condition(self, key: &str) -> Option<String> {
        match self {
            Self::All => None,
            Self::Nothing => Some("false".into()),
            Self::Keys { from, to } => {
                let bound = |bound: Option<i128>, sign| bound.map(|value| format!("{key} {sign} {value}"));
                let bounds: Vec<_> = [bound(from, ">="), bound(to, "<")].into_iter().flatten().collect();
                (!bounds.is_empty()).then(|| bounds.join(" AND "))
            }
        }
    }
}

/// A table or view.
#[derive(Debug)]
pub(super) struct Relation {
    /// Its quoted name.
    pub name: String,
    /// The number of rows, as the engine estimates it.
    pub rows_estimate: Option<u64>,
    /// Its key, quoted, if it is one column of integers and the table is one that snapshots are made of.
    pub key: Option<String>,
}

impl Relation {
    /// Looks it up.
    ///
    /// # Errors
    /// [`Code::SourceTableNotFound`], [`Code::PermissionDenied`], and the server's.
    pub(super) async fn find(session: &mut Session, table: &TableRef) -> Result<Self> {
        let name = table.quoted(Dialect::MySql);
        let parameters = [table.schema.clone(), Some(table.table.clone())];
        let found = session
            .rows(
                "SELECT TABLE_TYPE, ENGINE, TABLE_ROWS FROM information_schema.TABLES \
                 WHERE TABLE_SCHEMA = COALESCE(?, DATABASE()) AND TABLE_NAME = ?",
                &parameters,
            )
            .await?;
        let Some([kind, engine, rows]) = found.into_iter().next().and_then(|row| <[_; 3]>::try_from(row).ok()) else {
            // What the user may not read is not listed either: asked for, the server says which of both it is.
            session.rows(&format!("SELECT 1 FROM {name} LIMIT 0"), &[]).await?;
            let why = format!("there is no table {name} that the user can see; give it as `database.table`");
            return Err(Error::new(Code::SourceTableNotFound, why));
        };
        let is =
            |text: &Option<String>, what: &str| text.as_deref().is_some_and(|text| text.eq_ignore_ascii_case(what));
        let is_table = is(&kind, "BASE TABLE");
        let keys = session
            .rows(
                "SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS \
                 WHERE TABLE_SCHEMA = COALESCE(?, DATABASE()) AND TABLE_NAME = ? AND COLUMN_KEY = 'PRI'",
                &parameters,
            )
            .await?;
        let key = match keys.as_slice() {
            [row] => match row.as_slice() {
                [Some(name), Some(ty)] if is_table && is(&engine, "InnoDB") && is_integer(ty) => Some(ident(name)),
                _ => None,
            },
            _ => None,
        };
        Ok(Self { name, rows_estimate: rows.filter(|_| is_table).and_then(|rows| rows.parse().ok()), key })
    }

    /// Parts that together have every row once, cut at even distances of the key between its least and its greatest value.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn parts(&self, session: &mut Session, readers: usize) -> Result<Vec<Part>> {
        let Some(key) = self.key.as_ref().filter(|_| readers > 1) else { return Ok(vec![Part::All]) };
        let ends = session.rows(&format!("SELECT MIN({key}), MAX({key}) FROM {}", self.name), &[]).await?;
        let end = |n: usize| ends.first()?.get(n)?.as_deref()?.parse::<i128>().ok();
        let (Some(least), Some(greatest)) = (end(0), end(1)) else { return Ok(vec![Part::All]) };
        Ok(cut(least, greatest, readers as i128 * SPLITS_PER_READER))
    }
}

fn is_integer(ty: &str) -> bool {
    ["tinyint", "smallint", "mediumint", "int", "bigint"].iter().any(|name| ty.eq_ignore_ascii_case(name))
}

/// The first and the last range have no end, so that no key can be outside.
fn cut(least: i128, greatest: i128, wanted: i128) -> Vec<Part> {
    let span = greatest - least + 1;
    let wanted = wanted.min(span).max(1);
    let border = |n: i128| (0 < n && n < wanted).then(|| least + span * n / wanted);
    (0..wanted).map(|n| Part::Keys { from: border(n), to: border(n + 1) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_every_key_once() {
        for (least, greatest, wanted, count) in [
            (1, 100, 8, 8),
            (-5, 5, 4, 4),
            (7, 7, 8, 1),
            (0, i128::from(u64::MAX), 16, 16),
            (i128::from(i64::MIN), i128::from(i64::MAX), 3, 3),
        ] {
            let parts = cut(least, greatest, wanted);
            assert_eq!(parts.len(), count);
            let bounds = |part: &Part| match *part {
                Part::Keys { from, to } => (from, to),
                _ => panic!("no range"),
            };
            assert_eq!((bounds(&parts[0]).0, bounds(&parts[count - 1]).1), (None, None));
            for pair in parts.windows(2) {
                assert_eq!(bounds(&pair[0]).1, bounds(&pair[1]).0);
                assert!(bounds(&pair[0]).1.is_some());
            }
            let carried: Vec<Part> =
                serde_json::from_value(serde_json::json!(parts)).expect("what a split carries can be read");
            assert_eq!(carried, parts);
        }
        assert_eq!(Part::Keys { from: Some(-3), to: None }.condition("`k`").as_deref(), Some("`k` >= -3"));
        assert_eq!(Part::Keys { from: None, to: None }.condition("`k`"), None);
    }
}
