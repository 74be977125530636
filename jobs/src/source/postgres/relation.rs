//! A table: finding it, and cutting it into ranges of pages.
use serde::{Deserialize, Serialize};

use super::session::Session;
use crate::{
    Code, Error, Result,
    source::database::{Dialect, TableRef},
};

/// The smallest part that is worth a split.
const SPLIT_BYTES: i64 = 8 << 20;
/// Splits per reader, so that none of them waits long for the last one.
const SPLITS_PER_READER: i64 = 4;

/// Which rows of the source a split takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Part {
    /// All.
    All,
    /// Those on pages `from..to` of the table, and of each of its partitions.
    Pages { from: i64, to: Option<i64> },
    /// None: there is nothing new.
    Nothing,
}

impl Part {
    /// The condition on a table's rows.
    pub(super) fn condition(self) -> Option<String> {
        match self {
            Self::All => None,
            Self::Nothing => Some("false".into()),
            Self::Pages { from, to: None } => Some(format!("ctid >= '({from},0)'::pg_catalog.tid")),
            Self::Pages { from, to: Some(to) } => {
                Some(format!("ctid >= '({from},0)'::pg_catalog.tid AND ctid < '({to},0)'::pg_catalog.tid"))
            }
        }
    }
}

/// A table, view or other thing that has rows.
#[derive(Debug)]
pub(super) struct Relation {
    /// Its quoted name.
    pub name: String,
    /// The number of rows as of the last ANALYZE.
    pub rows_estimate: Option<u64>,
    /// All its bytes, and the pages of its largest partition; `None` if pages cannot be told apart.
    pages: Option<Pages>,
}

#[derive(Clone, Copy, Debug)]
struct Pages {
    bytes: i64,
    most: i64,
}

impl Relation {
    /// Finds a table by the name as it is written, else by the name in lower case, as SQL would.
    ///
    /// # Errors
    /// [`Code::SourceTableNotFound`], [`Code::PermissionDenied`].
    pub(super) async fn find(session: &mut Session, table: &TableRef) -> Result<Self> {
        let lower =
            TableRef { schema: table.schema.as_ref().map(|s| s.to_lowercase()), table: table.table.to_lowercase() };
        for name in [table, &lower].map(|name| name.quoted(Dialect::Postgres)) {
            let found = session.text("SELECT pg_catalog.to_regclass($1)::pg_catalog.oid", &[name.as_str()]).await?;
            if let Some(oid) = found {
                return Self::measure(session, name, &oid).await;
            }
        }
        Err(Error::new(
            Code::SourceTableNotFound,
            format!(
                "there is no table {} that the role can see; give it as `schema.table`",
                table.quoted(Dialect::Postgres)
            ),
        ))
    }

    /// Only pages of tables and materialized views in PostgreSQL's own storage can be read apart, and only since
    /// version 14 without reading all others too.
    async fn measure(session: &mut Session, name: String, oid: &str) -> Result<Self> {
        let sql = "WITH RECURSIVE family(oid) AS (
                SELECT $1::pg_catalog.oid UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN family f ON i.inhparent = f.oid)
            SELECT pg_catalog.sum(pg_catalog.pg_relation_size(c.oid))::int8,
                   pg_catalog.max(pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::int8),
                   pg_catalog.bool_and(c.relkind = 'p' OR c.relkind IN ('r', 'm') AND a.amname = 'heap')
                       AND pg_catalog.current_setting('server_version_num')::int4 >= 140000,
                   pg_catalog.bool_and(c.relkind IN ('r', 'm', 'p', 'v', 'f')),
                   pg_catalog.sum(c.reltuples) FILTER (WHERE c.relkind <> 'p')::float8,
                   pg_catalog.bool_and(c.reltuples >= 0) FILTER (WHERE c.relkind IN ('r', 'm'))
            FROM family JOIN pg_catalog.pg_class c USING (oid) LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam";
        let mut rows = session.rows(sql, &[oid]).await?;
        let row = rows.pop().unwrap_or_default();
        let [bytes, most, pages, has_rows, estimate, known] = row.as_slice() else { return Err(unreadable()) };
        let number =
            |text: &Option<String>| text.as_deref().map(str::parse::<i64>).transpose().map_err(|_| unreadable());
        let is_true = |text: &Option<String>| text.as_deref() == Some("t");
        let size = number(bytes)?.zip(number(most)?).filter(|_| is_true(pages));
        let estimate = estimate.as_deref().and_then(|rows| rows.parse::<f64>().ok()).filter(|_| is_true(known));
        if !is_true(has_rows) {
            return Err(Error::new(Code::SourceTableNotFound, format!("{name} is neither a table nor a view")));
        }
        Ok(Self {
            name,
            rows_estimate: estimate.map(|rows| rows as u64),
            pages: size.map(|(bytes, most)| Pages { bytes, most }),
        })
    }

    /// Parts that together have every row once. The last one has no end: pages may have been added since.
    pub(super) fn parts(&self, readers: usize) -> Vec<Part> {
        let Some(Pages { bytes, most }) = self.pages.filter(|_| readers > 1) else { return vec![Part::All] };
        let wanted = (bytes / SPLIT_BYTES).min(readers as i64 * SPLITS_PER_READER).min(most);
        if wanted < 2 {
            return vec![Part::All];
        }
        let border = |n: i64| most * n / wanted;
        (0..wanted).map(|n| Part::Pages { from: border(n), to: (n + 1 < wanted).then(|| border(n + 1)) }).collect()
    }
}

fn unreadable() -> Error {
    Error::new(Code::QueryError, "the server's catalog could not be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relation(bytes: i64, most: i64) -> Relation {
        Relation { name: "t".into(), rows_estimate: None, pages: Some(Pages { bytes, most }) }
    }

    #[test]
    fn parts_cover_every_page_once() {
        for (bytes, most, readers, count) in [
            (335 << 20, 42_880, 2, 8),
            (20 << 20, 2560, 2, 2),
            (9 << 20, 1152, 8, 1),
            (1 << 40, 3, 16, 3),
            (0, 0, 4, 1),
        ] {
            let parts = relation(bytes, most).parts(readers);
            assert_eq!(parts.len(), count);
            let mut next = 0;
            for part in &parts {
                if let Part::Pages { from, to } = *part {
                    assert_eq!(from, next);
                    next = to.unwrap_or(i64::MAX);
                    assert!(from < next);
                }
            }
            assert!(count == 1 || next == i64::MAX);
        }
        assert_eq!(relation(335 << 20, 42_880).parts(1), [Part::All]);
    }
}
