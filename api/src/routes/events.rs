//! What happens to a job, as server-sent events.
use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{Stream, stream};
use icehaul_jobs::{JobId, queue::JobEvent};

use crate::{AppState, Result, extract::JobPath, problem::parameter};

/// How long one look for new events lasts.
const LOOK: Duration = Duration::from_secs(15);

pub(crate) async fn events(
    State(state): State<AppState>,
    JobPath(id): JobPath,
    headers: HeaderMap,
) -> Result<Response> {
    let ended = state.queue.get(id).await?.status.is_terminal();
    let after = last_event_id(&headers)?;
    if ended && after.is_some() && state.queue.events(id, after.as_deref(), Duration::ZERO).await?.is_empty() {
        // Browsers come back after the end of a stream; this tells them to stay away.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let follower = Follower { state, id, after, ended, ready: VecDeque::new() };
    Ok(Sse::new(follower.stream()).keep_alive(KeepAlive::default()).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<String>> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let digits = |part: &str| (1..=20).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    match text.split_once('-') {
        Some((time, number)) if digits(time) && digits(number) => Ok(Some(text.to_owned())),
        _ => Err(parameter("Last-Event-ID", "must be the id of an event of this stream")),
    }
}

/// Reads a job's events in order until the job has ended and all are read.
struct Follower {
    state: AppState,
    id: JobId,
    after: Option<String>,
    ended: bool,
    ready: VecDeque<JobEvent>,
}

impl Follower {
    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut this| async move {
            let event = this.next().await?;
            let sent = Event::default().id(&event.id).event(&event.event).data(event.data.to_string());
            Some((Ok(sent), this))
        })
    }

    async fn next(&mut self) -> Option<JobEvent> {
        while self.ready.is_empty() {
            let (ended, time) = if self.ended { (true, Duration::ZERO) } else { (false, LOOK) };
            let look = self.state.queue.events(self.id, self.after.as_deref(), time);
            // A queue that is away ends the stream as a stopping server does: the client resumes with the last id.
            let found = self.state.shutdown.run_until_cancelled(look).await?.ok()?;
            if found.is_empty() && ended {
                return None;
            }
            if found.is_empty() || found.iter().any(|event| event.event == "status") {
                self.ended = self.state.queue.get(self.id).await.ok()?.status.is_terminal();
            }
            self.ready = found.into();
        }
        let event = self.ready.pop_front()?;
        self.after = Some(event.id.clone());
        Some(event)
    }
}
