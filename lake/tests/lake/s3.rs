//! The client of object storage against a real server.
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use icehaul_lake::{
    Kind,
    s3::{Bucket, S3Config},
};

use crate::{
    proxy::{Fault, Proxy, SLOW_DOWN},
    s3_server::{ACCESS_KEY, S3Server, SECRET_KEY},
};

fn config(endpoint: String) -> S3Config {
    S3Config {
        endpoint: Some(endpoint),
        access_key: Some(ACCESS_KEY.to_owned()),
        secret_key: Some(SECRET_KEY.to_owned()),
        ..S3Config::default()
    }
}

fn lake(server: &S3Server) -> Bucket {
    Bucket::connect(&config(server.endpoint()), "lake").expect("bucket")
}

/// Bytes in which every place has a value of its own, nearly.
fn content(length: u32) -> Bytes {
    (0..length).flat_map(|i| (i.wrapping_mul(2_654_435_761)).to_le_bytes()).take(length as usize).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_come_back_as_they_were_written() {
    let server = S3Server::with_bucket("lake").expect("server");
    let bucket = lake(&server);
    for (key, length) in [("a/none.bin", 0), ("a/b=1/small ü%20+&.bin", 5), ("big.bin", 40_000_003)] {
        let content = content(length);
        let mut upload = bucket.upload(key, None);
        for start in (0..content.len()).step_by(3_000_000) {
            upload.write(content.slice(start..content.len().min(start + 3_000_000))).await.expect("write");
        }
        assert_eq!(upload.close().await.expect("close"), u64::from(length));
        let object = bucket.head(key).await.expect("head");
        assert_eq!((object.key.as_str(), object.size), (key, u64::from(length)));
        let back: Vec<_> = bucket.stream(&object, 0..object.size).try_collect().await.expect("stream");
        assert!(back.concat() == content, "{key} is not what was written");
        assert!(bucket.read(key).await.expect("read") == content, "{key} is not what was written");
    }
    let object = bucket.head("big.bin").await.expect("head");
    assert_eq!(bucket.get(&object, 7..4_000_000).await.expect("get"), content(40_000_003).slice(7..4_000_000));
    assert_eq!(server.open_parts("lake"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_upload_leaves_nothing() {
    let server = S3Server::with_bucket("lake").expect("server");
    let bucket = lake(&server);
    let mut kept = bucket.upload("kept.bin", None);
    kept.write(content(20_000_000)).await.expect("write");
    kept.abort().await;
    let mut dropped = bucket.upload("dropped.bin", None);
    dropped.write(content(20_000_000)).await.expect("write");
    assert!(dropped.waiting() < 8 << 20);
    drop(dropped);
    let gone = async {
        while server.open_parts("lake") > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("the parts are thrown away");
    assert!(server.keys("lake").is_empty());
}

#[tokio::test]
async fn a_changed_object_is_not_read_on() {
    let server = S3Server::with_bucket("lake").expect("server");
    let bucket = lake(&server);
    bucket.put("x", "first".into()).await.expect("put");
    let object = bucket.head("x").await.expect("head");
    bucket.put("x", "other".into()).await.expect("put");
    assert_eq!(bucket.get(&object, 0..5).await.expect_err("changed").kind(), Kind::ObjectChanged);
    let streamed: Vec<_> = bucket.stream(&object, 0..5).collect().await;
    assert_eq!(streamed[0].as_ref().expect_err("changed").kind(), Kind::ObjectChanged);
    bucket.put_new("x", "other".into()).await.expect("the same content is our own");
    assert_eq!(bucket.put_new("x", "third".into()).await.expect_err("another's").kind(), Kind::ObjectChanged);
    assert_eq!(&bucket.read("x").await.expect("read")[..], b"other");
}

#[tokio::test]
async fn lists_are_whole_and_deleting_keeps_what_it_is_told() {
    let server = S3Server::with_bucket("lake").expect("server");
    let bucket = lake(&server);
    // More than a page.
    let folder = server.bucket("lake").join("many");
    std::fs::create_dir_all(folder.join("sub")).expect("folder");
    for i in 0..1203 {
        std::fs::write(folder.join(format!("{i:04}")), "x").expect("file");
    }
    std::fs::write(folder.join("sub/empty"), "").expect("file");
    let keys = async |prefix: &str| {
        let all: Vec<_> = bucket.list(prefix).map_ok(|object| object.key).try_collect().await.expect("list");
        all
    };
    let all = keys("many/").await;
    assert_eq!((all.len(), all[0].as_str(), all[1203].as_str()), (1204, "many/0000", "many/sub/empty"));
    assert_eq!(keys("many/120").await, ["many/1200", "many/1201", "many/1202"]);
    assert!(keys("manyx").await.is_empty());
    bucket.delete_all("many/", |key| key.ends_with("7")).await.expect("delete");
    assert!(keys("").await.iter().all(|key| key.ends_with('7')));
    assert_eq!(keys("").await.len(), 120);
    bucket.delete("many/0007").await.expect("delete");
    bucket.delete("many/0007").await.expect("not there is no error");
    assert_eq!(keys("").await.len(), 119);
}

/// What every request of a bucket fails with.
async fn all_fail(bucket: &Bucket) -> Vec<icehaul_lake::Error> {
    let (head, read, put, new, list) = tokio::join!(
        bucket.head("x"),
        bucket.read("x"),
        bucket.put("y", "y".into()),
        bucket.put_new("y", "y".into()),
        bucket.list("").try_collect::<Vec<_>>(),
    );
    let all = [head.err(), read.err(), put.err(), new.err(), list.err()];
    all.into_iter().map(|error| error.expect("a failure")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_a_store_that_cannot_be_reached_is_given_up() {
    let server = S3Server::with_bucket("lake").expect("server");
    let away = config("http://127.0.0.1:1".to_owned());
    let no_tls = config(server.endpoint().replace("http:", "https:"));
    let [away, no_tls] = [away, no_tls].map(|config| Bucket::connect(&config, "lake").expect("bucket"));
    let (away, no_tls) = tokio::join!(all_fail(&away), all_fail(&no_tls));
    for error in away {
        assert!(error.kind() == Kind::StoreUnreachable && error.message().contains("cannot be reached"), "{error:?}");
    }
    for error in no_tls {
        assert!(error.kind() == Kind::StoreTls && error.message().contains("TLS"), "{error:?}");
    }
}

#[tokio::test]
async fn each_failure_has_its_kind_and_no_secret() {
    let server = S3Server::with_bucket("lake").expect("server");
    let right = config(server.endpoint());
    let bucket = |config: &S3Config, name: &str| Bucket::connect(config, name).expect("bucket");
    lake(&server).put("x", "x".into()).await.expect("put");
    let wrong_key = S3Config { access_key: Some("nobody-here".into()), ..right.clone() };
    let wrong_secret = S3Config { secret_key: Some("wrong-secret".into()), ..right.clone() };
    let unsigned = S3Config { access_key: None, secret_key: None, ..right.clone() };
    for (bucket, kind, says) in [
        (bucket(&right, "none"), Kind::BucketNotFound, "no bucket `none`"),
        (bucket(&wrong_key, "lake"), Kind::ObjectForbidden, "access key"),
        (bucket(&wrong_secret, "lake"), Kind::ObjectForbidden, "secret key"),
        (bucket(&unsigned, "lake"), Kind::ObjectForbidden, "does not allow"),
    ] {
        for error in all_fail(&bucket).await {
            let shown = format!("{error:?}");
            assert!(error.kind() == kind && error.message().contains(says), "{shown}");
            assert!(
                !shown.contains("wrong-secret") && !shown.contains(SECRET_KEY) && !shown.contains("nobody"),
                "{shown}"
            );
        }
    }
    let bucket = lake(&server);
    assert_eq!(bucket.head("none").await.expect_err("none").kind(), Kind::ObjectNotFound);
    assert_eq!(bucket.read("none").await.expect_err("none").kind(), Kind::ObjectNotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_stumbles_is_asked_again() {
    let server = S3Server::with_bucket("lake").expect("server");
    let proxy = Proxy::before(server.address()).await;
    let config = S3Config { silence_timeout: Duration::from_secs(2), ..config(format!("http://{}", proxy.address)) };
    let bucket = Bucket::connect(&config, "lake").expect("bucket");
    for fault in [SLOW_DOWN, Fault::Stall] {
        proxy.cut([fault; 2]);
        bucket.put("x", "x".into()).await.expect("put");
        assert_eq!(proxy.faults_left(), 0);
        proxy.cut([fault; 2]);
        bucket.put_new("y", "y".into()).await.expect("put");
        proxy.cut([fault; 2]);
        assert_eq!(bucket.head("x").await.expect("head").size, 1);
        let content = content(30_000_000);
        let mut upload = bucket.upload("big", None);
        upload.write(content.slice(..20_000_000)).await.expect("write");
        proxy.cut([fault; 3]);
        upload.write(content.slice(20_000_000..)).await.expect("write");
        upload.close().await.expect("close");
        proxy.cut([fault; 3]);
        let object = bucket.head("big").await.expect("head");
        let back: Vec<_> = bucket.stream(&object, 0..object.size).try_collect().await.expect("stream");
        assert!(back.concat() == content);
        proxy.cut([fault; 2]);
        bucket.delete_all("", |_| false).await.expect("delete");
        assert!(server.keys("lake").is_empty());
        assert_eq!((server.open_parts("lake"), proxy.faults_left()), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_a_store_that_hangs_is_given_up() {
    let server = S3Server::with_bucket("lake").expect("server");
    let config = S3Config { silence_timeout: Duration::from_millis(200), ..config(server.endpoint()) };
    let bucket = Bucket::connect(&config, "lake").expect("bucket");
    bucket.put("x", content(9_000_000)).await.expect("put");
    let object = bucket.head("x").await.expect("head");
    server.signal("STOP").expect("signal");
    let (read, head) = tokio::join!(bucket.get(&object, 0..object.size), bucket.head("x"));
    for error in [read.expect_err("hangs"), head.expect_err("hangs")] {
        assert!(error.kind() == Kind::StoreUnreachable && error.message().contains("in time"), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_is_gone_on_with() {
    let server = S3Server::with_bucket("lake").expect("server");
    let content = content(30_000_000);
    lake(&server).put("x", content.clone()).await.expect("put");
    let proxy = Proxy::before(server.address()).await;
    let bucket = Bucket::connect(&config(format!("http://{}", proxy.address)), "lake").expect("bucket");
    let object = bucket.head("x").await.expect("head");
    let mut stream = bucket.stream(&object, 0..object.size);
    let mut back = stream.next().await.expect("a chunk").expect("a chunk").to_vec();
    proxy.cut_after(1_000_000);
    let heal = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        proxy.heal();
    };
    let rest = async {
        while let Some(chunk) = stream.next().await {
            back.extend_from_slice(&chunk.expect("a chunk"));
        }
        back
    };
    let ((), back) = tokio::join!(heal, rest);
    assert!(back == content);
}
