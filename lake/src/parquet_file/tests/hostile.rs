//! Files that lie.
use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, StringArray};
use parquet::{
    basic::Compression,
    file::properties::{EnabledStatistics, WriterProperties},
};

use super::{
    super::{FileError, codec::Codec},
    BOUNDS, rows, rows_within, written,
};

fn sound() -> Vec<u8> {
    let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(0..100));
    written(vec![("id", ids)], WriterProperties::builder().set_compression(Compression::SNAPPY).build())
}

/// The sentence that a file is refused with, which must begin so.
async fn refused(bytes: Vec<u8>, begin: &str) {
    match rows(bytes).await {
        Ok(_) => panic!("not refused: {begin}"),
        Err(error) => assert!(error.to_string().starts_with(begin), "{error:?}"),
    }
}

/// Puts a footer of another length or content in the place of the file's own.
fn with_footer(footer: &[u8], length: u32) -> Vec<u8> {
    [b"PAR1".as_slice(), &[0; 20], footer, &length.to_le_bytes(), b"PAR1"].concat()
}

#[tokio::test]
async fn what_is_no_parquet_file_is_told_so() {
    assert!(matches!(rows(Vec::new()).await, Err(FileError::Empty)));
    refused(b"PAR1".to_vec(), "is no Parquet file").await;
    refused(b"id,name\n1,a\n2,b\n3,c\n".to_vec(), "does not end as a Parquet file does").await;
    let mut cut = sound();
    cut.truncate(cut.len() - 7);
    refused(cut, "does not end as a Parquet file does").await;
    let mut encrypted = sound();
    let end = encrypted.len();
    encrypted[end - 1] = b'E';
    refused(encrypted, "has an encrypted footer").await;
}

#[tokio::test]
async fn a_footer_that_claims_too_much_is_not_believed() {
    refused(with_footer(&[0; 8], u32::MAX), "is broken: it has 40 bytes and its footer claims 4294967295").await;
    let bounds = super::Bounds { footer_bytes: 100, ..BOUNDS };
    assert!(matches!(rows_within(sound(), bounds).await, Err(FileError::TooLarge(_))));
    // A schema of 2^28 elements; one of a group that claims 2^30 columns; groups without end within each other.
    refused(with_footer(&[0x29, 0xfc, 0x80, 0x80, 0x80, 0x80, 0x01, 0, 0, 0], 10), "its metadata claims a list of")
        .await;
    let claims = [0x15, 2, 0x19, 0x1c, 0x48, 1, b'r', 0x15, 0x80, 0x80, 0x80, 0x80, 0x08, 0, 0];
    refused(with_footer(&claims, claims.len() as u32), "has 1073741824 columns").await;
    let group = [0x35, 2, 0x18, 1, b'g', 0x15, 2, 0];
    let deep = [&[0x15, 2, 0x19, 0xfc, 60][..], &group.repeat(60), &[0]].concat();
    refused(with_footer(&deep, deep.len() as u32), "has columns nested more than 32 deep").await;
}

#[tokio::test]
async fn more_columns_than_permitted_are_refused() {
    let column: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let names: Vec<String> = (0..30).map(|n| format!("c{n}")).collect();
    let columns = names.iter().map(|name| (name.as_str(), column.clone())).collect();
    let bytes = written(columns, WriterProperties::default());
    let bounds = super::Bounds { columns: 29, ..BOUNDS };
    let error = rows_within(bytes, bounds).await.expect_err("30 columns");
    assert_eq!(error.to_string(), "has 30 columns; `limits.max_columns` permits 29");
}

#[tokio::test]
async fn names_that_only_case_tells_apart_are_refused() {
    let column: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let bytes = written(vec![("Id", column.clone()), ("id", column)], WriterProperties::default());
    assert!(matches!(rows(bytes).await, Err(FileError::DuplicateColumn(_))));
}

/// A page that is small, and says that it becomes large.
#[tokio::test]
async fn slow_a_page_that_becomes_large_is_not_decompressed() {
    const LARGE: usize = 300 << 20;
    let text: ArrayRef = Arc::new(StringArray::from(vec!["a".repeat(LARGE)]));
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(Default::default()));
    let properties = properties.set_statistics_enabled(EnabledStatistics::None).set_dictionary_enabled(false);
    let bytes = written(vec![("text", text)], properties.build());
    assert!(bytes.len() < LARGE / 100, "{} bytes", bytes.len());
    assert!(matches!(rows(bytes).await, Err(FileError::TooLarge(_))));
}

/// A page that becomes more than it says.
#[test]
fn no_codec_writes_on_beyond_the_size() {
    let (input, mut out) = (vec![b'a'; 1 << 20], Vec::new());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &input).expect("compressed");
    let gzip = gzip.finish().expect("compressed");
    let error = Codec::new(Compression::GZIP(Default::default())).expect("a codec").decompress(&gzip, 1000, &mut out);
    assert_eq!(error.expect_err("too long").to_string(), "is broken: a page of 1000 bytes has another size");
    assert_eq!(out.len(), 1001);
    let zstd = zstd::bulk::compress(&input, 1).expect("compressed");
    let mut codec = Codec::new(Compression::ZSTD(Default::default())).expect("a codec");
    assert!(codec.decompress(&zstd, 1000, &mut Vec::new()).is_err());
    let mut whole = b"levels".to_vec();
    codec.decompress(&zstd, input.len(), &mut whole).expect("its size");
    assert_eq!(whole.len(), 6 + input.len());
    // A few bytes cannot honestly be so many.
    for codec in [Compression::SNAPPY, Compression::LZ4_RAW, Compression::LZ4] {
        let mut out = Vec::new();
        assert!(Codec::new(codec).expect("a codec").decompress(&[0xff; 9], 1 << 30, &mut out).is_err(), "{codec}");
        assert!(out.capacity() < 1 << 20, "{codec}: {} bytes", out.capacity());
    }
}

#[tokio::test]
async fn a_long_value_names_its_row() {
    let text: ArrayRef = Arc::new(StringArray::from(vec!["b".repeat(1000), "a".repeat(3 << 20)]));
    let bytes = written(vec![("text", text)], WriterProperties::default());
    let error = rows_within(bytes, super::Bounds { cell_bytes: 1 << 20, ..BOUNDS }).await.expect_err("3 MiB");
    assert_eq!(
        error.to_string(),
        "row 2, column `text`: a value has 3145728 bytes, more than `limits.max_cell_bytes` permits"
    );
}
