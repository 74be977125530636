//! The rows of a database, read as often as a comparison needs: all reads are of the one snapshot that the plan holds.
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use arrow_schema::SchemaRef;
use futures::{
    FutureExt, StreamExt, TryStreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use icehaul_lake::{Batches, Column, Kind, columns_for, measure::Reread};

use crate::{
    Ctx, Error, Result,
    report::TableState,
    source::{MySql, Plan, Postgres, Source, Split, Wish},
    transform::Rows,
};

/// A query or table of a database.
#[derive(Clone)]
pub(super) enum Queried {
    Postgres(Box<Postgres>),
    MySql(Box<MySql>),
}

impl Queried {
    async fn plan(&self, ctx: &Ctx) -> Result<Plan> {
        match self {
            Self::Postgres(source) => source.plan(ctx, &Wish::default()).await,
            Self::MySql(source) => source.plan(ctx, &Wish::default()).await,
        }
    }

    async fn read(&self, ctx: &Ctx, plan: &Plan, split: &Split) -> Result<BoxStream<'static, Result<Rows>>> {
        let read = match self {
            Self::Postgres(source) => source.read(ctx, plan, split).await,
            Self::MySql(source) => source.read(ctx, plan, split).await,
        };
        Ok(read?.stream)
    }

    fn described(&self) -> String {
        match self {
            Self::Postgres(source) => source.described(),
            Self::MySql(source) => source.described(),
        }
    }
}

/// A query or table of a database, planned.
pub(super) struct Database {
    source: Queried,
    ctx: Ctx,
    plan: Arc<Plan>,
    /// What a read failed with: the lake's errors cannot carry it.
    failure: Arc<Mutex<Option<Error>>>,
}

impl Database {
    pub async fn plan(ctx: &Ctx, source: Queried) -> Result<Self> {
        let plan = Arc::new(source.plan(ctx).await?);
        Ok(Self { source, ctx: ctx.clone(), plan, failure: Arc::default() })
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.plan.schema
    }

    /// The names of the columns that a load adds.
    pub fn lineage(&self) -> impl Iterator<Item = &'static str> {
        self.plan.lineage.iter().map(|(name, _)| *name)
    }

    /// The columns that a load makes of it. Whether they may be null a query does not tell: as those of `other`.
    pub fn columns(&self, other: &[Column]) -> Result<Vec<Column>> {
        let mut columns = columns_for(&self.plan.schema)?;
        for column in &mut columns {
            column.nullable = other.iter().find(|other| other.name == column.name).is_none_or(|other| other.nullable);
        }
        Ok(columns)
    }

    pub async fn count(&self) -> Result<u64> {
        let mut rows = 0;
        for mut lane in self.lanes(1) {
            while let Some(read) = self.ctx.stop.or(lane.try_next()).await? {
                rows += read.batch.num_rows() as u64;
            }
        }
        Ok(rows)
    }

    pub fn state(&self) -> TableState {
        TableState { catalog: self.plan.origin.clone(), table: self.source.described(), ..TableState::default() }
    }

    /// What the newest read that failed failed with.
    pub fn failure(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// All splits, shared out among at most so many streams.
    fn lanes(&self, most: usize) -> Vec<BoxStream<'static, Result<Rows>>> {
        let splits = self.plan.splits.len();
        let next = Arc::new(AtomicUsize::new(0));
        let lane = |_| {
            let (source, ctx, plan, next) = (self.source.clone(), self.ctx.clone(), self.plan.clone(), next.clone());
            let claimed = std::iter::from_fn(move || Some(next.fetch_add(1, Relaxed)).filter(|index| *index < splits));
            let reads = stream::iter(claimed).then(move |index| {
                let (source, ctx, plan) = (source.clone(), ctx.clone(), plan.clone());
                async move { source.read(&ctx, &plan, &plan.splits[index]).await }
            });
            reads.try_flatten().boxed()
        };
        (0..self.plan.parallelism.unwrap_or(most).min(most).clamp(1, splits.max(1))).map(lane).collect()
    }
}

impl Reread for Database {
    fn open<'a>(&'a self, columns: &'a [String], lanes: usize) -> BoxFuture<'a, icehaul_lake::Result<Vec<Batches>>> {
        let open = async move {
            let misfit = |e| icehaul_lake::Error::new(Kind::Internal, "the rows have other columns").caused_by(e);
            let places: Vec<_> =
                columns.iter().map(|name| self.plan.schema.index_of(name)).collect::<Result<_, _>>().map_err(misfit)?;
            let schema: SchemaRef = self.plan.schema.project(&places).map_err(misfit)?.into();
            let batches = |lane: BoxStream<'static, Result<Rows>>| {
                let (failure, places) = (self.failure.clone(), places.clone());
                let stream = lane.map(move |read| match read {
                    Ok(rows) => rows.batch.project(&places).map_err(misfit),
                    Err(error) => {
                        let told = icehaul_lake::Error::new(Kind::Internal, error.message().to_owned());
                        failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        Err(told)
                    }
                });
                Batches { schema: schema.clone(), stream: stream.boxed() }
            };
            Ok(self.lanes(lanes).into_iter().map(batches).collect())
        };
        open.boxed()
    }
}
