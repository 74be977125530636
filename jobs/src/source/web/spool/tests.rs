//! Pages written down by one attempt and read by another.
use icehaul_lake::{CatalogConfig, Lake, TableName};
use tempfile::TempDir;

use super::*;

async fn place(dir: &TempDir) -> Place {
    let config = CatalogConfig::Sqlite {
        path: dir.path().join("catalog.db"),
        warehouse: dir.path().join("warehouse").display().to_string(),
        catalog_name: None,
        s3: None,
    };
    let lake = Lake::connect("default", &config).await.expect("a lake");
    Place { lake, table: TableName::parse("web.prices").expect("a name") }
}

fn spool(place: &Place, epoch: u64) -> Spool {
    let folder = place.lake.folder(&place.table, PASSING).within("job");
    let inner = Arc::new(Inner { folder, epoch, state: Mutex::default(), came: Notify::new(), written: Notify::new() });
    Spool { keeper: AbortOnDropHandle::new(tokio::spawn(keep::keep(inner.clone()))), inner }
}

fn page(number: u32) -> Arc<Fetched> {
    Arc::new(Fetched { number, body: format!("page {number}").into(), ..Fetched::empty() })
}

#[tokio::test]
async fn another_attempt_has_the_pages_of_the_first() {
    let dir = TempDir::new().expect("a folder");
    let place = place(&dir).await;
    let first = spool(&place, 1);
    assert!(first.replay().await.expect("a replay").page(1).await.expect("read").is_none());
    for number in 1..=3 {
        first.add(page(number)).await.expect("added");
    }
    assert!(first.inner.folder.files().await.expect("files").is_empty(), "nothing is written within the second");
    assert_eq!(first.again(2).await.expect("a page").body, "page 2");
    first.flush().await.expect("written");
    first.add(page(4)).await.expect("added");
    first.flush().await.expect("written");
    assert_eq!(first.again(4).await.expect("a page").body, "page 4");
    let files = first.inner.folder.files().await.expect("files");
    assert_eq!(
        files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(),
        ["00000001-000001.warc.gz", "00000001-000002.warc.gz"]
    );

    let second = spool(&place, 2);
    let mut replay = second.replay().await.expect("a replay");
    for number in 1..=4 {
        let (page, at) = replay.page(number).await.expect("read").expect("a page");
        assert_eq!((page.number, page.body), (number, format!("page {number}").into()));
        second.knows(number, at);
    }
    assert!(replay.page(5).await.expect("read").is_none());
    assert_eq!(second.again(3).await.expect("a page").body, "page 3");
    second.inner.folder.clear().await;
    assert!(second.again(3).await.is_err());
}

#[tokio::test]
async fn a_file_that_was_cut_off_gives_its_whole_pages() {
    let dir = TempDir::new().expect("a folder");
    let place = place(&dir).await;
    let first = spool(&place, 1);
    for number in 1..=2 {
        first.add(page(number)).await.expect("added");
    }
    first.flush().await.expect("written");
    let path = dir.path().join("warehouse/web/prices.pages/job/00000001-000001.warc.gz");
    let whole = std::fs::read(&path).expect("a file");
    std::fs::write(&path, &whole[..whole.len() - 10]).expect("cut");
    let mut replay = spool(&place, 2).replay().await.expect("a replay");
    assert!(replay.page(1).await.expect("read").is_some());
    assert!(replay.page(2).await.expect("read").is_none());
    let files = first.inner.folder.files().await.expect("files");
    assert_eq!(files[0].name, "00000001-000001-mended.warc.gz", "what was cut off is no part of it");
}
