//! Real files with flipped, cut and overwritten bytes: rows or an error, never more than a few mebibytes or a panic.
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array, ListArray, StringArray,
    types::Int32Type,
};
use bytes::Bytes;
use parquet::{
    basic::{Compression, Encoding},
    file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion},
};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{rows, written};

const ROWS: i32 = 600;

fn columns() -> Vec<(&'static str, ArrayRef)> {
    let every = |n: i32| move |i: i32| (i % n != 1).then_some(i);
    let lists =
        (0..ROWS).map(|i| (i % 9 != 2).then(|| (0..i % 5).map(|j| (j != 3).then_some(i * j)).collect::<Vec<_>>()));
    vec![
        ("flag", Arc::new(BooleanArray::from_iter((0..ROWS).map(|i| every(5)(i).map(|i| i % 3 == 0)))) as ArrayRef),
        ("int", Arc::new(Int32Array::from_iter((0..ROWS).map(every(7))))),
        ("long", Arc::new(Int64Array::from_iter_values((0..ROWS).map(|i| i64::from(i) << 33)))),
        ("double", Arc::new(Float64Array::from_iter((0..ROWS).map(|i| every(4)(i).map(f64::from))))),
        ("text", Arc::new(StringArray::from_iter((0..ROWS).map(|i| every(6)(i).map(|i| format!("text {}", i % 50)))))),
        ("bytes", Arc::new(BinaryArray::from_iter_values((0..ROWS).map(|i| i.to_be_bytes().repeat(4))))),
        (
            "price",
            Arc::new(
                Decimal128Array::from_iter_values((0..ROWS).map(i128::from))
                    .with_precision_and_scale(22, 2)
                    .expect("22 digits"),
            ),
        ),
        ("list", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists))),
    ]
}

/// Small pages and row groups, in every codec; dictionaries, and the encodings without.
fn files() -> Vec<Vec<u8>> {
    let small = || {
        WriterProperties::builder()
            .set_data_page_row_count_limit(100)
            .set_write_batch_size(50)
            .set_max_row_group_row_count(Some(250))
    };
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::ZSTD(Default::default()),
        Compression::BROTLI(Default::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
    ];
    let dictionaries = codecs.map(|codec| small().set_compression(codec));
    let plain = [Compression::UNCOMPRESSED, Compression::SNAPPY].map(|codec| encoded(small().set_compression(codec)));
    let v2 = small().set_writer_version(WriterVersion::PARQUET_2_0);
    let all = dictionaries.into_iter().chain(plain).chain([v2.clone(), encoded(v2)]);
    all.map(|properties| written(columns(), properties.build())).collect()
}

fn encoded(properties: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
    let encodings = [
        ("int", Encoding::DELTA_BINARY_PACKED),
        ("long", Encoding::DELTA_BINARY_PACKED),
        ("double", Encoding::BYTE_STREAM_SPLIT),
        ("text", Encoding::DELTA_BYTE_ARRAY),
        ("bytes", Encoding::DELTA_LENGTH_BYTE_ARRAY),
        ("price", Encoding::DELTA_BYTE_ARRAY),
    ];
    encodings.into_iter().fold(properties.set_dictionary_enabled(false), |properties, (column, encoding)| {
        properties.set_column_encoding(column.into(), encoding)
    })
}

/// One to four changes: a bit, a byte, a number written over, a piece cut out, the end cut off.
fn mutate(bytes: &mut Vec<u8>, random: &mut StdRng) {
    for _ in 0..random.random_range(1..=4) {
        // The footer is a small part of a file and the richest one.
        let from = if random.random_bool(0.4) { bytes.len() * 4 / 5 } else { 0 };
        let at = random.random_range(from..bytes.len());
        match random.random_range(0..10) {
            0..4 => bytes[at] ^= 1 << random.random_range(0..8),
            4..7 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, random.random()][random.random_range(0..6)],
            7 => bytes[at..].iter_mut().take(9).for_each(|byte| *byte = 0xff),
            8 => {
                let to = (at + random.random_range(1..40)).min(bytes.len());
                bytes.drain(at..to);
            }
            _ => bytes.truncate(at.max(1)),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_changed_files_give_rows_or_an_error() {
    const MUTATIONS: usize = 300;
    let files = files();
    let (mut whole, mut refused) = (0, 0);
    for (number, file) in files.iter().enumerate() {
        let sound = rows(file.clone()).await.unwrap_or_else(|e| panic!("file {number}: {e}"));
        assert_eq!(sound.iter().map(|batch| batch.num_rows()).sum::<usize>(), ROWS as usize);
        let mut random = StdRng::seed_from_u64(number as u64);
        for turn in 0..MUTATIONS {
            let mut bytes = file.clone();
            mutate(&mut bytes, &mut random);
            let begin = Instant::now();
            match rows(Bytes::from(bytes)).await {
                Ok(_) => whole += 1,
                Err(error) => {
                    refused += 1;
                    assert!(!error.to_string().is_empty(), "file {number}, turn {turn}");
                }
            }
            assert!(begin.elapsed() < Duration::from_secs(10), "file {number}, turn {turn}: {:?}", begin.elapsed());
        }
    }
    // Neither all nor none: the changes reach the decoder and do not break everything at once.
    assert!(whole > 100 && refused > 1000, "{whole} gave rows, {refused} were refused");
}
