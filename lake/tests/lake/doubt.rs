//! Swaps whose answer is lost: they count once, whether they happened or not.
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use icehaul_lake::{CatalogConfig, Change, Guard, Kind, Lake};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::help::{Fixture, guard, load, name, rows, spec, write};

/// What the proxy does with a client's statement that holds `iceberg_tables SET`.
const PASS: usize = 0;
const DROP_REQUEST: usize = 1;
const DROP_ANSWER: usize = 2;

/// Passes everything between clients and a server until told to cut the connection around the swap.
async fn proxy(server: String, mode: Arc<AtomicUsize>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let port = listener.local_addr().expect("address").port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass(client, server.clone(), mode.clone()));
        }
    });
    port
}

/// One connection. The swap is prepared once and then only executed, so its parameters tell it: a metadata location
/// sent by a client is a swap.
async fn pass(mut client: TcpStream, server: String, mode: Arc<AtomicUsize>) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    let (mut request, mut answer) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut request) => {
                let sent = &request[..read?];
                let is_swap = sent.windows(14).any(|part| part == b".metadata.json");
                match mode.load(SeqCst) {
                    _ if sent.is_empty() => return Ok(()),
                    DROP_REQUEST if is_swap => { mode.store(PASS, SeqCst); return Ok(()) }
                    DROP_ANSWER if is_swap => {
                        server.write_all(sent).await?;
                        // The answer shows that the statement is done; the client never sees it.
                        let _ = server.read(&mut answer).await?;
                        mode.store(PASS, SeqCst);
                        return Ok(());
                    }
                    _ => server.write_all(sent).await?,
                }
            }
            read = server.read(&mut answer) => match read? {
                0 => return Ok(()),
                read => client.write_all(&answer[..read]).await?,
            },
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_whose_answer_is_lost_counts_once() {
    let Ok(uri) = std::env::var("ICEHAUL_TEST_CATALOG_POSTGRES_URL") else {
        eprintln!("not run: ICEHAUL_TEST_CATALOG_POSTGRES_URL is not set");
        return;
    };
    let (user, rest) = uri.split_once('@').expect("a user");
    let (server, database) = rest.split_once('/').expect("a database");
    for fault in [DROP_REQUEST, DROP_ANSWER] {
        let f = Fixture::sqlite().await;
        let mode = Arc::new(AtomicUsize::new(PASS));
        let port = proxy(server.to_owned(), mode.clone()).await;
        let uri = format!("{user}@127.0.0.1:{port}/{database}");
        let warehouse = f.dir.path().join("wh").to_string_lossy().into_owned();
        let catalog_name = Some(uuid::Uuid::new_v4().to_string());
        let config = CatalogConfig::Postgres { uri, warehouse, catalog_name, s3: None };
        let lake = Lake::connect("lake", &config).await.expect("lake");
        let f = Fixture { lake: lake.clone(), config, ..f };
        for (operation, change, total) in
            [("new", Change::Append, "10"), ("more", Change::Append, "20"), ("over", Change::Overwrite, "10")]
        {
            let rows = rows(0..10);
            let target = lake.prepare(spec("raw.t", &rows)).await.expect("prepare");
            let files = write(&target, operation, &[rows]).await.expect("write");
            let arm = mode.clone();
            let permission: icehaul_lake::Permission = Arc::new(move || {
                // Only the first swap is hit: the next permission is asked for the try after it.
                let arm = arm.clone();
                Box::pin(async move { arm.compare_exchange(PASS, fault, SeqCst, SeqCst).is_ok() })
            });
            let once = Arc::new(AtomicUsize::new(0));
            let permission: icehaul_lake::Permission = Arc::new(move || match once.fetch_add(1, SeqCst) {
                0 => permission(),
                _ => Box::pin(async { true }),
            });
            let done =
                lake.commit(&target, files, change, &Guard { permission, ..guard(operation) }).await.expect(operation);
            assert_eq!((done.already, &*done.summary["total-records"]), (false, total), "{operation} {fault}");
        }
        assert_eq!(lake.table(&name("raw.t")).await.expect("table").metadata().snapshots().len(), 3);
        f.assert_no_strays("raw.t").await;
        let rows = rows(0..1);
        let again = load(&lake, spec("raw.t", &rows), &rows, Change::Append, "more").await.expect("already");
        assert!(again.already);
    }
}

#[tokio::test]
async fn a_catalog_that_is_away_fails_without_losing_files() {
    let f = Fixture::sqlite().await;
    let rows = rows(0..10);
    load(&f.lake, spec("raw.t", &rows), &rows, Change::Append, "one").await.expect("append");
    let port = TcpListener::bind("127.0.0.1:0").await.expect("port").local_addr().expect("address").port();
    let warehouse = f.dir.path().join("wh").to_string_lossy().into_owned();
    let config = CatalogConfig::Postgres {
        uri: format!("postgres://u:p@127.0.0.1:{port}/d"),
        warehouse,
        catalog_name: None,
        s3: None,
    };
    let away = Lake::connect("lake", &config).await.expect("lazy");
    let target = f.lake.prepare(spec("raw.t", &rows)).await.expect("prepare");
    let files = write(&target, "two/1", &[rows]).await.expect("write");
    let before = f.files();
    let error = away.commit(&target, files, Change::Append, &guard("two")).await.expect_err("away");
    assert_eq!(error.kind(), Kind::CatalogUnavailable);
    assert_eq!(f.files(), before);
}
