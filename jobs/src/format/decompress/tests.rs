use std::io::Write;

use futures::TryStreamExt;

use super::*;

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).expect("written");
    encoder.finish().expect("finished")
}

/// With a checksum, as the command line tool has it.
fn zstd(data: &[u8]) -> Vec<u8> {
    let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 1).expect("an encoder");
    encoder.include_checksum(true).expect("set");
    encoder.write_all(data).expect("written");
    encoder.finish().expect("finished")
}

async fn fault(compression: Compression, data: &[u8]) -> Option<Code> {
    decoded(compression, data, 4096).await.err().map(|e| e.code())
}

fn pieces(data: &[u8], size: usize) -> BoxStream<'static, Result<Bytes>> {
    let pieces: Vec<_> = data.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    futures::stream::iter(pieces).boxed()
}

async fn decoded(compression: Compression, data: &[u8], size: usize) -> Result<Vec<u8>> {
    let chunks = compression.decode(pieces(data, size), "a.csv", &Limits::default());
    Ok(chunks.try_collect::<Vec<_>>().await?.concat())
}

fn text() -> Vec<u8> {
    (0..200_000).flat_map(|n| format!("{n},{}\n", n * 7919 % 1000).into_bytes()).collect()
}

#[test]
fn the_first_bytes_decide_and_the_name_must_agree() {
    let of = |name, head: &[u8]| Compression::of(name, head).map_err(|e| e.code());
    assert_eq!(of("a.csv.gz", &gzip(b"a")), Ok(Compression::Gzip));
    assert_eq!(of("a.csv", &gzip(b"a")), Ok(Compression::Gzip));
    assert_eq!(of("a.ZST", &zstd(b"a")), Ok(Compression::Zstd));
    assert_eq!(of("a.csv", b"id\n"), Ok(Compression::None));
    assert_eq!(of("a.gz", b""), Ok(Compression::None));
    assert_eq!(of("a.csv.gz", b"id,name\n"), Err(Code::BadCompression));
    assert_eq!(of("a.csv.zst", &gzip(b"a")), Err(Code::BadCompression));
}

/// Texts that end just past a chunk of output: the decoder has used all data before it gives the last of it.
#[tokio::test]
async fn texts_of_every_length_past_a_chunk_are_read() {
    for extra in 0..40 {
        let text = ["a,b\n".into(), "\n".repeat(2 * CHUNK + extra - 4)].concat().into_bytes();
        for level in [1, 6, 9] {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
            encoder.write_all(&text).expect("written");
            let whole = encoder.finish().expect("finished").repeat(2);
            let read = decoded(Compression::Gzip, &whole, whole.len()).await;
            assert!(read.is_ok_and(|read| read == text.repeat(2)), "{extra} at level {level}");
        }
    }
}

#[tokio::test]
async fn all_members_and_frames_are_read() {
    let text = text();
    let half = text.len() / 2;
    for (compression, whole) in [
        (Compression::Gzip, [gzip(&text[..half]), gzip(b""), gzip(&text[half..])].concat()),
        (Compression::Zstd, [zstd(&text[..half]), zstd(b""), zstd(&text[half..])].concat()),
    ] {
        for size in [1000, 100_000, whole.len()] {
            assert!(decoded(compression, &whole, size).await.expect("decoded") == text, "{compression:?} by {size}");
        }
        let tiny = match compression {
            Compression::Gzip => [gzip(b"ab"), gzip(b"c")].concat(),
            _ => [zstd(b"ab"), zstd(b"c")].concat(),
        };
        assert_eq!(decoded(compression, &tiny, 1).await.expect("decoded"), b"abc");
    }
}

#[tokio::test]
async fn every_cut_is_noticed() {
    let text = &text()[..600];
    for (compression, data) in [(Compression::Gzip, gzip(text)), (Compression::Zstd, zstd(text))] {
        for cut in 0..data.len() {
            let error = decoded(compression, &data[..cut], 100).await.expect_err("cut");
            assert_eq!(error.code(), Code::Truncated, "{compression:?} cut at {cut}: {error}");
        }
    }
}

#[tokio::test]
async fn broken_data_is_refused() {
    for (compression, mut data) in [(Compression::Gzip, gzip(&text())), (Compression::Zstd, zstd(&text()))] {
        let trailing = [&data[..], b"no such format"].concat();
        assert_eq!(fault(compression, &trailing).await, Some(Code::BadCompression));
        let middle = data.len() / 2;
        data[middle..middle + 40].fill(0xa5);
        assert_eq!(fault(compression, &data).await, Some(Code::BadCompression), "{compression:?}");
    }
    let mut wrong_sum = gzip(b"abc");
    let end = wrong_sum.len() - 5;
    wrong_sum[end] ^= 1;
    assert_eq!(fault(Compression::Gzip, &wrong_sum).await, Some(Code::BadCompression));
}

#[tokio::test]
async fn a_header_may_have_every_field() {
    let mut encoder = flate2::GzBuilder::new()
        .filename("orders.csv")
        .comment("all of them")
        .extra(vec![7; 300])
        .write(Vec::new(), flate2::Compression::fast());
    encoder.write_all(b"abc").expect("written");
    let data = encoder.finish().expect("finished");
    for size in [1, 7, 1000] {
        assert_eq!(decoded(Compression::Gzip, &data, size).await.expect("decoded"), b"abc");
    }
}

#[tokio::test]
async fn what_grows_without_measure_is_refused() {
    let zeros = vec![b'0'; 200 << 20];
    let bomb = zstd(&zeros);
    assert!(bomb.len() < 64 << 10, "{} bytes", bomb.len());
    assert_eq!(fault(Compression::Zstd, &bomb).await, Some(Code::DecompressedTooLarge));

    let limits = Limits { max_decompressed_bytes: 1000, ..Limits::default() };
    let chunks = Compression::Gzip.decode(pieces(&gzip(&text()), 4096), "a.csv.gz", &limits);
    let error = chunks.try_collect::<Vec<_>>().await.expect_err("too large");
    assert_eq!(error.code(), Code::DecompressedTooLarge);
    assert!(error.message().contains("limits.max_decompressed_bytes"), "{error}");
}

#[tokio::test]
async fn members_that_hold_nothing_are_few() {
    for (compression, nothing, something) in
        [(Compression::Gzip, gzip(b""), gzip(b"a")), (Compression::Zstd, zstd(b""), zstd(b"a"))]
    {
        let few = [&nothing.repeat(1000)[..], &something].concat().repeat(3);
        for size in [1, 4096] {
            assert_eq!(decoded(compression, &few, size).await.expect("decoded"), b"aaa", "{compression:?}");
            let many = [&something[..], &nothing.repeat(1001)].concat();
            let error = decoded(compression, &many, size).await.expect_err("refused");
            assert_eq!(error.code(), Code::BadCompression, "{compression:?}: {error}");
        }
    }
}

#[tokio::test]
async fn a_great_many_members_let_others_have_their_turn() {
    for (compression, data) in [(Compression::Gzip, gzip(b"a")), (Compression::Zstd, zstd(b"a"))] {
        let data = data.repeat(20_000);
        let decoding = async { decoded(compression, &data, 1 << 20).await.map(|text| text.len()) };
        let mut turns = 0;
        let others = async {
            loop {
                tokio::task::yield_now().await;
                turns += 1;
            }
        };
        let length = tokio::select! {
            length = decoding => length,
            () = others => unreachable!(),
        };
        assert_eq!(length.expect("decoded"), 20_000);
        assert!(turns >= 200, "{compression:?}: {turns}");
    }
}

#[tokio::test]
async fn a_window_beyond_the_limit_is_refused() {
    let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 1).expect("an encoder");
    encoder.long_distance_matching(true).expect("set");
    encoder.window_log(28).expect("set");
    encoder.write_all(&text()).expect("written");
    let data = encoder.finish().expect("finished");
    let error = decoded(Compression::Zstd, &data, 4096).await.expect_err("refused");
    assert_eq!(error.code(), Code::BadCompression);
    assert!(error.message().contains("128 MiB"), "{error}");
}
