//! A pinned file is that file or an error.
use super::*;
use crate::source::files::beneath::look;
use futures::TryStreamExt;
use std::fs::{self, OpenOptions};
use std::io::Write;

async fn whole(file: &Arc<LocalFile>) -> Result<Vec<u8>> {
    let stream = file.clone().stream(0..file.size());
    stream
        .try_fold(Vec::new(), async |mut all, chunk| {
            all.extend_from_slice(&chunk);
            Ok(all)
        })
        .await
}

#[tokio::test]
async fn a_file_is_read_as_it_was_found_or_not_at_all() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("f");
    let content: Vec<u8> = (0..CHUNK * 2 + 17).map(|n| (n % 251) as u8).collect();
    fs::write(&path, &content).expect("file");
    let find = || {
        let at = Beneath { root: folder.path().to_owned(), rest: "f".into() };
        let pin = Pin::of(&look(&at).expect("there"));
        Arc::new(LocalFile::new(at, pin))
    };
    let file = find();
    assert!(whole(&file).await.expect("bytes") == content);
    let (from, to) = (CHUNK - 3, CHUNK + 5);
    assert_eq!(file.read(from..to).await.expect("bytes"), content[from as usize..to as usize]);
    assert_eq!(file.read(7..7).await.expect("no bytes").len(), 0);

    let mut stream = file.clone().stream(0..file.size());
    stream.try_next().await.expect("bytes").expect("a chunk");
    OpenOptions::new().append(true).open(&path).expect("file").write_all(b"more").expect("written");
    let ended = stream.try_collect::<Vec<_>>().await;
    assert_eq!(ended.expect_err("changed").code(), Code::SourceChanged, "appended to");
    assert_eq!(file.read(0..1).await.expect_err("changed").code(), Code::SourceChanged);

    let file = find();
    fs::write(folder.path().join("g"), &content).expect("file");
    fs::rename(folder.path().join("g"), &path).expect("moved");
    assert_eq!(whole(&file).await.expect_err("changed").code(), Code::SourceChanged, "replaced");
    let file = find();
    let modified = fs::metadata(&path).and_then(|meta| meta.modified()).expect("a time");
    let mut again = OpenOptions::new().write(true).open(&path).expect("file");
    again.write_all(b"other").and_then(|()| again.set_modified(modified)).expect("written");
    assert_eq!(whole(&file).await.expect_err("changed").code(), Code::SourceChanged, "with its old time");
    let file = find();
    OpenOptions::new().write(true).open(&path).expect("file").set_len(5).expect("cut");
    assert_eq!(whole(&file).await.expect_err("changed").code(), Code::SourceChanged, "cut");
}
