//! The rows of one table as a query over it alone gives them, row for row: columns chosen, renamed, cast and computed, rows
//! left out.
use std::collections::BTreeMap;

use datafusion::{
    common::{TableReference, tree_node::TreeNode, tree_node::TreeNodeRecursion},
    error::DataFusionError,
    logical_expr::{Expr, LogicalPlan},
    physical_plan::execute_stream,
};
use futures::StreamExt;

use super::{
    engine, error,
    provider::LakeTable,
    session,
    statement::{Parsed, Statement, parse},
};
use crate::{At, Batches, Error, Kind, Result, Table};

/// What the statement calls the table.
pub const SOURCE: &str = "\"rows\".\"source\"";

/// Reads a transformation without looking at the table.
///
/// # Errors
/// [`Kind::InvalidQuery`], [`Kind::QueryNotAllowed`] if it names other tables.
pub fn check_transform(sql: &str) -> Result<()> {
    parsed(sql).map(drop)
}

/// The rows of a table at a state (only those of files added after a snapshot, if `since` is given), transformed.
///
/// # Errors
/// As [`check_transform`]; those of the table's reads, as items too; [`Kind::InvalidQuery`] for a value that does not fit.
pub async fn transform(table: Table, at: At, since: Option<i64>, sql: &str) -> Result<Batches> {
    let mut statement = parsed(sql)?;
    engine::apart(async move {
        let table = LakeTable::new(table, at)?.since(since);
        let tables = BTreeMap::from([(reference(), table)]);
        statement.mend_case(&tables);
        let context = session("lake", &tables)?;
        let run = async {
            let plan = context.state().statement_to_plan(statement.into_inner()).await?;
            plan.apply_with_subqueries(check)?;
            let plan = context.execute_logical_plan(plan).await?.create_physical_plan().await?;
            execute_stream(plan, context.task_ctx())
        };
        let stream = run.await.map_err(told)?;
        Ok(Batches { schema: stream.schema(), stream: stream.map(|batch| batch.map_err(told)).boxed() })
    })
    .await
}

/// A failure, without the name that only the statement has for the table.
fn told(error: DataFusionError) -> Error {
    let error = error::ours(error);
    Error::new(error.kind(), error.message().replace("rows.source.", "")).caused_by(error)
}

fn reference() -> TableReference {
    TableReference::partial("rows", "source")
}

fn parsed(sql: &str) -> Result<Box<Statement>> {
    let refused = || Error::new(Kind::QueryNotAllowed, "a transformation reads the source table and nothing else");
    let Parsed::Query(statement) = parse(sql)? else { return Err(refused()) };
    match statement.tables()?.as_slice() {
        [one] if *one == reference() => Ok(statement),
        _ => Err(refused()),
    }
}

/// Each row becomes one row or none: nothing that puts rows together, orders or repeats them.
fn check(node: &LogicalPlan) -> Result<TreeNodeRecursion, DataFusionError> {
    let plain = matches!(
        node,
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::TableScan(_) | LogicalPlan::SubqueryAlias(_)
    );
    let asks = |expr: &Expr| matches!(expr, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_));
    let mut nested = false;
    node.apply_expressions(|expr| {
        nested |= expr.exists(|expr| Ok(asks(expr)))?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    if plain && !nested {
        return Ok(TreeNodeRecursion::Continue);
    }
    let message = "a transformation works on each row alone: no aggregates, windows, sorting or sub-queries";
    Err(DataFusionError::External(Box::new(Error::new(Kind::QueryNotAllowed, message))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_source_is_read() {
        let kind = |sql: &str| check_transform(sql).map_err(|e| e.kind());
        assert_eq!(kind(&format!("SELECT upper(name) AS name FROM {SOURCE} WHERE id > 1")), Ok(()));
        assert_eq!(kind(&format!("SELECT (SELECT max(x) FROM raw.other) FROM {SOURCE}")), Err(Kind::QueryNotAllowed));
        assert_eq!(kind("SELECT 1"), Err(Kind::QueryNotAllowed));
        assert_eq!(kind(&format!("SELECT a) FROM {SOURCE}")), Err(Kind::InvalidQuery));
        assert_eq!(kind(&format!("SELECT 1 FROM {SOURCE}; DROP TABLE x")), Err(Kind::QueryNotAllowed));
    }
}
