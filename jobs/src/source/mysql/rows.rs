//! The rows of one statement, read by a task of their own as fast as the batches are taken.
use std::sync::Arc;

use arrow_array::RecordBatch;
use futures::TryStreamExt;
use mysql_async::{Row, prelude::Queryable};
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    time::timeout,
};

use super::{columns::Batch, fault, plan::Held, relation::Part, session::Session};
use crate::{Result, config::Limits};

/// Starts reading a part. Dropping the receiver ends the statement on the server.
///
/// # Errors
/// If the plan has no connection left for it.
pub(super) fn start(held: Arc<Held>, part: Part, limits: &Limits) -> Result<Receiver<Result<RecordBatch>>> {
    let (to, from) = channel(1);
    let (mut session, mut batch) = (held.session()?, Batch::new(held.layout.clone(), limits));
    tokio::spawn(async move {
        let sql = held.sql(part);
        let read = tokio::select! {
            () = to.closed() => return,
            read = read(&held, &mut session, &sql, &mut batch, &to) => read,
        };
        match read {
            // Before the end is told: the next read may want it.
            Ok(()) => held.put_back(session),
            // If nobody waits for it, there is nobody to tell.
            Err(error) => drop(to.send(Err(held.told(error))).await),
        }
    });
    Ok(from)
}

async fn read(
    held: &Held,
    session: &mut Session,
    sql: &str,
    batch: &mut Batch,
    to: &Sender<Result<RecordBatch>>,
) -> Result<()> {
    session.busy = true;
    let pumping = async {
        let conn = session.conn()?;
        let statement = conn.prep(sql).await.map_err(fault::failed)?;
        held.check(&statement.columns())?;
        let mut rows = conn.exec_stream::<Row, _, _>(&statement, ()).await.map_err(fault::failed)?;
        while let Some(row) = rows.try_next().await.map_err(fault::failed)? {
            batch.push(&row)?;
            if batch.is_full() {
                give(batch, to).await?;
            }
        }
        drop(rows);
        conn.close(statement).await.map_err(fault::failed)
    };
    timeout(held.patience(), pumping).await.map_err(|_| fault::silent())??;
    session.busy = false;
    give(batch, to).await
}

/// Hands over the batch under way. Whether anybody still takes it, the task's own select finds out.
async fn give(batch: &mut Batch, to: &Sender<Result<RecordBatch>>) -> Result<()> {
    if let Some(batch) = batch.take()? {
        let _ = to.send(Ok(batch)).await;
    }
    Ok(())
}
