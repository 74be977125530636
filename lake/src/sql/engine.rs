//! Where queries run: on threads of their own, whose stacks hold deep plans, and few queries at a time.
use std::{io, panic::AssertUnwindSafe, sync::Arc, sync::LazyLock, thread::available_parallelism, time::Duration};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use futures::{FutureExt, StreamExt};
use tokio::{
    runtime::{Builder, Runtime},
    sync::{Semaphore, mpsc, oneshot},
    task::JoinSet,
    time::{Instant, timeout_at},
};

use crate::{Batches, Error, Kind, Result};

/// How many queries run at once; the others wait. The memory that they may hold is this many times one query's.
const TURNS: usize = 2;

/// A chain of operators is a tree as deep as it is long, which parsing, planning and dropping walk by recursion.
/// `bounds.rs` limits the length, this gives each link more than 100 KiB. Only what is touched takes memory.
const STACK_BYTES: usize = 64 << 20;

/// The most threads for file reads, each with such a stack.
const READERS: usize = 16;

struct Engine {
    runtime: Runtime,
    turns: Arc<Semaphore>,
}

impl Engine {
    fn get() -> Result<&'static Self> {
        static ENGINE: LazyLock<io::Result<Engine>> = LazyLock::new(Engine::start);
        ENGINE
            .as_ref()
            .map_err(|cause| Error::new(Kind::Internal, format!("queries have no threads to run on: {cause}")))
    }

    fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(available_parallelism().map_or(TURNS, |cores| cores.get().max(TURNS)))
            .max_blocking_threads(READERS)
            .thread_stack_size(STACK_BYTES)
            .thread_name("query")
            .enable_all()
            .build()?;
        Ok(Self { runtime, turns: Arc::new(Semaphore::new(TURNS)) })
    }
}

/// Does the work on the engine's threads, when its turn has come, and hands its rows over.
///
/// The time holds even if the work never yields: the caller goes, and the turn is free again once the work has ended.
/// It covers the wait for the turn and the reading of the rows.
///
/// # Errors
/// [`Kind::QueryBusy`], [`Kind::QueryTimeout`], [`Kind::InvalidQuery`] for work that panics, and the work's own.
pub async fn run(work: impl Future<Output = Result<Batches>> + Send + 'static, timeout: Duration) -> Result<Batches> {
    let deadline = Instant::now() + timeout;
    let late =
        move || Error::new(Kind::QueryTimeout, format!("the query took longer than {} s", timeout.as_secs_f64()));
    let engine = Engine::get()?;
    let Ok(Ok(turn)) = timeout_at(deadline, engine.turns.clone().acquire_owned()).await else {
        let message = format!("{TURNS} other queries ran during all of its {} s: try again", timeout.as_secs_f64());
        return Err(Error::new(Kind::QueryBusy, message));
    };
    let (opened, schema) = oneshot::channel();
    let (rows, taken) = mpsc::channel(1);
    let mut task = JoinSet::new(); // Ends the work when it is dropped.
    let work = async move {
        let _turn = turn;
        if AssertUnwindSafe(give(work, opened, &rows)).catch_unwind().await.is_err() {
            let _ = rows.send(Err(broken())).await;
        }
    };
    task.spawn_on(work, engine.runtime.handle());
    let schema = timeout_at(deadline, schema).await.map_err(|_| late())?.unwrap_or_else(|_| Err(broken()))?;
    let stream = futures::stream::unfold(Some((taken, task)), move |under_way| async move {
        let (mut taken, task) = under_way?;
        // The time is also up for rows that never have to be waited for.
        if Instant::now() >= deadline {
            return Some((Err(late()), None));
        }
        match timeout_at(deadline, taken.recv()).await {
            Ok(batch) => batch.map(|batch| (batch, Some((taken, task)))),
            Err(_) => Some((Err(late()), None)),
        }
    });
    Ok(Batches { schema, stream: stream.boxed() })
}

/// Does work that is no query of a person's, on the engine's threads: without a turn, and as long as its rows are taken.
///
/// # Errors
/// [`Kind::InvalidQuery`] for work that panics, and the work's own.
pub async fn apart(work: impl Future<Output = Result<Batches>> + Send + 'static) -> Result<Batches> {
    let engine = Engine::get()?;
    let (opened, schema) = oneshot::channel();
    let (rows, taken) = mpsc::channel(2);
    let mut task = JoinSet::new(); // Ends the work when it is dropped.
    let work = async move {
        if AssertUnwindSafe(give(work, opened, &rows)).catch_unwind().await.is_err() {
            let _ = rows.send(Err(broken())).await;
        }
    };
    task.spawn_on(work, engine.runtime.handle());
    let schema = schema.await.unwrap_or_else(|_| Err(broken()))?;
    let stream = futures::stream::unfold((taken, task), |(mut taken, task)| async move {
        taken.recv().await.map(|batch| (batch, (taken, task)))
    });
    Ok(Batches { schema, stream: stream.boxed() })
}

async fn give(
    work: impl Future<Output = Result<Batches>>,
    opened: oneshot::Sender<Result<SchemaRef>>,
    rows: &mpsc::Sender<Result<RecordBatch>>,
) {
    let Batches { schema, mut stream } = match work.await {
        Ok(batches) => batches,
        Err(error) => return drop(opened.send(Err(error))),
    };
    if opened.send(Ok(schema)).is_err() {
        return;
    }
    while let Some(batch) = stream.next().await {
        if rows.send(batch).await.is_err() {
            return;
        }
    }
}

fn broken() -> Error {
    Error::new(
        Kind::InvalidQuery,
        "the query broke off: a value that it makes is too large, or it is built in an unusual way",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// Work that keeps its thread until the other end is dropped.
    fn stubborn() -> (Sender<()>, impl Future<Output = Result<Batches>> + Send + 'static) {
        let (release, held): (_, Receiver<()>) = channel();
        (release, async move {
            let _ = held.recv();
            Err(Error::new(Kind::Internal, "released"))
        })
    }

    async fn breaks<T>() -> Result<T> {
        panic!("offset overflow")
    }

    async fn refused(work: impl Future<Output = Result<Batches>> + Send + 'static, ms: u64) -> Kind {
        run(work, Duration::from_millis(ms)).await.err().expect("no rows").kind()
    }

    /// One test, because the turns are those of the process.
    #[tokio::test]
    async fn work_that_never_yields_or_panics_harms_no_one_else() {
        let mut releases = Vec::new();
        for _ in 0..TURNS {
            let (release, work) = stubborn();
            releases.push(release);
            assert_eq!(refused(work, 50).await, Kind::QueryTimeout);
        }
        assert_eq!(refused(async { Err(Error::new(Kind::Internal, "ran")) }, 50).await, Kind::QueryBusy);
        drop(releases);
        assert_eq!(refused(breaks(), 60_000).await, Kind::InvalidQuery);
        let late =
            Batches { schema: arrow_schema::Schema::empty().into(), stream: futures::stream::once(breaks()).boxed() };
        let mut rows = run(async { Ok(late) }, Duration::from_secs(60)).await.expect("a schema").stream;
        assert_eq!(rows.next().await.expect("an end").expect_err("no rows").kind(), Kind::InvalidQuery);
    }
}
