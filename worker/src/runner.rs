//! apalis runs the worker; this is its door. The backend hands it claimed jobs, and no failure of Redis can reach it.
//!
//! What the frame asks of a backend, learnt by measuring: `None` or `Err` from `poll_next` ends the worker, so neither
//! happens before the shutdown; `poll_close` comes only after the last running job, so claims stop by themselves; two
//! tasks of one id are refused, so the id names the epoch too.
use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    task::{Task, builder::TaskBuilder, task_id::TaskId},
    worker::{builder::WorkerBuilder, context::WorkerContext},
};
use futures::future::BoxFuture;
use icehaul_jobs::queue::{Claimed, Outcome};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinHandle,
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tower::layer::util::Identity;
use tracing::error;

use crate::{
    attempt::Desk,
    held::{Held, HeldJobs},
    quiet::Quiet,
};

/// The most jobs that one claim asks for.
const PER_CLAIM: usize = 64;
/// How long an idle worker sleeps at most: a lost wake-up would cost this much and no more.
const NAP: Duration = Duration::from_secs(1);

/// A claimed job on its way to a handler.
#[derive(Clone)]
struct Order {
    claimed: Claimed,
    held: Arc<Held>,
}

/// Claims jobs while there are free slots.
pub(crate) struct Fetcher {
    pub desk: Arc<Desk>,
    pub worker: String,
    pub slots: usize,
    pub shutdown: CancellationToken,
}

/// Runs jobs until the shutdown, and then until the last one has ended.
pub(crate) async fn run(fetcher: Fetcher) {
    let (desk, shutdown, name) = (fetcher.desk.clone(), fetcher.shutdown.clone(), fetcher.worker.clone());
    let work = move |order: Order| {
        let desk = desk.clone();
        // On a task of its own: apalis polls all its handlers on one.
        async move {
            if let Err(e) = tokio::spawn(async move { desk.work(order.claimed, order.held).await }).await {
                error!(error = %e, "the worker's own code panicked; the job's lease will run out");
            }
        }
    };
    let worker = WorkerBuilder::new(name).backend(Orders::Waiting(Some(fetcher))).build(work);
    let signal = async move {
        shutdown.cancelled().await;
        Ok::<(), std::io::Error>(())
    };
    if let Err(e) = worker.run_until(signal).await {
        error!(error = %e, "the worker's frame failed");
    }
}

impl Fetcher {
    async fn run(self, orders: mpsc::Sender<Order>) {
        let slots = Arc::new(Semaphore::new(self.slots));
        let mut log = Quiet::default();
        while let Some(mut free) = self.free(&slots).await {
            let asked = Instant::now();
            let Some((claim, next_due)) = self.claim(free.len(), &mut log).await else { return };
            let empty = claim.is_empty();
            for claimed in claim {
                let Some(slot) = free.pop() else { break };
                let lease = Duration::from_secs_f64(self.desk.queue.config().lease_seconds);
                let held = self.desk.held.insert(Held::new(claimed.id, claimed.epoch, slot, asked, lease));
                let order = Order { claimed, held };
                if self.shutdown.is_cancelled() {
                    give_back(&self.desk, &order).await;
                } else if let Err(refused) = orders.send(order).await {
                    give_back(&self.desk, &refused.0).await;
                }
            }
            drop(free);
            if empty {
                self.nap(next_due, &mut log).await;
            }
        }
    }

    /// Waits for a free slot and takes all that are; `None` at the shutdown.
    async fn free(&self, slots: &Arc<Semaphore>) -> Option<Vec<OwnedSemaphorePermit>> {
        let first = tokio::select! {
            biased;
            () = self.shutdown.cancelled() => return None,
            slot = slots.clone().acquire_owned() => slot.ok()?,
        };
        let mut free = vec![first];
        while free.len() < PER_CLAIM
            && let Ok(slot) = slots.clone().try_acquire_owned()
        {
            free.push(slot);
        }
        Some(free)
    }

    /// Claims jobs. The same request is repeated until Redis answers, so a lost answer loses no job and counts once.
    async fn claim(&self, limit: usize, log: &mut Quiet) -> Option<(Vec<Claimed>, Duration)> {
        let request = uuid::Uuid::new_v4().to_string();
        let mut pause = Duration::from_millis(20);
        loop {
            match self.desk.queue.claim(&self.worker, limit, &request).await {
                Ok(claim) => {
                    self.desk.metrics.claims.inc();
                    return Some((claim.jobs, Duration::from_millis(claim.next_due_ms)));
                }
                Err(error) => self.trouble("claim", &error, log),
            }
            tokio::select! { () = sleep(pause) => {}, () = self.shutdown.cancelled() => return None }
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    async fn nap(&self, next_due: Duration, log: &mut Quiet) {
        let woken = tokio::select! {
            () = self.shutdown.cancelled() => return,
            woken = self.desk.queue.wake(next_due.min(NAP)) => woken,
        };
        if let Err(error) = woken {
            self.trouble("wake", &error, log);
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn trouble(&self, call: &str, error: &icehaul_jobs::Error, log: &mut Quiet) {
        self.desk.metrics.queue_errors.with_label_values(&[call]).inc();
        log.warn("no jobs can be claimed", error);
    }
}

/// Hands a job back that was claimed but will not be started here.
async fn give_back(desk: &Desk, order: &Order) {
    desk.tell(&order.held, &Outcome::HandBack { reason: None, delay_ms: 0 }).await;
    desk.held.remove(&order.held);
}

/// The backend: first the fetcher, then what it fetches, then what is left of that.
enum Orders {
    /// Before the first poll, which is the first moment inside the runtime.
    Waiting(Option<Fetcher>),
    /// The fetcher runs.
    Open { orders: mpsc::Receiver<Order>, desk: Arc<Desk>, fetcher: JoinHandle<()> },
    /// The frame has no handler for what is left; it is handed back.
    Closing(BoxFuture<'static, ()>),
}

impl Backend for Orders {
    type Task = Task<Order>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        if let Self::Waiting(fetcher) = self
            && let Some(fetcher) = fetcher.take()
        {
            let (sender, orders) = mpsc::channel(fetcher.slots);
            let desk = fetcher.desk.clone();
            *self = Self::Open { orders, desk, fetcher: tokio::spawn(fetcher.run(sender)) };
        }
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Option<Result<Self::Task, Infallible>>> {
        let Self::Open { orders, .. } = self else { return Poll::Ready(None) };
        orders.poll_recv(cx).map(|order| order.map(|order| Ok(task(order))))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        if let Self::Open { .. } = self
            && let Self::Open { mut orders, desk, fetcher } = std::mem::replace(self, Self::Waiting(None))
        {
            orders.close();
            *self = Self::Closing(Box::pin(async move {
                while let Some(order) = orders.recv().await {
                    give_back(&desk, &order).await;
                }
                // It may be handing jobs back too; if it panicked, that is logged already.
                let _ = fetcher.await;
            }));
        }
        match self {
            Self::Closing(rest) => rest.as_mut().poll(cx).map(Ok),
            _ => Poll::Ready(Ok(())),
        }
    }
}

fn task(order: Order) -> Task<Order> {
    let id = TaskId::from_string(format!("{}:{}", order.claimed.id, order.claimed.epoch));
    TaskBuilder::new(order).task_id(id).build()
}

impl BackendConfig for Orders {
    type Args = Order;
    type Id = String;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}

/// Asks the attempts to end once the drain's time is over.
pub(crate) async fn drain(held: HeldJobs, shutdown: CancellationToken, time: Duration) {
    shutdown.cancelled().await;
    sleep(time).await;
    held.stop(icehaul_jobs::StopReason::Stopping);
}
