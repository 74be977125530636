//! Finding jobs, and following one.
use std::{collections::HashSet, time::Duration};

use icehaul_jobs::{
    Code, JobId, Status,
    queue::{JobFilter, Outcome},
};
use serde_json::json;

use super::{Bed, bed, failure, key};

/// Walks through all pages.
async fn all(bed: &Bed, filter: &JobFilter, limit: usize) -> Vec<JobId> {
    let (mut ids, mut cursor) = (Vec::new(), None);
    loop {
        let page = bed.queue.list(filter, limit, cursor.as_deref()).await.expect("page");
        assert!(page.jobs.len() <= limit);
        ids.extend(page.jobs.iter().map(|job| job.job_id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return ids;
        }
    }
}

/// Sixty jobs of three kinds and two tables, a third of them ended; newest first.
async fn sixty(bed: &Bed) -> Vec<JobId> {
    let mut ids = Vec::new();
    for i in 0..60 {
        let id = bed
            .enqueue(|job| {
                job.kind = ["load.postgres", "load.file", "verify"][i % 3].into();
                job.table = (i % 2 == 0).then(|| "staging.orders".into());
                job.labels.insert("team".into(), if i < 30 { "sales".into() } else { "ops: x".into() });
                job.spec = json!({"host": format!("DB-{i}")});
            })
            .await;
        ids.push(id);
    }
    for job in bed.claim(20).await {
        bed.queue.finish(job.id, job.epoch, &Outcome::Failed(failure(1))).await.expect("finish");
    }
    ids.reverse();
    ids
}

#[tokio::test]
async fn pages_hold_every_job_once_newest_first() {
    let bed = bed().await;
    assert!(all(&bed, &JobFilter::default(), 10).await.is_empty());
    let ids = sixty(&bed).await;
    for limit in [1, 7, 20, 60, 500] {
        assert_eq!(all(&bed, &JobFilter::default(), limit).await, ids, "pages of {limit}");
    }
}

#[tokio::test]
async fn jobs_of_one_millisecond_are_paged_too() {
    let mut bed = bed().await;
    let ids = sixty(&bed).await;
    for set in [
        "load.postgres:queued",
        "load.file:queued",
        "verify:queued",
        "load.postgres:failed",
        "load.file:failed",
        "verify:failed",
    ] {
        let members: Vec<String> =
            redis::cmd("ZRANGE").arg(key(&format!("jobs:{set}"))).arg(0).arg(-1).query(&mut bed.raw).expect("members");
        for id in members {
            redis::cmd("ZADD").arg(key(&format!("jobs:{set}"))).arg(1000).arg(id).exec(&mut bed.raw).expect("score");
        }
    }
    assert_eq!(all(&bed, &JobFilter::default(), 7).await, ids);
}

#[tokio::test]
async fn filters_combine() {
    let bed = bed().await;
    let ids = sixty(&bed).await;
    // `i` is the number of the job, from the oldest.
    let expect =
        |fits: &dyn Fn(usize) -> bool| (0..60).rev().filter(|i| fits(*i)).map(|i| ids[59 - i]).collect::<Vec<_>>();
    let filter = JobFilter::default;
    let orders = || Some("staging.orders".to_owned());
    for (filter, expected) in [
        (JobFilter { status: Some(Status::Failed), ..filter() }, expect(&|i| i < 20)),
        (JobFilter { status: Some(Status::Running), ..filter() }, vec![]),
        (JobFilter { kind: Some("verify".into()), ..filter() }, expect(&|i| i % 3 == 2)),
        (JobFilter { kind: Some("none".into()), ..filter() }, vec![]),
        (JobFilter { table: orders(), ..filter() }, expect(&|i| i % 2 == 0)),
        (JobFilter { label: Some("team".into()), ..filter() }, expect(&|_| true)),
        (JobFilter { label: Some("team:sales".into()), ..filter() }, expect(&|i| i < 30)),
        (JobFilter { label: Some("team:ops: x".into()), ..filter() }, expect(&|i| i >= 30)),
        (JobFilter { text: Some("db-5".into()), ..filter() }, expect(&|i| i == 5 || i >= 50)),
        (JobFilter { text: Some("SOURCE does".into()), ..filter() }, expect(&|i| i < 20)),
        (
            JobFilter {
                table: orders(),
                status: Some(Status::Queued),
                kind: Some("load.postgres".into()),
                label: Some("team:sales".into()),
                ..filter()
            },
            expect(&|i| i % 6 == 0 && (20..30).contains(&i)),
        ),
    ] {
        assert_eq!(all(&bed, &filter, 4).await, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn times_bound_the_list() {
    let bed = bed().await;
    let ids = sixty(&bed).await;
    let middle = bed.queue.get(ids[30]).await.expect("job").created_at;
    let after: HashSet<_> =
        all(&bed, &JobFilter { created_after: Some(middle), ..Default::default() }, 50).await.into_iter().collect();
    let before: HashSet<_> =
        all(&bed, &JobFilter { created_before: Some(middle), ..Default::default() }, 50).await.into_iter().collect();
    assert!(after.contains(&ids[30]) && !before.contains(&ids[30]));
    assert!(after.is_disjoint(&before));
    assert_eq!(after.len() + before.len(), 60);
}

#[tokio::test]
async fn a_needle_among_thousands_is_found_in_bounded_steps() {
    let bed = bed().await;
    let needle = bed.enqueue(|job| job.spec = json!({"host": "needle"})).await;
    for _ in 0..4500 {
        bed.enqueue(|_| ()).await;
    }
    let filter = JobFilter { text: Some("needle".into()), ..Default::default() };
    let first = bed.queue.list(&filter, 10, None).await.expect("page");
    assert!(first.jobs.is_empty() && first.next_cursor.is_some(), "the first 2,000 do not have it");
    assert_eq!(all(&bed, &filter, 10).await, [needle]);
}

#[tokio::test]
async fn a_strange_cursor_is_refused() {
    let bed = bed().await;
    let error = bed.queue.list(&JobFilter::default(), 10, Some("page-2")).await.expect_err("refused");
    assert_eq!(error.code(), Code::InvalidParameter);
}

#[tokio::test]
async fn the_numbers_agree_with_the_jobs() {
    let bed = bed().await;
    assert_eq!(bed.queue.stats().await.expect("stats").oldest_wait_seconds, 0.0);
    sixty(&bed).await;
    let running = bed.claim(3).await;
    bed.queue.cancel(running[0].id).await.expect("cancel");
    let stats = bed.queue.stats().await.expect("stats");
    assert_eq!((stats.statuses["failed"], stats.statuses["queued"], stats.statuses["running"]), (20, 37, 3));
    assert_eq!((stats.statuses["succeeded"], stats.queue_depth), (0, 37));
    assert_eq!(stats.kinds["verify"].values().sum::<u64>(), 20);
    assert!(stats.oldest_wait_seconds >= 0.0 && stats.oldest_wait_seconds < 60.0, "{}", stats.oldest_wait_seconds);
}

#[tokio::test]
async fn events_tell_a_jobs_life_and_resume() {
    let bed = bed().await;
    let id = bed.enqueue(|_| ()).await;
    let job = bed.claim_one().await;
    bed.queue.log(id, "reading").await.expect("log");
    bed.queue.finish(id, job.epoch, &Outcome::Succeeded(json!({}))).await.expect("finish");
    let events = bed.queue.events(id, None, Duration::ZERO).await.expect("events");
    let told: Vec<_> = events
        .iter()
        .map(|e| format!("{} {}", e.event, e.data.get("status").or(e.data.get("line")).expect("what")))
        .collect();
    assert_eq!(told, ["status \"queued\"", "status \"running\"", "log \"reading\"", "status \"succeeded\""]);
    assert!(events.iter().all(|e| e.data["at"].as_str().is_some_and(|at| at.ends_with('Z'))));
    for resume in 0..events.len() {
        let rest = bed.queue.events(id, Some(&events[resume].id), Duration::ZERO).await.expect("rest");
        assert_eq!(
            rest.iter().map(|e| &e.id).collect::<Vec<_>>(),
            events[resume + 1..].iter().map(|e| &e.id).collect::<Vec<_>>()
        );
    }
    let unknown = bed.queue.events(uuid::Uuid::now_v7(), Some("0-1"), Duration::ZERO).await.expect_err("unknown");
    assert_eq!(unknown.code(), Code::JobNotFound);
    let strange = bed.queue.events(id, Some("yesterday"), Duration::ZERO).await.expect_err("strange");
    assert_eq!(strange.code(), Code::InvalidParameter);
}

#[tokio::test]
async fn an_event_wakes_those_who_wait_for_it() {
    let bed = bed().await;
    let id = bed.enqueue(|_| ()).await;
    let queue = bed.queue.clone();
    let wait = tokio::spawn(async move { queue.events(id, Some("0-1"), Duration::from_secs(30)).await });
    let job = bed.claim_one().await;
    assert_eq!(wait.await.expect("task").expect("events")[0].data["status"], "running");
    let none = bed.queue.events(id, Some("9999999999999-0"), Duration::from_millis(30)).await.expect("events");
    assert!(none.is_empty());
    bed.queue.finish(id, job.epoch, &Outcome::Cancelled).await.expect("finish");
}

#[tokio::test]
async fn lists_shorten_long_texts_and_documents_do_not() {
    let bed = bed().await;
    let query = "ä".repeat(100_000);
    let id = bed.enqueue(|job| job.spec = json!({"query": query, "columns": [query, "id"], "port": 1})).await;
    let page = bed.queue.list(&JobFilter::default(), 1, None).await.expect("page");
    let short = format!("{}…", "ä".repeat(4096));
    assert_eq!(page.jobs[0].spec, json!({"query": short, "columns": [short, "id"], "port": 1}));
    assert_eq!(bed.queue.get(id).await.expect("job").spec["query"], json!(query));
}
