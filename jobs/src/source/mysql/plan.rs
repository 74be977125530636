//! From a request to splits: one snapshot, checked columns, and what every reader needs.
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use mysql_async::{
    Column,
    consts::{ColumnFlags, ColumnType},
};
use serde_json::{Map, json};

use super::{
    cursor::{self, Found},
    fault, ident,
    relation::{Part, Relation},
    select::{Base, Select},
    session::Session,
    types::{Carried, Layout, check, way},
};
use crate::{
    Code, Ctx, Error, Result,
    config::Limits,
    source::{
        Plan, Split, TypeNote, Wish,
        database::{
            DatabaseRequest, Dialect, Endpoint, LINEAGE, TableRef, check_columns, not_allowed, single_statement,
        },
    },
};

/// What the readers of a plan share. It lives as long as the plan, and with it the snapshots.
pub(super) struct Held {
    endpoint: Arc<Endpoint>,
    select: Select,
    pub(super) layout: Layout,
    /// The columns of the statement.
    columns: Vec<Described>,
    /// When the load began: the `scraped_at` of all its rows.
    pub(super) at: DateTime<Utc>,
    /// Sessions of the snapshot that nobody uses now.
    idle: Mutex<Vec<Session>>,
}

impl Held {
    /// The statement that gives a part of the rows.
    pub(super) fn sql(&self, part: Part) -> String {
        self.select.sql(part)
    }

    /// See [`Endpoint::told`].
    pub(super) fn told(&self, error: Error) -> Error {
        self.endpoint.told(error)
    }

    /// See [`Endpoint::patience`].
    pub(super) fn patience(&self) -> Duration {
        self.endpoint.patience()
    }

    /// A session of the snapshot. As many splits are read at once as there are sessions.
    pub(super) fn session(&self) -> Result<Session> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.ok_or_else(|| {
            Error::new(Code::SourceInterrupted, "the connection that had the snapshot of the rows is gone")
        })
    }

    /// Takes a session back for the next split.
    pub(super) fn put_back(&self, session: Session) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
    }

    /// Whether the columns are those that were planned: a table may be altered meanwhile.
    pub(super) fn check(&self, columns: &[Column]) -> Result<()> {
        match columns.iter().map(described).eq(self.columns.iter().cloned()) {
            true => Ok(()),
            false => Err(Error::new(Code::SourceInterrupted, "the columns have changed since the load began")),
        }
    }
}

/// What makes a column another one: its name, type, length, digits after the point, character set and flags.
type Described = (String, ColumnType, u32, u8, u16, ColumnFlags);

fn described(column: &Column) -> Described {
    let (name, ty) = (column.name_str().into_owned(), column.column_type());
    (name, ty, column.column_length(), column.decimals(), column.character_set(), column.flags())
}

/// Looks at the source within one snapshot.
pub(super) async fn plan(source: &DatabaseRequest, ctx: &Ctx, wish: &Wish) -> Result<Plan> {
    let endpoint = Arc::new(source.endpoint(ctx, Dialect::MySql)?);
    let planning = async { Planner::new(&endpoint, source, &ctx.limits).await?.plan(wish).await };
    planning.await.map_err(|e| endpoint.told(e))
}

struct Planner<'a> {
    endpoint: Arc<Endpoint>,
    source: &'a DatabaseRequest,
    limits: &'a Limits,
    session: Session,
    /// Further sessions of the same snapshot.
    others: Vec<Session>,
}

impl<'a> Planner<'a> {
    async fn new(endpoint: &Arc<Endpoint>, source: &'a DatabaseRequest, limits: &'a Limits) -> Result<Self> {
        let session = Session::open(endpoint, limits.max_cell_bytes).await?;
        Ok(Self { endpoint: endpoint.clone(), source, limits, session, others: Vec::new() })
    }

    async fn plan(mut self, wish: &Wish) -> Result<Plan> {
        self.check_role().await?;
        let relation = self.relation().await?;
        let base = self.base(relation.as_ref()).await?;
        let columns = self.columns(&base).await?;
        // Later loads take few rows, which an index finds best; ranges of keys would forbid it.
        let first_load = wish.cursor.as_ref().is_none_or(|cursor| cursor.after.is_none());
        let wide = match &relation {
            Some(relation) if first_load => self.share(relation).await?,
            _ => false,
        };
        if !wide {
            self.session.begin(&base.derived(Part::All)).await?;
        }
        let names: Vec<_> = columns.iter().map(|column| column.name_str().into_owned()).collect();
        let (kinds, mut notes) = ways(&names, &columns)?;
        let (outputs, checked) = self.outputs(&base, &names, &kinds).await?;
        let layout = Layout::new(&names, &kinds, checked);
        let (mut select, mut parts, mut step) = (Select { base, outputs, filter: None }, vec![Part::All], None);
        if let Some(cursor) = &wish.cursor {
            match cursor::find(&mut self.session, &select.base, &layout, cursor).await? {
                Found::Nothing => parts = vec![Part::Nothing],
                Found::Rows { filter, to, note } => {
                    select.filter = Some(filter);
                    step = Some(to);
                    notes.extend(note);
                }
            }
        }
        if let (Some(relation), [Part::All]) = (&relation, parts.as_slice()) {
            parts = relation.parts(&mut self.session, 1 + self.others.len()).await?;
        }
        let columns = self.session.describe(&select.sql(Part::All)).await?.1.iter().map(described).collect();
        let estimate = relation.filter(|_| self.source.condition.is_none() && wish.cursor.is_none());
        self.others.push(self.session);
        let readers = self.others.len();
        let held = Held {
            endpoint: self.endpoint.clone(),
            select,
            layout: layout.clone(),
            columns,
            at: Utc::now(),
            idle: Mutex::new(self.others),
        };
        Ok(Plan {
            origin: self.endpoint.origin(),
            schema: layout.schema,
            lineage: LINEAGE,
            splits: parts.iter().enumerate().map(|(index, part)| Split { index, part: json!(part) }).collect(),
            parallelism: Some(readers),
            rows_estimate: estimate.and_then(|relation| relation.rows_estimate),
            files: None,
            cursor: step,
            type_notes: notes,
            hold: Some(Box::new(Arc::new(held))),
            unchanged: false,
            summary: BTreeMap::default(),
            told: Map::default(),
        })
    }

    /// What is selected of the columns, and those that have a check; nothing if they are selected as they are.
    async fn outputs(&mut self, base: &Base, names: &[String], kinds: &[Carried]) -> Result<(Vec<String>, Vec<usize>)> {
        let charsets = match kinds.contains(&Carried::Text) {
            true => self.session.charsets(&base.sql(Part::All)).await?,
            false => vec![None; kinds.len()],
        };
        let (mut checks, mut checked) = (Vec::new(), Vec::new());
        for (index, charset) in charsets.iter().enumerate().filter(|(index, _)| kinds[*index] == Carried::Text) {
            let Some(charset) = charset else {
                let why = format!("the column `{}` is of a character set that is not known; cast it", names[index]);
                return Err(Error::new(Code::UnsupportedType, why));
            };
            if let Some(check) = check(&ident(&names[index]), charset) {
                checks.push(check);
                checked.push(index);
            }
        }
        let outputs: Vec<_> = names.iter().zip(kinds).map(|(name, kind)| kind.output(&ident(name))).collect();
        let plain = checks.is_empty()
            && names.iter().zip(&outputs).all(|(name, output)| *output == format!("q.{}", ident(name)));
        Ok((if plain { Vec::new() } else { outputs.into_iter().chain(checks).collect() }, checked))
    }

    /// Refuses a user for whom a read-only transaction is no bound: it could read and write files of the server.
    async fn check_role(&mut self) -> Result<()> {
        if self.endpoint.allow_superuser {
            return Ok(());
        }
        let grants = self.session.rows("SHOW GRANTS", &[]).await?;
        match grants.iter().flatten().flatten().any(|grant| permits_files(grant)) {
            false => Ok(()),
            true => Err(Error::new(
                Code::RoleTooPowerful,
                format!(
                    "the user `{}` has the privilege FILE, so a query could do more than read tables; use a user that may \
                     only SELECT, or set `allow_superuser` if every query is trusted",
                    self.endpoint.user
                ),
            )),
        }
    }

    async fn relation(&mut self) -> Result<Option<Relation>> {
        let Some(name) = self.source.table.as_deref().filter(|_| self.source.query.is_none()) else { return Ok(None) };
        let name =
            TableRef::parse(name, Dialect::MySql).map_err(|why| Error::field("table", Code::InvalidField, why))?;
        Relation::find(&mut self.session, &name).await.map(Some)
    }

    /// Opens as many connections as the request wishes, in one state of the table; tells whether it did. What a condition
    /// reads of other tables could be in another state there.
    async fn share(&mut self, relation: &Relation) -> Result<bool> {
        let readers = usize::from(self.source.parallelism.unwrap_or(1));
        if readers < 2 || relation.key.is_none() || self.reads_elsewhere().await? {
            return Ok(false);
        }
        let most = self.limits.max_cell_bytes;
        self.others = Session::snapshots(&self.endpoint, most, &relation.name, readers).await?;
        self.others.pop().map(|session| self.session = session).ok_or_else(fault::interrupted)?;
        Ok(true)
    }

    /// Whether the condition may read other tables: by a query within it, or by a function that is stored in the database.
    async fn reads_elsewhere(&mut self) -> Result<bool> {
        let Some(condition) = &self.source.condition else { return Ok(false) };
        if condition.to_ascii_lowercase().contains("select") {
            return Ok(true);
        }
        let sql = "SELECT 1 FROM information_schema.ROUTINES WHERE ROUTINE_TYPE = 'FUNCTION' \
                   AND INSTR(LOWER(?), LOWER(ROUTINE_NAME)) > 0 LIMIT 1";
        Ok(!self.session.rows(sql, &[Some(condition.clone())]).await?.is_empty())
    }

    /// The checked query or table.
    async fn base(&mut self, relation: Option<&Relation>) -> Result<Base> {
        let Some(relation) = relation else {
            let query = self.source.query.as_deref().unwrap_or_default();
            let one = single_statement(query, Dialect::MySql);
            return Ok(Base::Query(one.ok_or_else(|| not_allowed("`query` must be one statement"))?.to_owned()));
        };
        let columns: Vec<_> = self.source.columns.iter().map(|c| ident(c)).collect();
        let table = |condition| Base::Table {
            name: relation.name.clone(),
            columns: columns.clone(),
            condition,
            key: relation.key.clone().unwrap_or_default(),
        };
        if let Some(condition) = &self.source.condition {
            // Valid without brackets means that none of its own brackets closes ours.
            let bare = format!("{} WHERE {condition}", table(None).sql(Part::All));
            self.session.describe(&bare).await?;
        }
        Ok(table(self.source.condition.clone()))
    }

    /// The columns as the server describes them.
    async fn columns(&mut self, base: &Base) -> Result<Arc<[Column]>> {
        let (parameters, columns) = self.session.describe(&base.sql(Part::All)).await?;
        if parameters > 0 {
            return Err(not_allowed("the query has parameters such as ?, for which there are no values"));
        }
        let names: Vec<_> = columns.iter().map(Column::name_str).collect();
        check_columns(names.iter().map(AsRef::as_ref), self.limits)?;
        Ok(columns)
    }
}

/// How each column is carried, and a note for each that is not carried as itself.
fn ways(names: &[String], columns: &[Column]) -> Result<(Vec<Carried>, Vec<TypeNote>)> {
    let (mut kinds, mut notes) = (Vec::with_capacity(columns.len()), Vec::new());
    for (name, column) in names.iter().zip(columns) {
        let Some(way) = way(column) else {
            return Err(Error::new(
                Code::UnsupportedType,
                format!("the column `{name}` is of a type that is not known; cast it in the query"),
            ));
        };
        kinds.push(way.kind);
        notes.extend(way.note.map(|(source_type, note)| TypeNote {
            column: name.clone(),
            source_type: source_type.to_owned(),
            table_type: way.kind.iceberg(),
            note: note.to_owned(),
        }));
    }
    Ok((kinds, notes))
}

/// Whether a line of SHOW GRANTS gives the privilege to read and write files of the server.
fn permits_files(grant: &str) -> bool {
    let Some((privileges, _)) = grant.strip_prefix("GRANT ").and_then(|rest| rest.split_once(" ON *.* TO ")) else {
        return false;
    };
    privileges.split(", ").any(|privilege| matches!(privilege, "ALL PRIVILEGES" | "FILE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_tell_who_may_touch_files() {
        for powerful in
            ["GRANT ALL PRIVILEGES ON *.* TO `root`@`%` WITH GRANT OPTION", "GRANT SELECT, FILE ON *.* TO `a`@`%`"]
        {
            assert!(permits_files(powerful), "{powerful}");
        }
        for bound in [
            "GRANT USAGE ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD '*FILE'",
            "GRANT ALL PRIVILEGES ON `shop`.* TO `a`@`%`",
            "GRANT SELECT, SHOW VIEW ON *.* TO `FILE`@`%`",
            "GRANT `reader`@`%` TO `a`@`%`",
        ] {
            assert!(!permits_files(bound), "{bound}");
        }
    }
}
