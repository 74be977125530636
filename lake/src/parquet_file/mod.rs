//! Parquet files of users, read without trusting them.
//!
//! A file is opened by its footer ([`ParquetFile::open`]), which is checked before the decoder allocates by it; its row
//! groups are then read as batches ([`ParquetFile::read`]). What a page claims is checked against its bytes and against
//! [`Bounds`] before it is decompressed and before it is decoded; what the decoder does with the rest runs on a blocking
//! thread, where a panic of it is an error of the file. Memory is bounded by a row group's window and its open pages.
mod codec;
mod convert;
mod delta;
mod error;
mod footer;
mod header;
mod levels;
mod pages;
mod read;
mod shape;
mod thrift;
mod types;
mod window;

use std::ops::Range;

use bytes::Bytes;
use futures::future::BoxFuture;

pub use error::FileError;
pub use footer::{ParquetFile, RowGroup, TypeRemark};
pub use read::RowBatches;
pub use types::type_name;

use error::Result;

/// A file's bytes, wherever they lie. A read gives exactly the bytes of the range, or fails.
pub trait FileBytes: Send + Sync + 'static {
    /// The file's size in bytes.
    fn size(&self) -> u64;

    /// The bytes of a range.
    fn read(&self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, Box<dyn std::error::Error + Send + Sync>>>;
}

/// What a file may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The longest footer, in bytes.
    pub footer_bytes: usize,
    /// The most columns, and the most leaves of all of them for each ten of it.
    pub columns: usize,
    /// The longest single value, and the most that the lists of one row take, in bytes.
    pub cell_bytes: usize,
}

#[cfg(test)]
mod tests;
