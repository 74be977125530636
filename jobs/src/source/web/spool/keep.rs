//! The task that writes waiting pages down.
use std::{sync::Arc, time::Duration};

use chrono::Utc;
use icehaul_lake::failpoint;
use tokio::time::{Instant, sleep_until};

use super::{super::fetched::Fetched, At, Inner, MOST_WAITING, warc};
use crate::{Code, Error, Result};

/// The least time between two files.
const INTERVAL: Duration = Duration::from_secs(1);

/// Writes what waits, at most once a second unless it is too much or someone waits for it. Ends when something cannot be
/// written: whoever adds a page next is told.
pub(super) async fn keep(inner: Arc<Inner>) {
    loop {
        inner.came.notified().await;
        let due = Instant::now() + INTERVAL;
        while !is_urgent(&inner) && Instant::now() < due {
            tokio::select! {
                () = inner.came.notified() => {}
                () = sleep_until(due) => {}
            }
        }
        let written = write(&inner).await;
        let is_over = written.is_err();
        if let Err(error) = written {
            inner.lock().failed = Some((error.code(), error.message().to_owned()));
        }
        inner.written.notify_waiters();
        if is_over {
            return;
        }
    }
}

fn is_urgent(inner: &Inner) -> bool {
    let state = inner.lock();
    state.hurry || state.waiting_bytes > MOST_WAITING
}

async fn write(inner: &Inner) -> Result<()> {
    let (pages, name): (Vec<Arc<Fetched>>, Arc<str>) = {
        let mut state = inner.lock();
        if state.waiting.is_empty() {
            return Ok(());
        }
        state.leaving = std::mem::take(&mut state.waiting);
        state.waiting_bytes = 0;
        state.files += 1;
        let name = format!("{:08}-{:06}.warc.gz", inner.epoch, state.files);
        (state.leaving.values().cloned().collect(), name.into())
    };
    let numbers: Vec<_> = pages.iter().map(|page| page.number).collect();
    let packed = tokio::task::spawn_blocking(move || pack(&pages)).await;
    let (file, lengths) =
        packed.map_err(|e| Error::new(Code::Internal, "the packing of pages panicked").caused_by(e))??;
    inner.folder.write(&name, file).await?;
    {
        let mut state = inner.lock();
        let mut offset = lengths.first().copied().unwrap_or_default();
        for (number, length) in numbers.iter().zip(lengths.iter().skip(1)) {
            state.places.insert(*number, At { file: name.clone(), offset, length: *length });
            offset += length;
        }
        state.leaving.clear();
    }
    failpoint::hit("scrape.checkpoint").await?;
    Ok(())
}

/// A file of pages, and the lengths of its records: that of the file's own first.
fn pack(pages: &[Arc<Fetched>]) -> Result<(Vec<u8>, Vec<u64>)> {
    let (mut file, mut lengths) = (Vec::new(), Vec::with_capacity(pages.len() + 1));
    lengths.push(warc::write_info(Utc::now(), &mut file)?);
    for page in pages {
        lengths.push(warc::write(page, &mut file)?);
    }
    Ok((file, lengths))
}
