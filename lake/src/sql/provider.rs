//! A table of a lake as `DataFusion` sees it: read on all cores, with projection and pruning.
use std::{
    any::Any,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use arrow_schema::SchemaRef;
use datafusion::{
    catalog::{Session, TableProvider},
    common::DataFusionError,
    datasource::TableType,
    execution::{SendableRecordBatchStream, TaskContext},
    logical_expr::{Expr, TableProviderFilterPushDown},
    physical_plan::{
        ExecutionPlan,
        stream::RecordBatchStreamAdapter,
        streaming::{PartitionStream, StreamingTableExec},
    },
};
use futures::{StreamExt, TryStreamExt};
use iceberg::expr::Predicate;
use tokio::sync::Mutex;

use super::pushdown;
use crate::{At, Batches, Error, Kind, Result, Scan, Table};

/// A table at a state.
#[derive(Clone)]
pub struct LakeTable {
    table: Table,
    at: At,
    since: Option<i64>,
    schema: SchemaRef,
}

impl LakeTable {
    /// # Errors
    /// [`Kind::SnapshotNotFound`], [`Kind::UnsupportedFeature`].
    pub fn new(table: Table, at: At) -> Result<Self> {
        let schema = table.schema_at(at)?;
        Ok(Self { table, at, since: None, schema })
    }

    /// Only rows of files that were added after a snapshot.
    pub fn since(self, since: Option<i64>) -> Self {
        Self { since, ..self }
    }

    pub const fn arrow_schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The condition as the table may be asked for it. Of lists, maps and structs Iceberg does not even know which are null.
    fn pushed(&self, filter: &Expr) -> Option<Predicate> {
        let nested = |name: &str| self.schema.field_with_name(name).is_ok_and(|field| field.data_type().is_nested());
        match filter.column_refs().iter().any(|column| nested(&column.name)) {
            true => None,
            false => pushdown::predicate(filter),
        }
    }
}

impl fmt::Debug for LakeTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.table.name())
    }
}

#[async_trait::async_trait]
impl TableProvider for LakeTable {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> datafusion::error::Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match self.pushed(filter) {
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => self.schema.clone(),
        };
        let scan = Scan {
            at: self.at,
            columns: Some(schema.fields().iter().map(|field| field.name().clone()).collect()),
            filter: filters.iter().filter_map(|filter| self.pushed(filter)).reduce(Predicate::and),
            batch_size: Some(session.config().batch_size()),
            since: self.since,
        };
        let streams = session.config().target_partitions();
        let rounds = Arc::new(Rounds { table: self.table.clone(), scan, streams, started: Mutex::default() });
        let partition = |index| {
            let round = AtomicUsize::new(0);
            Arc::new(Partition { rounds: rounds.clone(), index, round, schema: schema.clone() }) as _
        };
        let partitions: Vec<Arc<dyn PartitionStream>> = (0..streams).map(partition).collect();
        Ok(Arc::new(StreamingTableExec::try_new(schema, partitions, None, None, false, limit)?))
    }
}

/// The executions of a scan: a recursive query reads a table several times. The streams of a round share its files.
struct Rounds {
    table: Table,
    scan: Scan,
    streams: usize,
    started: Mutex<Vec<Vec<Option<Batches>>>>,
}

impl Rounds {
    async fn take(&self, round: usize, index: usize) -> Result<Batches> {
        let mut started = self.started.lock().await;
        while started.len() <= round {
            let streams = self.table.scan_parallel(self.scan.clone(), self.streams).await?;
            started.push(streams.into_iter().map(Some).collect());
        }
        let stream = started[round].get_mut(index).and_then(Option::take);
        stream.ok_or_else(|| Error::new(Kind::Internal, "a part of a table was read twice at once"))
    }
}

struct Partition {
    rounds: Arc<Rounds>,
    index: usize,
    round: AtomicUsize,
    schema: SchemaRef,
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.rounds.table.name(), self.index)
    }
}

impl PartitionStream for Partition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (rounds, index, round) = (self.rounds.clone(), self.index, self.round.fetch_add(1, Ordering::Relaxed));
        let batches = async move { rounds.take(round, index).await.map(|batches| batches.stream) };
        let rows = futures::stream::once(batches).try_flatten();
        let rows = rows.map_err(|error| DataFusionError::External(Box::new(error)));
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), rows.boxed()))
    }
}
