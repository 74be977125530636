//! Failures of files as kinds and sentences, on their way through libraries that know neither.
use crate::{Error, Kind};

/// An error of ours for a library to carry.
pub(super) fn foreign(error: Error) -> iceberg::Error {
    iceberg::Error::new(iceberg::ErrorKind::Unexpected, error.message().to_owned()).with_source(error)
}

/// The error of ours that a library has carried: about a file of the warehouse.
pub(crate) fn ours(error: &(dyn std::error::Error + 'static)) -> Option<Error> {
    let mut chain = std::iter::successors(Some(error), |cause| cause.source());
    let found = chain.find_map(|cause| cause.downcast_ref::<Error>())?;
    let kind = match found.kind() {
        Kind::ObjectNotFound => Kind::FileMissing,
        Kind::StoreUnreachable | Kind::StoreTls | Kind::ObjectChanged | Kind::ObjectArchived => {
            Kind::StorageUnavailable
        }
        kind => kind,
    };
    let cause = std::error::Error::source(found).map(ToString::to_string);
    let error = Error::new(kind, found.message().to_owned());
    Some(match cause {
        Some(cause) => error.caused_by(cause),
        None => error,
    })
}

/// An error of reading or writing `path`. The libraries below keep the system's as text only, so the text tells the kind.
pub(crate) fn failed(action: &str, path: &str, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    if let Some(error) = ours(&cause) {
        return error;
    }
    let text = format!("{cause} {cause:?}");
    let has = |needles: &[&str]| needles.iter().any(|needle| text.contains(needle));
    let (kind, reason) = if has(&["os error 28", "No space left", "os error 122"]) {
        (Kind::StorageFull, "the disk is full")
    } else if has(&["os error 2)", "No such file"]) {
        (Kind::FileMissing, "it is not there")
    } else if has(&["os error 13)", "os error 30)"]) {
        (Kind::StorageUnavailable, "permission denied")
    } else {
        (Kind::StorageUnavailable, "the storage failed")
    };
    Error::new(kind, format!("cannot {action} `{path}`: {reason}")).caused_by(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_a_missing_file() {
        let full = iceberg::Error::new(iceberg::ErrorKind::Unexpected, "Failed: No space left on device (os error 28)");
        assert_eq!(failed("write", "x", full).kind(), Kind::StorageFull);
        let gone = iceberg::Error::new(iceberg::ErrorKind::DataInvalid, "Failed: No such file (os error 2)");
        assert_eq!(failed("read", "x", gone).kind(), Kind::FileMissing);
    }

    #[test]
    fn errors_of_buckets_come_through_the_libraries() {
        for (there, here) in [
            (Kind::ObjectNotFound, Kind::FileMissing),
            (Kind::StoreUnreachable, Kind::StorageUnavailable),
            (Kind::ObjectForbidden, Kind::ObjectForbidden),
            (Kind::StorageFull, Kind::StorageFull),
        ] {
            let carried = foreign(Error::new(there, "cannot read `s3://a/b`").caused_by("status 500"));
            let parquet = parquet::errors::ParquetError::External(Box::new(carried));
            let error = failed("read", "x", iceberg::Error::from(parquet));
            assert_eq!((error.kind(), error.message()), (here, "cannot read `s3://a/b`"));
        }
    }
}
