//! Rows to Parquet files.
mod bounds;
mod conform;
mod data_file;
mod file;
mod layout;
mod partitions;
mod read_back;
mod writer;

use std::collections::HashMap;

pub(crate) use conform::Conform;
pub use data_file::WrittenFile;
pub(crate) use data_file::hex;
pub(crate) use layout::{Layout, data_location};
pub(crate) use partitions::Partitions;
pub(crate) use read_back::{read_back, read_back_parallel};
pub use writer::TableWriter;

const CODEC: &str = "write.parquet.compression-codec";

/// How Parquet pages are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Zstandard, level 1.
    #[default]
    Zstd,
    /// Snappy.
    Snappy,
    /// Gzip.
    Gzip,
    /// Not at all.
    None,
}

impl Compression {
    /// Iceberg's word for it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Snappy => "snappy",
            Self::Gzip => "gzip",
            Self::None => "uncompressed",
        }
    }

    /// What a table's properties say; words unknown here mean the default.
    fn of_table(properties: &HashMap<String, String>) -> Self {
        let word = properties.get(CODEC).map(|word| word.to_ascii_lowercase());
        let all = [Self::Zstd, Self::Snappy, Self::Gzip, Self::None];
        all.into_iter().find(|codec| word.as_deref() == Some(codec.as_str())).unwrap_or_default()
    }
}

/// The property that says how a table's files are compressed.
pub(crate) fn compression_property(compression: Compression) -> (String, String) {
    (CODEC.to_owned(), compression.as_str().to_owned())
}

/// The properties of a table that we make: the codec for all engines, and retries that let many writers through.
pub(crate) fn new_table_properties(compression: Compression) -> HashMap<String, String> {
    let pairs = [
        (CODEC, compression.as_str()),
        ("commit.retry.num-retries", "20"),
        ("commit.retry.min-wait-ms", "20"),
        ("commit.retry.max-wait-ms", "1000"),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}
