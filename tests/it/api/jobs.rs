//! Jobs over HTTP: accepted, found, waited for, stopped, repeated, followed.
use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use futures::future::join_all;
use icehaul_jobs::{
    Code, Error, JobId,
    queue::{Claimed, JobError, Outcome},
};
use serde_json::{Value, json};

use super::{Answer, Stand, load};

impl Stand {
    /// Takes a job as a worker would.
    async fn claim(&self) -> Claimed {
        let claim = self.state.queue.claim("worker-1", 1, &JobId::now_v7().to_string()).await.expect("claim");
        claim.jobs.into_iter().next().expect("a job")
    }

    async fn finish(&self, job: &Claimed, outcome: Outcome) {
        self.state.queue.finish(job.id, job.epoch, &outcome).await.expect("finish");
    }

    async fn get_with(&self, path: &str, name: &str, value: &str) -> Answer {
        self.send(Request::get(path).header(name, value).body(Body::empty()).expect("request")).await
    }
}

fn failure() -> Outcome {
    Outcome::Failed(JobError::of(&Error::new(Code::QueryError, "no such table: ordres"), 1))
}

#[tokio::test]
async fn an_accepted_job_is_found_under_its_location() {
    let stand = Stand::new().await;
    let answer = stand.post("/api/v1/load/postgres", &load(), &[]).await;
    let accepted = answer.json();
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let id = accepted["job_id"].as_str().expect("id");
    assert_eq!(id.parse::<JobId>().map(|id| id.get_version_num()), Ok(7));
    assert_eq!(answer.header("location"), format!("/api/v1/jobs/{id}"));
    assert_eq!(
        (&accepted["kind"], &accepted["status"], &accepted["table"]),
        (&json!("load.postgres"), &json!("queued"), &json!("raw.orders"))
    );
    assert_eq!(accepted["links"]["self"], answer.header("location"));

    let found = stand.get(answer.header("location")).await;
    let document = found.json();
    assert_eq!(
        (&document["job_id"], &document["status"], &document["attempt"]),
        (&json!(id), &json!("queued"), &json!(0))
    );
    assert_eq!(document["spec"]["password"], "***");
    for name in ["self", "events", "cancel", "retry"] {
        assert_eq!(document["links"][name], accepted["links"][name]);
    }
    let unchanged = stand.get_with(answer.header("location"), "if-none-match", found.header("etag")).await;
    assert_eq!((unchanged.status, unchanged.body.len()), (StatusCode::NOT_MODIFIED, 0));
    stand.claim().await;
    let changed = stand.get_with(answer.header("location"), "if-none-match", found.header("etag")).await;
    assert_eq!((changed.status, &changed.json()["status"]), (StatusCode::OK, &json!("running")));
}

#[tokio::test]
async fn a_job_for_later_is_scheduled() {
    let stand = Stand::new().await;
    let mut body = load();
    body["run_at"] = "2027-01-01T00:00:00Z".into();
    let answer = stand.post("/api/v1/load/postgres", &body, &[]).await;
    assert_eq!((answer.status, &answer.json()["status"]), (StatusCode::ACCEPTED, &json!("scheduled")));
    assert_eq!(stand.get(answer.header("location")).await.json()["next_attempt_at"], "2027-01-01T00:00:00Z");
}

#[tokio::test]
async fn a_caller_who_waits_gets_the_end() {
    let stand = Stand::new().await;
    let worker = async {
        let job = loop {
            let claim = stand.state.queue.claim("worker-1", 1, &JobId::now_v7().to_string()).await.expect("claim");
            match claim.jobs.into_iter().next() {
                Some(job) => break job,
                None => stand.state.queue.wake(Duration::from_secs(5)).await.expect("wake"),
            }
        };
        stand.finish(&job, Outcome::Succeeded(json!({"status": "success", "rows_loaded": 84}))).await;
    };
    let body = load();
    let prefer = [("prefer", "wait=30")];
    let ((), answer) = tokio::join!(worker, stand.post("/api/v1/load/postgres", &body, &prefer));
    let job = answer.json();
    assert_eq!((answer.status, answer.header("preference-applied")), (StatusCode::OK, "wait=30"));
    assert_eq!((&job["status"], &job["result"]["rows_loaded"]), (&json!("succeeded"), &json!(84)));

    let late = stand.post("/api/v1/load/postgres", &body, &[("prefer", "wait=0")]).await;
    assert_eq!((late.status, late.header("preference-applied")), (StatusCode::ACCEPTED, "wait=0"));
    assert_eq!(late.json()["status"], "queued");
    let path = late.header("location").to_owned();
    let still = stand.get_with(&path, "prefer", "wait=0").await;
    assert_eq!((still.status, &still.json()["status"]), (StatusCode::OK, &json!("queued")));
}

#[tokio::test]
async fn a_key_makes_one_job_of_many_requests() {
    let stand = Stand::new().await;
    let body = load();
    let key = [("idempotency-key", "order 66")];
    let answers = join_all((0..100).map(|_| stand.post("/api/v1/load/postgres", &body, &key))).await;
    let (new, replayed): (Vec<_>, Vec<_>) = answers.iter().partition(|one| one.status == StatusCode::ACCEPTED);
    assert_eq!((new.len(), replayed.len()), (1, 99));
    let id = new[0].json()["job_id"].clone();
    for answer in replayed {
        assert_eq!((answer.status, answer.header("idempotent-replayed")), (StatusCode::OK, "true"));
        assert_eq!(answer.json()["job_id"], id);
    }
    assert_eq!(stand.get("/api/v1/jobs").await.json()["jobs"].as_array().map(Vec::len), Some(1));

    let mut camel = body.clone();
    let name = camel.as_object_mut().and_then(|fields| fields.remove("table_name")).expect("name");
    camel["tableName"] = name;
    let same = stand.post("/api/v1/load/postgres", &camel, &key).await;
    assert_eq!((same.status, &same.json()["job_id"]), (StatusCode::OK, &id), "the other spelling is the same request");

    let mut other = body.clone();
    other["password"] = "hunter3".into();
    let conflict = stand.post("/api/v1/load/postgres", &other, &key).await;
    assert_eq!((conflict.status, &conflict.json()["code"]), (StatusCode::CONFLICT, &json!("idempotency_conflict")));
}

#[tokio::test]
async fn jobs_are_listed_by_what_they_are() {
    let stand = Stand::new().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        let mut body = load();
        body["table_name"] = format!("orders_{n}").into();
        body["labels"] = json!({"team": if n < 2 { "core" } else { "web" }});
        ids.push(stand.submit(&body).await);
    }
    let listed = async |query: &str| -> Vec<String> {
        let page = stand.get(&format!("/api/v1/jobs?{query}")).await.json();
        page["jobs"]
            .as_array()
            .expect("jobs")
            .iter()
            .map(|job| job["job_id"].as_str().expect("id").to_owned())
            .collect()
    };
    ids.reverse();
    assert_eq!(listed("").await, ids);
    assert_eq!(listed("label=team:core").await, ids[3..]);
    assert_eq!(listed("table=raw.orders_4&status=queued").await, ids[..1]);
    assert_eq!(listed("q=ORDERS_2").await, ids[2..3]);
    assert!(listed("kind=load.mysql").await.is_empty());
    assert!(listed("created_after=2100-01-01T00:00:00Z").await.is_empty());

    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = stand.get(&format!("/api/v1/jobs?limit=2{cursor}")).await.json();
        seen.extend(page["jobs"].as_array().expect("jobs").iter().map(|job| job["job_id"].clone()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ids);
    let stats = stand.get("/api/v1/stats").await.json();
    assert_eq!((&stats["statuses"]["queued"], &stats["queue_depth"]), (&json!(5), &json!(5)));
    assert_eq!(stats["kinds"]["load.postgres"]["queued"], 5);
}

#[tokio::test]
async fn jobs_are_stopped_and_run_again() {
    let stand = Stand::new().await;
    let id = stand.submit(&load()).await;
    let order = async |action: &str| stand.post(&format!("/api/v1/jobs/{id}/{action}"), &json!({}), &[]).await;
    let refused = order("retry").await;
    assert_eq!((refused.status, &refused.json()["code"]), (StatusCode::CONFLICT, &json!("job_not_ended")));
    let cancelled = order("cancel").await;
    assert_eq!((cancelled.status, &cancelled.json()["status"]), (StatusCode::ACCEPTED, &json!("cancelled")));
    let refused = order("cancel").await;
    assert_eq!((refused.status, &refused.json()["code"]), (StatusCode::CONFLICT, &json!("job_ended")));
    let again = order("retry").await;
    assert_eq!((again.status, &again.json()["status"]), (StatusCode::ACCEPTED, &json!("queued")));
    assert_eq!(again.header("location"), format!("/api/v1/jobs/{id}"));
}

/// The events of a stream: name and data.
fn events(text: &str) -> Vec<(String, Value, String)> {
    let event = |block: &str| {
        let field =
            |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
        (field("event:"), serde_json::from_str(&field("data:")).expect("data"), field("id:"))
    };
    text.split("\n\n").filter(|block| block.contains("data:")).map(event).collect()
}

#[tokio::test]
async fn events_tell_a_jobs_life_and_end_with_it() {
    let stand = Stand::new().await;
    let id = stand.submit(&load()).await;
    let path = format!("/api/v1/jobs/{id}/events");
    let life = async {
        let job = stand.claim().await;
        stand.state.queue.log(job.id, "two\nlines").await.expect("log");
        stand.finish(&job, failure()).await;
    };
    let (answer, ()) = tokio::join!(stand.get(&path), life);
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "text/event-stream"));
    let told = events(&answer.text());
    let statuses: Vec<&Value> =
        told.iter().filter(|(name, ..)| name == "status").map(|(_, data, _)| &data["status"]).collect();
    assert_eq!(statuses, ["queued", "running", "failed"]);
    assert!(told.iter().any(|(name, data, _)| name == "log" && data["line"] == "two\nlines"), "{told:?}");

    let resumed = stand.get_with(&path, "last-event-id", &told[1].2).await;
    assert_eq!(events(&resumed.text()), told[2..]);
    let over = stand.get_with(&path, "last-event-id", &told.last().expect("one").2).await;
    assert_eq!((over.status, over.body.len()), (StatusCode::NO_CONTENT, 0));
    let wrong = stand.get_with(&path, "last-event-id", "yesterday").await;
    assert_eq!((wrong.status, &wrong.json()["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_parameter")));
}
