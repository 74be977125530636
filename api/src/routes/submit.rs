//! A request becomes a job.
use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use icehaul_jobs::{
    Code, Error, FieldError, JobId, Status,
    queue::{Accepted, NewJob},
    source::Names,
    spec::JobSpec,
};

use super::jobs::{Job, Summary, link};
use crate::{
    AppState, Result,
    extract::{Caller, IdempotencyKey, JsonBody, Wait},
    problem::set,
};

const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

pub(crate) async fn submit(
    kind: String,
    State(state): State<AppState>,
    IdempotencyKey(key): IdempotencyKey,
    Wait(wait): Wait,
    Caller(caller): Caller,
    JsonBody(body): JsonBody,
) -> Result<Response> {
    let mut spec = JobSpec::from_body(&kind, &body)?;
    check_names(&spec, &state)?;
    let id = JobId::now_v7();
    let idempotency = key.map(|key| (key, spec.digest(&state.sealer)));
    let job = NewJob { idempotency, ..spec.into_job(id, &state.sealer, None)? };
    match state.queue.by(caller).enqueue(&job).await? {
        Accepted::Replayed(id) => {
            let document = match wait {
                Some(time) => state.queue.wait(id, time).await?,
                None => state.queue.get(id).await?,
            };
            let mut response = answer(StatusCode::OK, id, wait, Json(Job::from(document)));
            set(&mut response, IDEMPOTENT_REPLAYED, "true");
            Ok(response)
        }
        Accepted::New(at) => Ok(accepted(&state, &job, at, wait).await),
    }
}

/// What the request names must be configured here: better said now than by a failed job.
fn check_names(spec: &JobSpec, state: &AppState) -> Result<()> {
    let names = Names { connections: &state.connections, roots: &state.file_roots, egress: &state.egress };
    let mut faults = spec.check_names(&names);
    for (field, name) in spec.catalogs() {
        if let Err(error) = state.lakes.get(name) {
            let (code, detail) = (Code::CatalogNotFound, error.message().into());
            faults.push(FieldError { field: field.into_owned(), code, detail });
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::fields(faults).into()) }
}

/// The answer once the job is in the queue. Nothing may turn it into an error any more: the caller would send it again.
async fn accepted(state: &AppState, job: &NewJob, at: DateTime<Utc>, wait: Option<Duration>) -> Response {
    let mut status = if job.run_at.is_some_and(|start| start > at) { Status::Scheduled } else { Status::Queued };
    if let Some(time) = wait
        && let Ok(document) = state.queue.wait(job.id, time).await
    {
        if document.status.is_terminal() {
            return answer(StatusCode::OK, job.id, wait, Json(Job::from(document)));
        }
        status = document.status;
    }
    let summary = Summary::new(job.id, job.kind.clone(), status, job.table.clone(), at);
    answer(StatusCode::ACCEPTED, job.id, wait, Json(summary))
}

fn answer(status: StatusCode, id: JobId, wait: Option<Duration>, body: impl IntoResponse) -> Response {
    let mut response = (status, body).into_response();
    set(&mut response, header::LOCATION, &link(id));
    if let Some(time) = wait {
        set(&mut response, PREFERENCE_APPLIED, &format!("wait={}", time.as_secs()));
    }
    response
}
