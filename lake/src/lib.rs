//! Iceberg, and nothing else: catalogs, the commit engine, writing, reading, the fingerprint and SQL.
//!
//! A load goes `Lake::prepare → Target::writer → TableWriter::close → Lake::commit`; a read goes
//! `Lake::table → Table::scan`. This crate knows nothing of jobs: it takes an operation id and leaves it in the
//! snapshot summary, so that the same operation is never committed twice.

mod batches;
mod carry;
mod catalog;
mod commit;
mod describe;
mod error;
pub mod failpoint;
pub mod fingerprint;
mod folder;
mod lake;
pub mod measure;
mod name;
pub mod parquet_file;
mod read;
mod records;
pub mod s3;
mod schema;
pub mod sql;
mod storage;
mod write;

pub use batches::Batches;
pub use carry::{CarriedFile, Carry, Content, CopiedFile};
pub use catalog::{CatalogConfig, KeySource, S3Access};
pub use commit::{Change, Committed, Cursor, CursorMove, Cursors, Guard, Permission, Replaced};
pub use describe::{Column, columns_for, sql_type_of};
pub use error::{Error, Kind, Result};
pub use fingerprint::Fingerprint;
pub use folder::{Folder, FolderFile};
pub use lake::{Lake, Lakes};
pub use name::{Namespace, TableName};
pub use read::{At, Changes, FileInfo, Filter, Scan, SnapshotInfo, Table, Touched, between, equal};
pub use schema::{Model, PartitionField, SchemaMode, TableSpec, Target, is_uuid};
pub use write::{Compression, TableWriter, WrittenFile};
