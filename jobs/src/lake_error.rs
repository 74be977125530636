//! The lake's failures as those of a job: their codes.
use icehaul_lake::Kind;

use crate::{Code, Error};

impl From<icehaul_lake::Error> for Error {
    fn from(error: icehaul_lake::Error) -> Self {
        let code = match error.kind() {
            Kind::InvalidIdentifier => Code::InvalidIdentifier,
            Kind::CatalogNotFound => Code::CatalogNotFound,
            Kind::NamespaceNotFound => Code::NamespaceNotFound,
            Kind::TableNotFound => Code::TableNotFound,
            Kind::TableExists => Code::TableExists,
            Kind::SnapshotNotFound => Code::SnapshotNotFound,
            Kind::SchemaMismatch => Code::SchemaMismatch,
            Kind::NullInRequired => Code::NullInRequired,
            Kind::InvalidPartition => Code::InvalidPartition,
            Kind::UnsupportedFeature => Code::UnsupportedFeature,
            Kind::CursorMoved => Code::CursorMoved,
            Kind::CommitConflict => Code::CommitConflict,
            Kind::GuardRefused => Code::LeaseLost,
            Kind::CatalogUnavailable => Code::CatalogUnavailable,
            Kind::StorageUnavailable => Code::StorageUnavailable,
            Kind::StorageFull => Code::StorageFull,
            Kind::FileMissing => Code::SourceFileMissing,
            Kind::FileDamaged => Code::SourceFileDamaged,
            Kind::FileAltered => Code::VerificationFailed,
            Kind::BucketNotFound | Kind::ObjectNotFound => Code::S3NotFound,
            Kind::ObjectForbidden => Code::S3Forbidden,
            Kind::ObjectArchived => Code::S3Archived,
            Kind::ObjectChanged => Code::SourceChanged,
            Kind::StoreUnreachable => Code::SourceUnreachable,
            Kind::StoreTls => Code::TlsError,
            Kind::InvalidQuery => Code::InvalidQuery,
            Kind::QueryNotAllowed => Code::QueryNotAllowed,
            Kind::QueryTimeout => Code::QueryTimeout,
            Kind::QueryBusy => Code::QueryBusy,
            _ => Code::Internal,
        };
        Self::new(code, error.message().to_owned()).caused_by(error)
    }
}
