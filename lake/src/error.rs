//! The lake's error: a kind that the caller can act on, a sentence for people, and the cause.

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as a caller can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A namespace, table or column name that this lake does not accept.
    InvalidIdentifier,
    /// No such catalog in the configuration.
    CatalogNotFound,
    /// No such namespace.
    NamespaceNotFound,
    /// No such table.
    TableNotFound,
    /// There is such a table already.
    TableExists,
    /// No such snapshot, or none at that time.
    SnapshotNotFound,
    /// The rows do not fit the table.
    SchemaMismatch,
    /// A null for a column that the table requires.
    NullInRequired,
    /// A partition field that the schema cannot carry.
    InvalidPartition,
    /// The table uses a feature that cannot be read or written here without giving wrong results.
    UnsupportedFeature,
    /// The value of the incremental cursor moved while the rows were read: plan again.
    CursorMoved,
    /// Another writer won, again and again, until the retries ran out.
    CommitConflict,
    /// The caller's guard said no: the operation is not (or no longer) ours to commit.
    GuardRefused,
    /// The catalog's database did not answer.
    CatalogUnavailable,
    /// The warehouse could not be read or written.
    StorageUnavailable,
    /// The warehouse's disk is full.
    StorageFull,
    /// A file that the table's metadata names is not there.
    FileMissing,
    /// A file that the table's metadata names cannot be decoded.
    FileDamaged,
    /// A file that was just written holds other columns than were written.
    FileAltered,
    /// The object store has no such bucket.
    BucketNotFound,
    /// The bucket has no such object.
    ObjectNotFound,
    /// The object store refused the keys, or does not allow them this.
    ObjectForbidden,
    /// The object lies in an archive and must be restored before it can be read.
    ObjectArchived,
    /// Another content lies under the key than that which was looked at.
    ObjectChanged,
    /// The object store cannot be reached, or fails again and again.
    StoreUnreachable,
    /// The object store's certificate is not trusted, or it speaks no TLS.
    StoreTls,
    /// The SQL is wrong; the message says where.
    InvalidQuery,
    /// The SQL is right but not read-only, or more than one statement.
    QueryNotAllowed,
    /// The SQL took longer than allowed.
    QueryTimeout,
    /// Other queries ran during all of the time that the SQL may take.
    QueryBusy,
    /// A defect of ours, or a broken table.
    Internal,
}

/// A failure of the lake.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A failure without a cause of its own; `message` is shown to the user and holds no secret.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Attaches the cause, which is logged and never shown.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(cause.into());
        self
    }

    /// What went wrong.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The sentence for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}
