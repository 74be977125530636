//! The audit trail: every move leaves one record, the chain is whole whatever is killed, and what is changed is found.
use icehaul_tests::{
    icehaul::{Icehaul, Process, binary},
    redis::RedisServer,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::pyiceberg::{catalog, python};

const SECRET: &str = "hunter2-of-the-audit";

/// Icehaul on a folder, whose audit events wait so long.
async fn up(data: &TempDir, interval: &str, fail: &str) -> Icehaul {
    let env = [
        ("ICEHAUL_AUDIT__ENABLED", "true".to_owned()),
        ("ICEHAUL_AUDIT__INTERVAL_SECONDS", interval.to_owned()),
        ("ICEHAUL_FILE_ROOTS", "/dev".to_owned()),
        ("ICEHAUL_FAILPOINTS", fail.to_owned()),
    ];
    Icehaul::up(data.path(), &env).await
}

/// A job that waits for months, with a password.
async fn later(icehaul: &Icehaul) -> String {
    let body = json!({
        "host": "db.example.com", "database": "shop", "user": "reader", "password": SECRET, "table": "orders",
        "namespace": "raw", "table_name": "orders", "run_at": chrono::Utc::now() + chrono::Duration::days(300),
    });
    icehaul.submit_to("/load/postgres", &body).await
}

/// What a check finds once nothing waits any more.
pub(crate) async fn written(icehaul: &Icehaul) -> Value {
    loop {
        let found = icehaul.get("/audit/verify").await.1;
        if found["waiting"] == 0 && found["records"] != 0 || found["intact"] == false {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn records(icehaul: &Icehaul, query: &str) -> Vec<Value> {
    let (status, page) = icehaul.get(&format!("/audit{query}")).await;
    assert_eq!(status, 200, "{page}");
    page["records"].as_array().cloned().expect("records")
}

/// Action and status of a job's records, oldest first.
async fn moves(icehaul: &Icehaul, job: &str) -> Vec<String> {
    let found = records(icehaul, &format!("?job={job}")).await;
    let say = |record: &Value| {
        let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        format!("{} {}", text("action"), text("status"))
    };
    found.iter().rev().map(say).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_move_leaves_one_record() {
    let data = TempDir::new().expect("folder");
    let files = TempDir::new().expect("folder");
    let file = files.path().join("things.csv").display().to_string();
    std::fs::write(&file, "id,name\n1,a\n2,b\n").expect("written");
    let env = [
        ("ICEHAUL_AUDIT__ENABLED", "true".to_owned()),
        ("ICEHAUL_AUDIT__INTERVAL_SECONDS", "0.2".to_owned()),
        ("ICEHAUL_FILE_ROOTS", files.path().display().to_string()),
    ];
    let icehaul = Icehaul::up(data.path(), &env).await;
    let load = |path: &str, namespace: &str| {
        json!({"file_path": path, "format": "csv", "namespace": namespace, "table_name": "things", "max_attempts": 1,
               "verify": "checksum"})
    };
    let done = icehaul.run("/load/file", &load(&file, "raw")).await;
    let id = done["job_id"].as_str().expect("an id");
    assert_eq!(moves(&icehaul, id).await, ["submit queued", "commit succeeded"], "{done:#}");
    let failed = icehaul.run("/load/file", &load(&format!("{file}.gone"), "raw")).await;
    let lost = failed["job_id"].as_str().expect("an id");
    assert_eq!(icehaul.post(&format!("/jobs/{lost}/retry"), &Value::Null).await.0, 202);
    icehaul.ended(lost).await;
    let waits = later(&icehaul).await;
    assert_eq!(icehaul.post(&format!("/jobs/{waits}/cancel"), &Value::Null).await.0, 202);
    assert_eq!(icehaul.post(&format!("/jobs/{waits}/cancel"), &Value::Null).await.0, 409, "no second record");
    let found = written(&icehaul).await;
    assert_eq!((&found["intact"], &found["records"]), (&json!(true), &json!(10)), "{found}");
    assert_eq!(moves(&icehaul, id).await, ["submit queued", "commit succeeded"]);
    assert_eq!(moves(&icehaul, lost).await, ["submit queued", "end failed", "retry queued", "end failed"]);
    assert_eq!(moves(&icehaul, &waits).await, ["submit scheduled", "cancel scheduled", "end cancelled"]);

    let commit = &records(&icehaul, "?action=commit&table=raw.things").await[0];
    for name in ["snapshot_id", "fingerprint"] {
        assert_eq!(commit[name], done["result"][name], "{commit:#}");
    }
    assert_eq!(commit["rows"], 2);
    let submit = records(&icehaul, &format!("?job={waits}&action=submit")).await.remove(0);
    assert_eq!((&submit["requester"], &submit["address"]), (&json!("anonymous"), &json!("127.0.0.1")));
    assert_eq!((&submit["kind"], &submit["table"]), (&json!("load.postgres"), &json!("raw.orders")));
    assert_eq!(records(&icehaul, &format!("?job={lost}&action=end")).await[0]["error_code"], failed["error"]["code"]);
    assert_eq!(records(&icehaul, "?action=configure").await[0]["kind"], "up");

    let all = records(&icehaul, "").await;
    assert_eq!(
        all.iter().filter_map(|one| one["seq"].as_u64()).collect::<Vec<_>>(),
        (1..=10).rev().collect::<Vec<_>>()
    );
    assert!(!json!(all).to_string().contains(SECRET));
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = icehaul.get(&format!("/audit?limit=3{cursor}")).await.1;
        paged.extend(page["records"].as_array().cloned().expect("records"));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, all);
    let listed = std::process::Command::new(binary())
        .args(["audit", "list", "--action", "commit", "--table", "raw.things", "--url", &icehaul.url])
        .output()
        .expect("icehaul runs");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.starts_with("SEQ ") && listed.lines().count() == 2 && listed.contains(id), "{listed}");
    for wrong in ["action=delete", "job=x", "since=yesterday", "cursor=x", "limit=0"] {
        let (status, problem) = icehaul.get(&format!("/audit?{wrong}")).await;
        assert_eq!(status, 400, "{wrong}: {problem}");
    }

    let uri = catalog(&data);
    let head = found["head"].as_str().expect("a hash");
    assert_eq!(python(&["audit.py", "verify", &uri]).await, format!("10 {head}"));
    let (status, refused) = icehaul.post("/load/file", &load(&file, "icehaul")).await;
    assert_eq!((status.as_u16(), &refused["code"]), (422, &json!("invalid_identifier")), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_is_found_and_named() {
    for (what, broken) in [("change", 2), ("time", 2), ("delete", 2), ("insert", 2), ("drop", 1)] {
        let data = TempDir::new().expect("folder");
        let icehaul = up(&data, "0.1", "").await;
        for _ in 0..3 {
            later(&icehaul).await;
        }
        assert_eq!(written(&icehaul).await["records"], 4);
        let uri = catalog(&data);
        python(&["audit.py", what, &uri, "2"]).await;
        let found = icehaul.get("/audit/verify").await.1;
        assert_eq!((&found["intact"], &found["broken"]), (&json!(false), &json!(broken)), "{what}: {found}");
        if what == "drop" {
            later(&icehaul).await;
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            let found = icehaul.get("/audit/verify").await.1;
            assert_eq!((&found["broken"], &found["waiting"]), (&json!(1), &json!(1)), "no new chain begins: {found}");
        } else {
            let theirs = python(&["audit.py", "verify", &uri]).await;
            assert!(theirs.starts_with("broken at "), "{what}: {theirs}");
        }
        let checked = std::process::Command::new(binary()).args(["audit", "verify", "--url", &icehaul.url]).output();
        let checked = checked.expect("icehaul runs");
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert_eq!(checked.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("broken at record {broken}")), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_writer_loses_and_doubles_nothing() {
    for point in ["audit.written", "commit.before_swap", "commit.after_swap", "audit.committed", "audit.trimmed"] {
        let data = TempDir::new().expect("folder");
        let mut jobs = Vec::new();
        {
            let icehaul = up(&data, "3600", "").await;
            for _ in 0..3 {
                jobs.push(later(&icehaul).await);
            }
            assert_eq!(records(&icehaul, "?action=submit").await.len(), 3, "before they are written");
            // Its Redis must live on.
            icehaul.process.signal("TERM");
            let mut icehaul = icehaul;
            icehaul.process.ended().await;
        }
        let mut killed = up(&data, "0.1", &format!("{point}=exit")).await;
        assert!(!killed.process.ended().await.success(), "{point}");
        drop(killed);
        let icehaul = up(&data, "0.1", "").await;
        let found = written(&icehaul).await;
        assert_eq!((&found["intact"], &found["records"]), (&json!(true), &json!(5)), "{point}: {found}");
        for job in &jobs {
            assert_eq!(moves(&icehaul, job).await, ["submit scheduled"], "{point}");
        }
        let theirs = python(&["audit.py", "verify", &catalog(&data)]).await;
        assert_eq!(theirs, format!("5 {}", found["head"].as_str().expect("a hash")), "{point}");
    }
}

/// One Redis, one API, and workers that all write the trail.
async fn with_workers(
    data: &TempDir,
    redis: &RedisServer,
    more: &[(&'static str, &str)],
    workers: usize,
) -> (Icehaul, Vec<Process>) {
    let mut env = vec![
        ("ICEHAUL_REDIS_URL", redis.url()),
        ("ICEHAUL_DATA_DIR", data.path().display().to_string()),
        ("ICEHAUL_AUDIT__ENABLED", "true".to_owned()),
        ("ICEHAUL_AUDIT__INTERVAL_SECONDS", "0.05".to_owned()),
    ];
    env.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let icehaul = Icehaul::serve(&["api", "--bind", "127.0.0.1:0"], &env).await;
    let mut processes = Vec::new();
    for _ in 0..workers {
        processes.push(Process::start(&["worker"], &env, false).await.0);
    }
    (icehaul, processes)
}

#[tokio::test(flavor = "multi_thread")]
async fn several_writers_write_each_event_once() {
    const JOBS: usize = 2000;
    let (data, redis) = (TempDir::new().expect("folder"), RedisServer::start().expect("redis"));
    let (icehaul, mut workers) = with_workers(&data, &redis, &[], 3).await;
    let begun = std::time::Instant::now();
    let lane = async || {
        let mut jobs = Vec::new();
        for _ in 0..JOBS / 8 {
            jobs.push(later(&icehaul).await);
        }
        jobs
    };
    // A writer dies in the middle of it.
    let killed = async {
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        workers[0].signal("KILL");
        workers[0].ended().await;
    };
    let (lanes, ()) = tokio::join!(futures::future::join_all((0..8).map(|_| lane())), killed);
    let jobs: Vec<String> = lanes.into_iter().flatten().collect();
    let submitted = begun.elapsed();
    let found = written(&icehaul).await;
    let events = found["records"].as_u64().expect("a number");
    eprintln!("{JOBS} submits in {submitted:?}, all {events} records written after {:?}", begun.elapsed());
    // Besides the jobs: the configurations of the API and of the workers, which have one.
    assert_eq!((&found["intact"], events), (&json!(true), JOBS as u64 + 2), "{found}");
    let theirs = python(&["audit.py", "verify", &catalog(&data)]).await;
    assert_eq!(theirs, format!("{events} {}", found["head"].as_str().expect("a hash")));
    let counted = icehaul.rows("SELECT count(DISTINCT job_id), count(job_id) FROM icehaul.audit").await;
    assert_eq!(counted, [json!([JOBS, JOBS])]);
    for job in jobs.iter().step_by(400) {
        assert_eq!(moves(&icehaul, job).await, ["submit scheduled"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_redis_has_forgotten_are_in_the_trail() {
    let (data, redis) = (TempDir::new().expect("folder"), RedisServer::start().expect("redis"));
    let files = TempDir::new().expect("folder");
    let file = files.path().join("things.csv").display().to_string();
    std::fs::write(&file, "id\n1\n2\n").expect("written");
    // Nothing is written while the job is there.
    let folder = files.path().display().to_string();
    let more = [
        ("ICEHAUL_FILE_ROOTS", folder.as_str()),
        ("ICEHAUL_QUEUE__RETENTION_SECONDS", "1"),
        ("ICEHAUL_AUDIT__INTERVAL_SECONDS", "4"),
    ];
    let (icehaul, _workers) = with_workers(&data, &redis, &more, 1).await;
    let body = json!({"file_path": file, "format": "csv", "namespace": "raw", "table_name": "things"});
    let job = icehaul.run("/load/file", &body).await;
    let id = job["job_id"].as_str().expect("an id").to_owned();
    while icehaul.get(&format!("/jobs/{id}")).await.0 == 200 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(moves(&icehaul, &id).await, ["submit queued", "commit succeeded"], "they wait");
    let found = written(&icehaul).await;
    assert_eq!(found["intact"], true, "{found}");
    let commit = records(&icehaul, &format!("?job={id}&action=commit")).await.remove(0);
    assert!(commit["hash"].is_string(), "{commit}");
    assert_eq!((&commit["snapshot_id"], &commit["rows"]), (&job["result"]["snapshot_id"], &json!(2)), "{commit}");
}
