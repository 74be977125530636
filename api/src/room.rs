//! The memory for rows on their way to readers: results are made whole, and wait there for slow peers.
use std::{io, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
};
use icehaul_jobs::{Code, Error};
use serde::Serialize;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use crate::Result;

/// How many results of the largest size have room at once, each twice: as rows and as the answer that holds them.
const RESULTS: usize = 8;

/// How long a reader may take for all of an answer; beyond it the room is for others.
const READING: Duration = Duration::from_secs(300);

/// How much of an answer is handed over at a time.
const PART: usize = 256 << 10;

/// Room for the results of all requests. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Room {
    kib: Arc<Semaphore>,
    largest: usize,
}

/// The part of it that one result has.
pub(crate) struct Held(OwnedSemaphorePermit);

impl Room {
    /// For results of at most `bytes`.
    pub(crate) fn new(bytes: usize) -> Self {
        let largest = kib(bytes.saturating_mul(2));
        Self { kib: Arc::new(Semaphore::new(RESULTS * largest)), largest }
    }

    /// Waits until the largest result has room.
    ///
    /// # Errors
    /// [`Code::QueryBusy`] if it has none in that time.
    pub(crate) async fn hold(&self, time: Duration) -> Result<Held> {
        let asked = u32::try_from(self.largest).unwrap_or(u32::MAX);
        match timeout(time, self.kib.clone().acquire_many_owned(asked)).await {
            Ok(Ok(permit)) => Ok(Held(permit)),
            _ => Err(Error::new(Code::QueryBusy, "the answers to others take all the room: try again").into()),
        }
    }
}

/// At most a few TiB, so that the units of several results can be counted.
fn kib(bytes: usize) -> usize {
    bytes.div_ceil(1024).clamp(1, u32::MAX as usize)
}

impl Held {
    /// An answer that keeps its share of the room until it is sent, and gives the rest back now.
    pub(crate) fn answer(mut self, result: &impl Serialize) -> Result<Response> {
        let broken = |e| Error::new(Code::Internal, "a result cannot be written").caused_by(e);
        let bytes = Bytes::from(serde_json::to_vec(result).map_err(broken)?);
        let unused = self.0.num_permits().saturating_sub(kib(bytes.len()));
        drop(self.0.split(unused));
        let headers =
            [(header::CONTENT_TYPE, "application/json".to_owned()), (header::CONTENT_LENGTH, bytes.len().to_string())];
        let until = Instant::now() + READING;
        let parts = futures::stream::unfold((bytes, self), move |(mut rest, held)| async move {
            if rest.is_empty() {
                return None;
            }
            let part = match Instant::now() < until {
                true => Ok(rest.split_to(rest.len().min(PART))),
                false => Err(io::Error::new(io::ErrorKind::TimedOut, "the answer is read too slowly")),
            };
            Some((part, (rest, held)))
        });
        Ok((headers, Body::from_stream(parts)).into_response())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_keep_their_room_until_they_are_read() {
        let room = Room::new(512 << 10);
        let mut held = Vec::new();
        for _ in 0..RESULTS {
            held.push(room.hold(Duration::ZERO).await.expect("room"));
        }
        assert!(room.hold(Duration::ZERO).await.is_err());
        let text = "x".repeat(300 << 10);
        let answer = held.pop().expect("one").answer(&text).expect("an answer");
        assert_eq!(
            (answer.headers()[header::CONTENT_LENGTH].as_bytes(), room.kib.available_permits()),
            (b"307202".as_slice(), 723)
        );
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.expect("all");
        assert_eq!((body.len(), room.kib.available_permits()), (307_202, 1024));
    }
}
