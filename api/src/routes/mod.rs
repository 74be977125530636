//! Every path, with who answers it. The router and the OpenAPI document are both made from [`operations`].
mod audit;
mod events;
mod health;
mod jobs;
mod migrations;
mod pages;
mod query;
mod submit;
mod tables;

pub(crate) use migrations::Asked;

use axum::{Router, middleware::from_fn_with_state};
use icehaul_jobs::{
    Code, Error,
    audit::Verified,
    queue::Stats,
    spec::{self, JobSpec},
};
use serde_json::Value;

use crate::{
    AppState, Result,
    edge::edge,
    operation::{Operation, RequestHeader as Header},
    problem::ApiError,
    rows::ResultSet,
};

const QUEUE: &[Code] = &[Code::QueueUnavailable];
const JOB: &[Code] = &[Code::JobNotFound, Code::JobExpired, Code::QueueUnavailable];
const CATALOG: &[Code] = &[Code::CatalogNotFound, Code::CatalogUnavailable, Code::StorageUnavailable];
const NAMESPACE: &[Code] = &[Code::InvalidIdentifier, Code::NamespaceNotFound];
const TABLE: &[Code] = &[Code::TableNotFound, Code::UnsupportedFeature];
const AUDIT: &[Code] = &[Code::SchemaMismatch, Code::SourceFileMissing, Code::UnsupportedFeature];
const READ: &[Code] = &[Code::SnapshotNotFound, Code::SourceFileMissing, Code::QueryTimeout];

/// Every operation of the API.
pub(crate) fn operations() -> Vec<Operation> {
    [submissions(), jobs(), migrated(), audited(), tables(), system()].into_iter().flatten().collect()
}

/// The answers to all requests.
pub fn router(state: AppState) -> Router {
    operations()
        .into_iter()
        .fold(pages::router(), |router, operation| operation.mount(router))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(state.clone(), edge))
        .with_state(state)
}

/// One path per kind of job: `load.postgres` is submitted at `/load/postgres`, `scrape.html` at `/scrape`.
fn submissions() -> Vec<Operation> {
    let submission = |kind: String| {
        let path = format!("/api/v1{}", JobSpec::path(&kind));
        let id = format!("submit_{}", kind.replace('.', "_"));
        let schema = JobSpec::request_schema(&kind).unwrap_or_default();
        let about = format!("Submit a `{kind}` job");
        Operation::post(&path, "jobs", &id, move |state, key, wait, caller, body| {
            submit::submit(kind, state, key, wait, caller, body)
        })
        .about(about)
        .headers(&[Header::IdempotencyKey, Header::Prefer])
        .body(schema)
        .reply::<jobs::Summary>(202, "Accepted: the job is in the queue", &["Location", "Preference-Applied"])
        .reply::<jobs::Job>(
            200,
            "The job as it is now: it ended while the caller waited, or the key came before with the same request",
            &["Location", "Preference-Applied", "Idempotent-Replayed"],
        )
        .fails(&[Code::InvalidIdentifier, Code::InvalidPartition, Code::QueryNotAllowed, Code::SameTable])
        .fails(&[Code::CatalogNotFound, Code::ConnectionNotFound, Code::PathNotAllowed, Code::UnknownFormat])
        .fails(&[Code::InvalidSelector, Code::EgressBlocked, Code::DuplicateColumn, Code::TooManyColumns])
        .fails(&[Code::IdempotencyConflict, Code::QueueFull, Code::QueueUnavailable])
    };
    JobSpec::kinds().into_iter().map(submission).collect()
}

fn jobs() -> Vec<Operation> {
    vec![
        Operation::get("/api/v1/jobs", "jobs", "list_jobs", jobs::list)
            .about("Jobs, newest first; all filters must hold")
            .query::<jobs::Filter>()
            .reply::<jobs::Jobs>(200, "A page of jobs", &[])
            .fails(QUEUE),
        Operation::get("/api/v1/jobs/{job_id}", "jobs", "get_job", jobs::get)
            .about("A job's document; with `Prefer: wait=N` once it has ended")
            .headers(&[Header::Prefer, Header::IfNoneMatch])
            .reply::<jobs::Job>(200, "The job", &["ETag", "Preference-Applied"])
            .plain(304, "It has not changed")
            .fails(JOB),
        Operation::get("/api/v1/jobs/{job_id}/events", "jobs", "job_events", events::events)
            .about("What happens to a job, as server-sent events `status`, `progress` and `log`, until it has ended")
            .headers(&[Header::LastEventId])
            .media("text/event-stream")
            .reply::<String>(200, "The events", &[])
            .plain(204, "The job has ended, and nothing happened after `Last-Event-ID`")
            .fails(JOB),
        Operation::post("/api/v1/jobs/{job_id}/cancel", "jobs", "cancel_job", jobs::cancel)
            .about("Stop a job: a waiting one ends at once, a running one within seconds and with nothing committed")
            .reply::<jobs::Summary>(202, "It ends", &["Location"])
            .fails(JOB)
            .fails(&[Code::JobEnded]),
        Operation::post("/api/v1/jobs/{job_id}/retry", "jobs", "retry_job", jobs::retry)
            .about("Run a failed or cancelled job again, under its id")
            .reply::<jobs::Summary>(202, "It waits for a worker", &["Location"])
            .fails(JOB)
            .fails(&[Code::JobEnded, Code::JobNotEnded, Code::QueueFull]),
        Operation::get("/api/v1/stats", "jobs", "stats", jobs::stats)
            .about("The queue in numbers")
            .reply::<Stats>(200, "The numbers", &[])
            .fails(QUEUE),
    ]
}

fn migrated() -> Vec<Operation> {
    vec![
        Operation::get("/api/v1/migrations", "migrations", "list_migrations", migrations::list)
            .about("Migrations and verifications that have ended, newest first")
            .query::<migrations::Page>()
            .reply::<migrations::Migrations>(200, "A page of migrations", &[])
            .fails(CATALOG),
        Operation::get(
            "/api/v1/migrations/{migration_id}/report",
            "migrations",
            "migration_report",
            migrations::report,
        )
        .about("What a migration or a verification has proven; as a page with `Accept: text/html`")
        .query::<migrations::WhichForm>()
        .also(&["text/html", "text/csv"])
        .reply::<migrations::Reported>(200, "The report", &[])
        .fails(CATALOG)
        .fails(&[Code::ReportNotFound]),
    ]
}

fn audited() -> Vec<Operation> {
    vec![
        Operation::get("/api/v1/audit", "audit", "list_audit", audit::list)
            .about("The audit trail, newest first: who did what, when, from where, with what outcome; all filters must hold")
            .query::<audit::Filter>()
            .reply::<audit::Records>(200, "A page of records", &[])
            .fails(QUEUE)
            .fails(CATALOG)
            .fails(AUDIT),
        Operation::get("/api/v1/audit/verify", "audit", "verify_audit", audit::verify)
            .about("Check the audit trail's chain of hashes; reads the whole table")
            .reply::<Verified>(200, "What was found: the chain is whole, or where it is broken", &[])
            .fails(QUEUE)
            .fails(CATALOG)
            .fails(AUDIT),
    ]
}

fn tables() -> Vec<Operation> {
    const NAMESPACE_PATH: &str = "/api/v1/tables/{namespace}";
    const TABLE_PATH: &str = "/api/v1/tables/{namespace}/{table}";
    let under = |name: &str| format!("{TABLE_PATH}/{name}");
    let of_table = |operation: Operation| operation.fails(CATALOG).fails(NAMESPACE).fails(TABLE);
    vec![
        Operation::get("/api/v1/tables", "tables", "list_namespaces", tables::namespaces)
            .about("Namespaces, each with its number of tables")
            .query::<tables::Page>()
            .reply::<tables::Namespaces>(200, "The namespaces", &[])
            .fails(CATALOG),
        Operation::get("/api/v1/tables/all", "tables", "list_all_tables", tables::all)
            .about("All tables of a catalog")
            .query::<tables::Page>()
            .reply::<tables::Tables>(200, "The tables", &[])
            .fails(CATALOG),
        Operation::get(NAMESPACE_PATH, "tables", "list_tables", tables::tables)
            .about("The tables of a namespace")
            .query::<tables::Page>()
            .reply::<tables::TableNames>(200, "The tables", &[])
            .fails(CATALOG)
            .fails(NAMESPACE),
        of_table(Operation::get(&under("metadata"), "tables", "table_metadata", tables::metadata))
            .about("Everything about a table but its rows")
            .query::<tables::WhichCatalog>()
            .reply::<tables::Metadata>(200, "The metadata", &[])
            .fails(READ),
        of_table(Operation::get(&under("count"), "tables", "table_count", tables::count))
            .about("The number of rows")
            .query::<tables::WhichCatalog>()
            .reply::<tables::Count>(200, "The number", &[])
            .fails(READ),
        of_table(Operation::get(&under("snapshots"), "tables", "table_snapshots", tables::snapshots))
            .about("The snapshots, newest first")
            .query::<tables::SnapshotPage>()
            .reply::<tables::Snapshots>(200, "A page of snapshots", &[]),
        of_table(Operation::get(&under("schema"), "tables", "table_schema", tables::schema))
            .about("The columns")
            .query::<tables::WhichCatalog>()
            .reply::<tables::SchemaReply>(200, "The columns", &[]),
        of_table(Operation::get(&under("preview"), "tables", "table_preview", tables::preview))
            .about("Some rows, as they are or as they were")
            .query::<tables::WhichRows>()
            .reply::<tables::Preview>(200, "The rows", &[])
            .fails(READ)
            .fails(&[Code::QueryBusy]),
        of_table(Operation::get(&under("fingerprint"), "tables", "table_fingerprint", tables::fingerprint))
            .about("The fingerprint of all rows (`icehaul-fp-1`); reads the whole table")
            .query::<tables::WhichState>()
            .reply::<tables::Fingerprinted>(200, "The fingerprint", &[])
            .fails(READ)
            .fails(&[Code::SchemaMismatch]),
        Operation::post("/api/v1/query", "tables", "query", query::query)
            .about("Run one read-only SQL statement")
            .body(spec::schema_of::<query::Query>())
            .reply::<ResultSet>(200, "The rows", &[])
            .fails(CATALOG)
            .fails(NAMESPACE)
            .fails(TABLE)
            .fails(READ)
            .fails(&[Code::InvalidQuery, Code::QueryNotAllowed, Code::QueryBusy]),
    ]
}

fn system() -> Vec<Operation> {
    let health = |path: &str, id: &str| {
        Operation::get(path, "system", id, health::health)
            .about("Whether Icehaul and all that it depends on are well")
            .reply::<health::Health>(200, "It works, if perhaps degraded", &[])
            .reply::<health::Health>(503, "It does not work: Redis or the default catalog is away", &[])
    };
    vec![
        health("/health", "health"),
        health("/api/v1/health", "health_v1"),
        Operation::get("/health/live", "system", "live", health::live)
            .about("Whether the process answers at all")
            .reply::<health::Live>(200, "It does", &[]),
        Operation::get("/metrics", "system", "metrics", health::prometheus)
            .about("Figures for Prometheus")
            .media(health::PROMETHEUS)
            .reply::<String>(200, "The figures", &[]),
        Operation::get("/openapi.json", "system", "openapi", pages::openapi).about("This document").reply::<Value>(
            200,
            "An OpenAPI 3.1 document",
            &[],
        ),
    ]
}

async fn not_found() -> Result<()> {
    Err(ApiError::from(Error::new(Code::NotFound, "there is nothing here; /docs lists every address")))
}

async fn method_not_allowed() -> Result<()> {
    Err(Error::new(Code::MethodNotAllowed, "see the header `Allow` for the methods that this address takes").into())
}
