//! The client of object storage against a server that lies, repeats itself and does not end.
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures::TryStreamExt;
use icehaul_lake::{
    Kind,
    s3::{Bucket, Object, S3Config},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
};

/// More than any answer may have that is read.
const FLOOD: usize = 256 << 20;

/// An answer: its status with headers, its body, and what is sent behind it, up to [`FLOOD`] bytes in all.
struct Answer {
    head: String,
    body: String,
    then: Option<(Vec<u8>, Duration)>,
}

fn answer(head: &str, body: impl Into<String>) -> Answer {
    Answer { head: head.to_owned(), body: body.into(), then: None }
}

impl Answer {
    fn then(mut self, piece: Vec<u8>, wait: Duration) -> Self {
        self.then = Some((piece, wait));
        self
    }

    fn flood(self) -> Self {
        self.then(vec![b'x'; 1 << 20], Duration::ZERO)
    }

    /// Sends it, and tells how many bytes were taken.
    async fn send(self, to: &mut TcpStream) -> usize {
        let length = if self.then.is_some() { FLOOD } else { self.body.len() };
        let whole =
            format!("HTTP/1.1 {}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{}", self.head, self.body);
        let mut sent = 0;
        if to.write_all(whole.as_bytes()).await.is_ok() {
            let Some((piece, wait)) = self.then else { return sent };
            while sent < FLOOD && to.write_all(&piece).await.is_ok() {
                sent += piece.len();
                tokio::time::sleep(wait).await;
            }
        }
        sent
    }
}

/// A bucket whose server answers each request line with what `says` makes of it; and how much of each answer was taken.
async fn bucket(says: impl Fn(&str) -> Answer + Send + Sync + 'static) -> (Bucket, UnboundedReceiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let config = S3Config {
        endpoint: Some(format!("http://{}", listener.local_addr().expect("address"))),
        silence_timeout: Duration::from_millis(300),
        ..S3Config::default()
    };
    let (says, (told, taken)) = (Arc::new(says), unbounded_channel());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (says, told) = (says.clone(), told.clone());
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await?);
                }
                let sent = says(&String::from_utf8_lossy(&request)).send(&mut stream).await;
                let _ = told.send(sent);
                std::io::Result::Ok(())
            });
        }
    });
    (Bucket::connect(&config, "lake").expect("bucket"), taken)
}

const FOUND: &str =
    "206 Partial Content\r\nContent-Range: bytes 0-99/100\r\nLast-Modified: Wed, 01 Jan 2025 00:00:07 GMT";

fn object(etag: Option<&str>, second: u32) -> Object {
    let time = format!("2025-01-01T00:00:{second:02}.250Z").parse().expect("a time");
    Object { key: "a.csv".to_owned(), size: 100, etag: etag.map(str::to_owned), last_modified: time }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_read_beyond_its_bound() {
    let (lake, mut taken) = bucket(|_| answer("200 OK", "<ListBucketResult><Name>").flood()).await;
    let error = lake.list("p/").try_collect::<Vec<_>>().await.expect_err("endless");
    assert!(error.kind() == Kind::StoreUnreachable && error.message().contains("16 MiB"), "{error:?}");
    assert!(taken.recv().await.expect("an answer") < FLOOD / 4);

    let (lake, mut taken) = bucket(|_| answer("400 Bad Request", "<Error><Code>").flood()).await;
    let error = lake.get(&object(None, 7), 0..100).await.expect_err("endless");
    assert!(error.kind() == Kind::ObjectForbidden && error.message().contains("refuses"), "{error:?}");
    assert!(taken.recv().await.expect("an answer") < FLOOD / 4);

    for etag in ["", "\r\nETag: \"e\""] {
        let (lake, mut taken) = bucket(move |_| answer(&format!("{FOUND}{etag}"), "x".repeat(100)).flood()).await;
        let error = lake.get(&object(Some("\"e\""), 7), 0..100).await.expect_err("endless");
        assert!(error.kind() == Kind::StoreUnreachable && error.message().contains("more of"), "{error:?}");
        assert!(taken.recv().await.expect("an answer") < FLOOD / 4);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_that_does_not_go_on_ends() {
    let page = |token: &str| {
        let item =
            "<Contents><Key>p/a</Key><LastModified>2025-01-01T00:00:00.000Z</LastModified><Size>9</Size></Contents>";
        let more = format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>");
        answer("200 OK", format!("<ListBucketResult><Name>lake</Name>{item}{more}</ListBucketResult>"))
    };
    let (lake, _taken) = bucket(move |_| page("again")).await;
    let error = lake.list("p/").try_collect::<Vec<_>>().await.expect_err("endless");
    assert!(error.kind() == Kind::StoreUnreachable && error.message().contains("does not go on"), "{error:?}");

    let count = AtomicUsize::new(0);
    let (lake, _taken) = bucket(move |_| {
        let number = count.fetch_add(1, Relaxed);
        let token = format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{number}</NextContinuationToken>");
        answer("200 OK", format!("<ListBucketResult><Name>lake</Name>{token}</ListBucketResult>"))
    })
    .await;
    let error = lake.list("p/").try_collect::<Vec<_>>().await.expect_err("endless");
    assert!(error.kind() == Kind::StoreUnreachable && error.message().contains("does not go on"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_without_etag_is_pinned_by_its_time() {
    let (lake, _taken) = bucket(|_| answer(FOUND, "x".repeat(100))).await;
    assert_eq!(lake.get(&object(None, 7), 0..100).await.expect("the same").len(), 100);
    for then in [object(None, 6), object(Some("\"e\""), 8), Object { size: 99, ..object(None, 7) }] {
        assert_eq!(lake.get(&then, 0..100).await.expect_err("another").kind(), Kind::ObjectChanged, "{then:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_drips_is_given_up() {
    let (lake, _taken) = bucket(|_| answer(FOUND, "").then(b"x".to_vec(), Duration::from_millis(100))).await;
    let object = object(None, 7);
    let reading = lake.get(&object, 0..100);
    let error = tokio::time::timeout(Duration::from_secs(5), reading).await.expect("an end").expect_err("drips");
    assert!(error.kind() == Kind::StoreUnreachable && error.message().contains("too slowly"), "{error:?}");
}
