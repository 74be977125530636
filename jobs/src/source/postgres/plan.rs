//! From a request to splits: one snapshot, checked columns, and what every reader needs.
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use serde_json::{Map, json};
use tokio_postgres::types::Type;

use super::{
    catalog::Catalog,
    cursor::{self, Found},
    decode::Layout,
    ident,
    relation::{Part, Relation},
    select::{Base, Select},
    session::Session,
    types::{MONEY_DIGITS, Way, way},
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

/// What the readers of a plan share. It lives as long as the plan, and with it the transaction that the snapshot is of.
pub(super) struct Held {
    endpoint: Arc<Endpoint>,
    select: Select,
    pub(super) layout: Layout,
    snapshot: Option<String>,
    /// When the load began: the `scraped_at` of all its rows.
    pub(super) at: DateTime<Utc>,
    /// Sessions of the snapshot that nobody uses now; at first the one that has planned.
    idle: Mutex<Vec<Session>>,
}

impl Held {
    /// The statement that sends a part of the rows.
    pub(super) fn copy(&self, part: Part) -> String {
        self.select.copy(part)
    }

    /// See [`Endpoint::told`].
    pub(super) fn told(&self, error: Error) -> Error {
        self.endpoint.told(error)
    }

    /// A session of the snapshot, one that is there or a new one.
    pub(super) async fn session(&self) -> Result<Session> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match (idle, &self.snapshot) {
            (Some(session), _) => Ok(session),
            (None, Some(snapshot)) => self.endpoint.session(Some(snapshot)).await,
            (None, None) => {
                Err(Error::new(Code::Internal, "a split of a plan without a shared snapshot is read twice"))
            }
        }
    }

    /// Takes a session back for the next split.
    pub(super) fn put_back(&self, session: Session) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
    }
}

/// Looks at the source within one transaction.
pub(super) async fn plan(source: &DatabaseRequest, ctx: &Ctx, wish: &Wish) -> Result<Plan> {
    let endpoint = Arc::new(source.endpoint(ctx, Dialect::Postgres)?);
    let readers = usize::from(source.parallelism.unwrap_or(0));
    let readers = if readers == 0 { ctx.limits.parallelism } else { readers };
    let planning = async {
        match Planner::new(&endpoint, source, ctx).await?.plan(wish, readers).await? {
            Outcome::Planned(plan) => Ok(*plan),
            Outcome::NoSnapshot => match Planner::new(&endpoint, source, ctx).await?.plan(wish, 1).await? {
                Outcome::Planned(plan) => Ok(*plan),
                Outcome::NoSnapshot => Err(Error::new(Code::Internal, "one reader needs no shared snapshot")),
            },
        }
    };
    planning.await.map_err(|e| endpoint.told(e))
}

enum Outcome {
    Planned(Box<Plan>),
    /// The server cannot share its snapshot between connections; the transaction is lost.
    NoSnapshot,
}

struct Planner<'a> {
    endpoint: Arc<Endpoint>,
    source: &'a DatabaseRequest,
    limits: &'a Limits,
    session: Session,
}

impl<'a> Planner<'a> {
    async fn new(endpoint: &Arc<Endpoint>, source: &'a DatabaseRequest, ctx: &'a Ctx) -> Result<Self> {
        let session = endpoint.session(None).await?;
        Ok(Self { endpoint: endpoint.clone(), source, limits: &ctx.limits, session })
    }

    async fn plan(mut self, wish: &Wish, readers: usize) -> Result<Outcome> {
        self.check_role().await?;
        let (base, relation) = self.base().await?;
        let columns = self.columns(&base).await?;
        let (ways, mut notes) = self.ways(&columns).await?;
        let names = columns.iter().map(|c| c.0.as_str());
        let mut select = Select::new(base, names.clone().zip(&ways));
        let (mut parts, mut step) = (vec![Part::All], None);
        let first_load = wish.cursor.as_ref().is_none_or(|cursor| cursor.after.is_none());
        if let Some(cursor) = &wish.cursor {
            let types: Vec<_> = columns.iter().map(|(name, ty, _)| (name.clone(), ty.clone())).collect();
            match cursor::find(&mut self.session, &select.base, &types, cursor).await? {
                Found::Nothing => parts = vec![Part::Nothing],
                Found::Rows { filter, to, note } => {
                    select.filter = Some(filter);
                    step = Some(to);
                    notes.extend(note);
                }
            }
        }
        // Later loads take few rows, which an index finds best; ranges of pages would forbid it.
        if let (Some(relation), [Part::All], true) = (&relation, parts.as_slice(), first_load) {
            parts = relation.parts(readers);
        }
        self.check_is_query(&select).await?;
        let snapshot = match parts.len() {
            1 => None,
            _ => match self.session.text("SELECT pg_catalog.pg_export_snapshot()", &[]).await {
                Ok(Some(id)) => Some(id),
                Ok(None) | Err(_) => return Ok(Outcome::NoSnapshot),
            },
        };
        let carried: Vec<_> = names.map(ToOwned::to_owned).zip(ways.iter().map(|way| way.kind.clone())).collect();
        let layout = Layout::new(&carried);
        let estimate = relation.filter(|_| self.source.condition.is_none() && wish.cursor.is_none());
        let held = Held {
            endpoint: self.endpoint.clone(),
            select,
            layout: layout.clone(),
            snapshot,
            at: Utc::now(),
            idle: Mutex::new(vec![self.session]),
        };
        Ok(Outcome::Planned(Box::new(Plan {
            origin: self.endpoint.origin(),
            schema: layout.schema,
            lineage: LINEAGE,
            splits: parts.iter().enumerate().map(|(index, part)| Split { index, part: json!(part) }).collect(),
            parallelism: self.source.parallelism.map(usize::from),
            rows_estimate: estimate.and_then(|relation| relation.rows_estimate),
            files: None,
            cursor: step,
            type_notes: notes,
            hold: Some(Box::new(Arc::new(held))),
            unchanged: false,
            summary: BTreeMap::default(),
            told: Map::default(),
        })))
    }

    /// Refuses a role for which a read-only transaction is no bound: it could run programs and read or write files.
    async fn check_role(&mut self) -> Result<()> {
        if self.endpoint.allow_superuser {
            return Ok(());
        }
        // A member of a role may become that role, whether or not it inherits its rights.
        let sql = "SELECT CASE WHEN me.rolsuper THEN 'a superuser' ELSE (
                SELECT 'a member of ' || pg_catalog.string_agg(power.rolname, ', ') FROM pg_catalog.pg_roles power
                WHERE (power.rolsuper OR power.rolname IN
                    ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files'))
                AND pg_catalog.pg_has_role(me.oid, power.oid, 'MEMBER')) END
            FROM pg_catalog.pg_roles me WHERE me.rolname = SESSION_USER";
        match self.session.text(sql, &[]).await? {
            None => Ok(()),
            Some(power) => Err(Error::new(
                Code::RoleTooPowerful,
                format!(
                    "the role `{}` is {power}, so a query could do more than read; use a role that may only SELECT, or \
                     set `allow_superuser` if every query is trusted",
                    self.endpoint.user
                ),
            )),
        }
    }

    /// The checked query or table.
    async fn base(&mut self) -> Result<(Base, Option<Relation>)> {
        if let Some(query) = &self.source.query {
            let one = single_statement(query, Dialect::Postgres)
                .ok_or_else(|| not_allowed("`query` must be one statement"))?;
            return Ok((Base::Query(one.to_owned()), None));
        }
        let name = self.source.table.as_deref().unwrap_or_default();
        let name =
            TableRef::parse(name, Dialect::Postgres).map_err(|why| Error::field("table", Code::InvalidField, why))?;
        let relation = Relation::find(&mut self.session, &name).await?;
        let columns: Vec<_> = self.source.columns.iter().map(|c| ident(c)).collect();
        let table = |condition| Base::Table { name: relation.name.clone(), columns: columns.clone(), condition };
        if let Some(condition) = &self.source.condition {
            // Valid without brackets means that none of its own brackets closes ours.
            let bare = format!("{} WHERE {condition}", table(None).sql(Part::All));
            self.session.describe(&bare, false).await?;
        }
        Ok((table(self.source.condition.clone()), Some(relation)))
    }

    /// The columns as the server names them: name, type, type modifier.
    async fn columns(&mut self, base: &Base) -> Result<Vec<(String, Type, i32)>> {
        let statement = self.session.describe(&base.sql(Part::All), matches!(base, Base::Query(_))).await?;
        if statement.parameters > 0 {
            return Err(not_allowed("the query has parameters such as $1, for which there are no values"));
        }
        let columns = statement.columns;
        check_columns(columns.iter().map(|(name, ..)| name.as_str()), self.limits)?;
        let catalog = Catalog::of(&mut self.session, columns.iter().map(|column| column.1)).await?;
        let typed = columns.into_iter().map(|(name, oid, modifier)| match catalog.get(oid) {
            Some(ty) => Ok((name, ty, modifier)),
            None => Err(Error::new(
                Code::UnsupportedType,
                format!("the column `{name}` is of a type that is nested too deep; cast it in the query"),
            )),
        });
        typed.collect()
    }

    /// How each column is carried, and a note for each that is not carried as itself.
    async fn ways(&mut self, columns: &[(String, Type, i32)]) -> Result<(Vec<Way>, Vec<TypeNote>)> {
        let money = match columns.iter().any(|(_, ty, _)| matches!(*ty, Type::MONEY | Type::MONEY_ARRAY)) {
            true => self.money_digits().await?,
            false => 0,
        };
        let (mut ways, mut notes) = (Vec::with_capacity(columns.len()), Vec::new());
        for (name, ty, modifier) in columns {
            let found = way(ty, *modifier, money);
            if found.as_ref().is_none_or(|way| way.note.is_some()) {
                let named = "SELECT pg_catalog.format_type($1, $2)";
                let named = self.session.text(named, &[&ty.oid().to_string(), &modifier.to_string()]).await?;
                let source_type = named.unwrap_or_else(|| ty.name().to_owned());
                let Some(way) = &found else {
                    return Err(Error::new(
                        Code::UnsupportedType,
                        format!(
                            "the column `{name}` is of the type {source_type}, which has no values; cast it in the query"
                        ),
                    ));
                };
                let note = way.note.unwrap_or_default().to_owned();
                notes.push(TypeNote { column: name.clone(), source_type, table_type: way.kind.iceberg(), note });
            }
            ways.extend(found);
        }
        Ok((ways, notes))
    }

    /// How many digits the server's currency has after the point.
    async fn money_digits(&mut self) -> Result<u8> {
        let sql = "SELECT pg_catalog.scale(0::money::pg_catalog.numeric)::pg_catalog.text";
        let digits = self.session.text(sql, &[]).await?.and_then(|digits| digits.parse().ok());
        digits.filter(|digits| *digits <= MONEY_DIGITS).ok_or_else(|| {
            let why = "the currency of the server's `lc_monetary` has no digits that a decimal could have; cast money to \
                       numeric in the query";
            Error::new(Code::UnsupportedType, why)
        })
    }

    /// EXPLAIN, SHOW and their like give columns too, but cannot be copied from.
    async fn check_is_query(&mut self, select: &Select) -> Result<()> {
        match self.session.describe(&select.copy(Part::All), false).await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Code::QueryError => {
                Err(not_allowed("only a query (SELECT, VALUES, TABLE, WITH) can be read").caused_by(error))
            }
            Err(error) => Err(error),
        }
    }
}
