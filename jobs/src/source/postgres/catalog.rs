//! Types that are not built in, from the server's catalog.
use std::collections::{BTreeSet, HashMap};

use tokio_postgres::types::{Kind, Type};

use super::session::Session;
use crate::Result;

/// How deep types may be nested: an array of a domain over a domain over an integer has four levels.
const MOST_LEVELS: usize = 32;

/// The types that are known, by their ids.
#[derive(Default)]
pub(super) struct Catalog(HashMap<u32, Entry>);

struct Entry {
    name: String,
    /// `pg_type.typtype`.
    kind: String,
    /// What a domain is over, or an array of; 0 for all else.
    inner: u32,
}

impl Catalog {
    /// Looks up those of the types that are not built in, and what they are made of, one level at a time.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn of(session: &mut Session, types: impl Iterator<Item = u32>) -> Result<Self> {
        let mut catalog = Self::default();
        let mut unknown: BTreeSet<u32> = types.filter(|oid| Type::from_oid(*oid).is_none()).collect();
        for _ in 0..MOST_LEVELS {
            if unknown.is_empty() {
                break;
            }
            let list = unknown.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
            let sql = "SELECT oid, typname, typtype,
                    CASE WHEN typbasetype <> 0 THEN typbasetype WHEN typlen = -1 THEN typelem ELSE 0 END
                FROM pg_catalog.pg_type WHERE oid = ANY ($1::pg_catalog.oid[])";
            let rows = session.rows(sql, &[&format!("{{{list}}}")]).await?;
            unknown.clear();
            for row in rows {
                let [Some(oid), Some(name), Some(kind), Some(inner)] = row.as_slice() else { continue };
                let (Ok(oid), Ok(inner)) = (oid.parse(), inner.parse()) else { continue };
                catalog.0.insert(oid, Entry { name: name.clone(), kind: kind.clone(), inner });
                if inner != 0 && Type::from_oid(inner).is_none() {
                    unknown.insert(inner);
                }
            }
            unknown.retain(|oid| !catalog.0.contains_key(oid));
        }
        Ok(catalog)
    }

    /// A type; `None` if it is not in the catalog, or nested too deep.
    pub(super) fn get(&self, oid: u32) -> Option<Type> {
        self.within(oid, MOST_LEVELS)
    }

    fn within(&self, oid: u32, levels: usize) -> Option<Type> {
        if let Some(known) = Type::from_oid(oid) {
            return Some(known);
        }
        let entry = self.0.get(&oid)?;
        let inner = || self.within(entry.inner, levels.checked_sub(1)?);
        let kind = match (entry.kind.as_str(), entry.inner) {
            ("e", _) => Kind::Enum(Vec::new()),
            ("p", _) => Kind::Pseudo,
            ("d", _) => Kind::Domain(inner()?),
            ("b", 0) => Kind::Simple,
            ("b", _) => Kind::Array(inner()?),
            // Rows, ranges and whatever may come: what they are made of does not matter.
            _ => Kind::Composite(Vec::new()),
        };
        Some(Type::new(entry.name.clone(), oid, kind, String::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: &str, inner: u32) -> Entry {
        Entry { name: "t".into(), kind: kind.into(), inner }
    }

    #[test]
    fn nested_types_have_an_end() {
        let int4 = Type::INT4.oid();
        let chain = |length: u32| {
            let first = (100_000, entry("d", int4));
            Catalog((1..length).map(|n| (100_000 + n, entry("d", 99_999 + n))).chain([first]).collect())
        };
        assert_eq!(chain(32).get(100_031).map(|ty| ty.name().to_owned()), Some("t".into()));
        assert_eq!(chain(34).get(100_033), None);
        let circle = Catalog([(100_000, entry("b", 100_001)), (100_001, entry("b", 100_000))].into());
        assert_eq!(circle.get(100_000), None);
        let array = Catalog([(100_000, entry("b", int4))].into()).get(100_000);
        assert_eq!(array.map(|ty| ty.kind().clone()), Some(Kind::Array(Type::INT4)));
    }
}
