//! One error type and one table of codes: the HTTP status and the retry follow from the code.
use std::time::Duration;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the queue does after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same request can never succeed.
    Never,
    /// Try again; the wait grows with each attempt.
    Backoff,
    /// Try again after this time; no attempt is spent.
    Snooze(Duration),
}

macro_rules! codes {
    ($($code:ident $name:literal $http:literal $retry:expr, $text:literal;)*) => {
        /// The stable, public name of a failure: the same in an HTTP body and in a job.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub enum Code { $(#[doc = $text] #[serde(rename = $name)] $code,)* }

        impl Code {
            /// Every code, for the documentation and the tests.
            pub const ALL: &[Self] = &[$(Self::$code),*];
            /// The code's spelling.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$code => $name,)* } }
            /// The HTTP status that the API answers with.
            #[must_use]
            pub const fn http(self) -> u16 { match self { $(Self::$code => $http,)* } }
            /// What the worker does, unless the error says otherwise.
            #[must_use]
            pub const fn retry(self) -> Retry { match self { $(Self::$code => $retry,)* } }
            /// A short title that holds for every failure with this code.
            #[must_use]
            pub const fn title(self) -> &'static str { match self { $(Self::$code => $text,)* } }
        }
    };
}

codes! {
    // Requests.
    InvalidJson            "invalid_json"             400 Retry::Never,   "The body is not valid JSON";
    EmptyBody              "empty_body"               400 Retry::Never,   "The body is empty";
    UnsupportedMediaType   "unsupported_media_type"   415 Retry::Never,   "The content type is not application/json";
    BodyTooLarge           "body_too_large"           413 Retry::Never,   "The body is too large";
    InvalidRequest         "invalid_request"          422 Retry::Never,   "Fields of the request are wrong";
    InvalidField           "invalid_field"            422 Retry::Never,   "A field has a wrong type or value";
    UnknownField           "unknown_field"            422 Retry::Never,   "The request has a field that is not known";
    MissingField           "missing_field"            422 Retry::Never,   "A required field is missing";
    DuplicateField         "duplicate_field"          422 Retry::Never,   "A field is given twice";
    ConflictingFields      "conflicting_fields"       422 Retry::Never,   "Fields of the request contradict each other";
    RequestTimeout         "request_timeout"          408 Retry::Never,   "The body did not arrive in time";
    InvalidParameter       "invalid_parameter"        400 Retry::Never,   "A query or path parameter is wrong";
    InvalidIdentifier      "invalid_identifier"       422 Retry::Never,   "A name is not accepted";
    InvalidPartition       "invalid_partition"        422 Retry::Never,   "The partitioning does not fit the columns";
    NotFound               "not_found"                404 Retry::Never,   "There is nothing at this address";
    MethodNotAllowed       "method_not_allowed"       405 Retry::Never,   "The address does not take this method";
    NotAcceptable          "not_acceptable"           406 Retry::Never,   "The asked-for content type is not offered";
    HostNotAllowed         "host_not_allowed"         421 Retry::Never,   "The request names a host that this service does not go by";
    OriginNotAllowed       "origin_not_allowed"       403 Retry::Never,   "The request comes from another site's page";
    Unauthorized           "unauthorized"             401 Retry::Never,   "The request carries no valid key";
    Internal               "internal"                 500 Retry::Backoff, "A defect of Icehaul";
    // Jobs and the queue.
    JobNotFound            "job_not_found"            404 Retry::Never,   "No job has this id";
    JobExpired             "job_expired"              410 Retry::Never,   "The job has left the queue's memory";
    JobEnded               "job_ended"                409 Retry::Never,   "The job has ended already";
    JobNotEnded            "job_not_ended"            409 Retry::Never,   "The job has not ended yet";
    IdempotencyConflict    "idempotency_conflict"     409 Retry::Never,   "The idempotency key belongs to another request";
    QueueUnavailable       "queue_unavailable"        503 Retry::Backoff, "The queue does not answer";
    QueueFull              "queue_full"               429 Retry::Backoff, "The queue is full";
    Cancelled              "cancelled"                409 Retry::Never,   "The job was cancelled";
    LeaseLost              "lease_lost"               409 Retry::Backoff, "Another worker has taken the job over";
    WaitingForTables       "waiting_for_tables"       503 Retry::Snooze(Duration::from_secs(1)), "The batch waits for its tables";
    BatchIncomplete        "batch_incomplete"         409 Retry::Never,   "Not all tables of the batch were migrated";
    NameClash              "name_clash"               409 Retry::Never,   "Two tables would get the same name";
    WorkerLost             "worker_lost"              500 Retry::Backoff, "The worker that ran the job died";
    WorkerStopping         "worker_stopping"          503 Retry::Snooze(Duration::ZERO), "The worker is stopping and hands the job back";
    Panicked               "panicked"                 500 Retry::Backoff, "The job's code panicked";
    Timeout                "timeout"                  504 Retry::Backoff, "The job took longer than its timeout";
    UnreadablePayload      "unreadable_payload"       500 Retry::Never,   "The job's payload cannot be read by this worker";
    SecretUnreadable       "secret_unreadable"        500 Retry::Never,   "A secret cannot be read, or not be opened with this worker's key";
    // Sources.
    ConnectionNotFound     "connection_not_found"     422 Retry::Never,   "No connection has this name";
    SourceUnreachable      "source_unreachable"       502 Retry::Backoff, "The source does not answer";
    SourceInterrupted      "source_interrupted"       502 Retry::Backoff, "The source's connection broke while it was read";
    TlsError               "tls_error"                502 Retry::Never,   "The source's TLS handshake failed";
    AuthFailed             "auth_failed"              502 Retry::Never,   "The source refused the credentials";
    DatabaseNotFound       "database_not_found"       502 Retry::Never,   "The source has no such database";
    SourceTableNotFound    "source_table_not_found"   502 Retry::Never,   "The source has no such table";
    SourceColumnNotFound   "source_column_not_found"  502 Retry::Never,   "The source has no such column";
    PermissionDenied       "permission_denied"        502 Retry::Never,   "The source's role may not read this";
    RoleTooPowerful        "role_too_powerful"        422 Retry::Never,   "The source's role may do more than read";
    QueryError             "query_error"              422 Retry::Never,   "The source refused the query";
    QueryNotAllowed        "query_not_allowed"        422 Retry::Never,   "The statement is not one single read-only query";
    QueryTimeout           "query_timeout"            422 Retry::Never,   "The query took longer than allowed";
    QueryBusy              "query_busy"               429 Retry::Backoff, "Other queries take all the room";
    EngineNotConfigured    "engine_not_configured"    422 Retry::Never,   "No such query engine is configured";
    EngineUnavailable      "engine_unavailable"       503 Retry::Backoff, "The query engine does not answer";
    EngineFailed           "engine_failed"            502 Retry::Never,   "The query engine broke the query off";
    DuplicateColumn        "duplicate_column"         422 Retry::Never,   "Two columns have the same name";
    TooManyColumns         "too_many_columns"         422 Retry::Never,   "There are too many columns";
    UnsupportedType        "unsupported_type"         422 Retry::Never,   "A column's type cannot be carried";
    UnrepresentableValue   "unrepresentable_value"    422 Retry::Never,   "A value cannot be carried exactly";
    DecimalOverflow        "decimal_overflow"         422 Retry::Never,   "A number has more digits than a decimal can hold";
    CellTooLarge           "cell_too_large"           422 Retry::Never,   "A value is too large";
    LineageColumnClash     "lineage_column_clash"     422 Retry::Never,   "A source column has the name of a lineage column";
    CursorUnknown          "cursor_unknown"           409 Retry::Never,   "The table has rows, but none by this cursor from this source";
    CursorColumnMissing    "cursor_column_missing"    422 Retry::Never,   "The incremental cursor is not a column that can be compared";
    // Files and objects.
    PathNotAllowed         "path_not_allowed"         422 Retry::Never,   "The path is not below a folder that may be read";
    NotAFile               "not_a_file"               422 Retry::Never,   "The path is not an ordinary file";
    SourceNotFound         "source_not_found"         502 Retry::Never,   "There is no such file or object";
    EmptySource            "empty_source"             422 Retry::Never,   "The source has no data at all";
    TooManyFiles           "too_many_files"           422 Retry::Never,   "There are more files than one load may have";
    SourceChanged          "source_changed"           502 Retry::Backoff, "The source changed while it was read";
    UnknownFormat          "unknown_format"           422 Retry::Never,   "The format cannot be told from the name";
    RaggedRow              "ragged_row"               422 Retry::Never,   "A row has more or fewer fields than the header";
    CsvUnterminatedQuote   "csv_unterminated_quote"   422 Retry::Never,   "A quoted field does not end";
    CsvInvalid             "csv_invalid"              422 Retry::Never,   "The file is not valid CSV";
    InvalidText            "invalid_text"             422 Retry::Never,   "The bytes are not text in the encoding";
    TypeMismatch           "type_mismatch"            422 Retry::Never,   "A value does not have the type that its column was given";
    ParquetInvalid         "parquet_invalid"          422 Retry::Never,   "The file is not valid Parquet";
    Truncated              "truncated"                422 Retry::Never,   "The compressed data ends too early";
    BadCompression         "bad_compression"          422 Retry::Never,   "The data is not compressed as its name says";
    DecompressedTooLarge   "decompressed_too_large"   422 Retry::Never,   "The data is far larger than its compressed form may be";
    S3NotFound             "s3_not_found"             502 Retry::Never,   "There is no such bucket or object";
    S3Forbidden            "s3_forbidden"             502 Retry::Never,   "The object store refused the keys";
    S3Archived             "s3_archived"              502 Retry::Never,   "The object lies in an archive and must be restored first";
    // Pages.
    InvalidSelector        "invalid_selector"         422 Retry::Never,   "The selector cannot be read";
    SelectorMatchedNothing "selector_matched_nothing" 422 Retry::Never,   "The page has nothing that the selector means";
    HtmlTooDeep            "html_too_deep"            422 Retry::Never,   "The page's elements are nested too deep";
    BrowserUnavailable     "browser_unavailable"      422 Retry::Never,   "No browser can be started here";
    UnexpectedContentType  "unexpected_content_type"  422 Retry::Never,   "The answer is another kind of content than asked for";
    JsonInvalid            "json_invalid"             422 Retry::Never,   "The answer is not valid JSON";
    JsonPathEmpty          "json_path_empty"          422 Retry::Never,   "The answer has nothing at the path";
    JsonPathNotArray       "json_path_not_array"      422 Retry::Never,   "The path leads to a single value, not to rows";
    XmlInvalid             "xml_invalid"              422 Retry::Never,   "The answer is not valid XML";
    XmlEntity              "xml_entity"               422 Retry::Never,   "The XML uses entities that are not accepted";
    HtmlTooLarge           "html_too_large"           422 Retry::Never,   "The page, or what it makes of itself, is too large";
    // Crawling.
    Http400                "http_400"                 502 Retry::Never,   "The site does not understand the request";
    Http401                "http_401"                 502 Retry::Never,   "The site wants to know who asks";
    Http403                "http_403"                 502 Retry::Never,   "The site does not show this page";
    Http404                "http_404"                 502 Retry::Never,   "The site has no such page";
    Http405                "http_405"                 502 Retry::Never,   "The page cannot be asked for in this way";
    Http410                "http_410"                 502 Retry::Never,   "The site has the page no more";
    Http429                "http_429"                 502 Retry::Backoff, "The site has had too many requests";
    Http500                "http_500"                 502 Retry::Backoff, "The site has failed";
    Http502                "http_502"                 502 Retry::Backoff, "The site's gateway has no good answer";
    Http503                "http_503"                 502 Retry::Backoff, "The site is not available";
    Http504                "http_504"                 502 Retry::Backoff, "The site's gateway has no answer in time";
    HttpError              "http_error"               502 Retry::Never,   "The site answered with another status than success";
    ResponseTooLarge       "response_too_large"       422 Retry::Never,   "The page is larger than allowed";
    SourceTimeout          "source_timeout"           504 Retry::Backoff, "The page took longer than allowed";
    BrowserCrashed         "browser_crashed"          502 Retry::Backoff, "The browser broke down over the page";
    RenderTimeout          "render_timeout"           504 Retry::Backoff, "The page did not become ready in the browser in time";
    EgressBlocked          "egress_blocked"           422 Retry::Never,   "The address is not one that may be asked";
    TooManyRedirects       "too_many_redirects"       502 Retry::Never,   "The site redirects without end";
    RobotsDisallowed       "robots_disallowed"        422 Retry::Never,   "The site's robots.txt does not permit it";
    PaginationLoop         "pagination_loop"          422 Retry::Never,   "A page came again, so the pagination is not what the request says";
    MaxPages               "max_pages"                422 Retry::Never,   "There are more pages than may be read";
    NextHostBlocked        "next_host_blocked"        422 Retry::Never,   "The next page lies on another host";
    // The lake.
    CatalogNotFound        "catalog_not_found"        422 Retry::Never,   "No catalog has this name";
    NamespaceNotFound      "namespace_not_found"      404 Retry::Never,   "No namespace has this name";
    TableNotFound          "table_not_found"          404 Retry::Never,   "No table has this name";
    TableExists            "table_exists"             409 Retry::Never,   "There is a table of this name already";
    SameTable              "same_table"               422 Retry::Never,   "Source and destination are the same table";
    SnapshotNotFound       "snapshot_not_found"       404 Retry::Never,   "The table has no such snapshot";
    SchemaMismatch         "schema_mismatch"          409 Retry::Never,   "The rows do not fit the table";
    NullInRequired         "null_in_required"         422 Retry::Never,   "A required column has no value";
    UnsupportedFeature     "unsupported_feature"      422 Retry::Never,   "The table uses a feature that is not supported";
    CursorMoved            "cursor_moved"             409 Retry::Backoff, "Another load has moved the cursor";
    CommitConflict         "commit_conflict"          409 Retry::Backoff, "Other writers kept winning the commit";
    CatalogUnavailable     "catalog_unavailable"      503 Retry::Backoff, "The catalog does not answer";
    StorageUnavailable     "storage_unavailable"      503 Retry::Backoff, "The warehouse cannot be read or written";
    StorageFull            "storage_full"             507 Retry::Backoff, "The warehouse is full";
    SourceFileMissing      "source_file_missing"      500 Retry::Never,   "A file that the table names is missing";
    SourceFileDamaged      "source_file_damaged"      500 Retry::Never,   "A file of the table cannot be decoded";
    InvalidQuery           "invalid_query"            422 Retry::Never,   "The SQL is wrong";
    ReportNotFound         "report_not_found"         404 Retry::Never,   "There is no report of this migration";
    SourceRewritten        "source_rewritten"         409 Retry::Never,   "Rows of the source were deleted or replaced since the last migration";
    VerificationFailed     "verification_failed"      409 Retry::Never,   "What was written is not what was read";
}

/// The most faults that one error tells, and the longest path, explanation and sentence, in characters: an answer must
/// not be many times as long as the request.
pub(crate) const MAX_FAULTS: usize = 20;
const MAX_PATH: usize = 200;
const MAX_DETAIL: usize = 500;
const MAX_MESSAGE: usize = 4000;

fn cut(text: String, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// One wrong field of a request.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct FieldError {
    /// The field, as a path with dots (`labels.team`); empty for the body as a whole.
    pub field: String,
    /// What is wrong with it.
    pub code: Code,
    /// A sentence that says what would be right.
    pub detail: String,
}

/// A failure: its code, a sentence that the user can act on, the fields it concerns, and the cause for the log.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    code: Code,
    message: String,
    retry: Retry,
    fields: Vec<FieldError>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A failure without a cause of its own; `message` is shown to the user and holds no secret.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: cut(message.into(), MAX_MESSAGE), retry: code.retry(), fields: Vec::new(), source: None }
    }

    /// A failure of one field of a request.
    pub fn field(field: impl Into<String>, code: Code, detail: impl Into<String>) -> Self {
        Self::fields(vec![FieldError { field: field.into(), code, detail: detail.into() }])
    }

    /// A failure of several fields, of which the first twenty are told. Its code is theirs if they agree, else
    /// [`Code::InvalidRequest`].
    #[must_use]
    pub fn fields(fields: Vec<FieldError>) -> Self {
        let short = |f: FieldError| FieldError {
            field: cut(f.field, MAX_PATH),
            detail: cut(f.detail, MAX_DETAIL),
            code: f.code,
        };
        let fields: Vec<_> = fields.into_iter().take(MAX_FAULTS).map(short).collect();
        let first = fields.first().map_or(Code::InvalidRequest, |f| f.code);
        let code = if fields.iter().all(|f| f.code == first) { first } else { Code::InvalidRequest };
        let message = fields.iter().map(|f| format!("{}: {}", f.field, f.detail)).collect::<Vec<_>>().join("; ");
        Self { fields, ..Self::new(code, message) }
    }

    /// Attaches the cause, which is logged and never shown.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(cause.into());
        self
    }

    /// Rewrites every text in it, those of the causes too: to keep out what must not be seen.
    #[must_use]
    pub fn rewrite(mut self, text: impl Fn(&str) -> String) -> Self {
        self.message = text(&self.message);
        self.fields.iter_mut().for_each(|field| field.detail = text(&field.detail));
        let first = std::error::Error::source(&self);
        let causes: Vec<_> = std::iter::successors(first, |cause| cause.source()).map(ToString::to_string).collect();
        self.source = self.source.is_some().then(|| text(&causes.join(": ")).into());
        self
    }

    /// Replaces what the queue does.
    #[must_use]
    pub const fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The stable name.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The sentence for the user.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What the queue does.
    #[must_use]
    pub const fn retry(&self) -> Retry {
        self.retry
    }

    /// The fields it concerns.
    #[must_use]
    pub fn field_errors(&self) -> &[FieldError] {
        &self.fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_spelled_as_they_serialize() {
        let mut seen = std::collections::HashSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{code:?} twice");
            assert_eq!(serde_json::to_value(code).ok(), Some(code.as_str().into()));
            assert!((400..600).contains(&code.http()));
        }
    }

    #[test]
    fn an_error_is_short_whatever_the_request() {
        let field = |n: usize| FieldError {
            field: format!("{n}.{}", "ä".repeat(1000)),
            code: Code::UnknownField,
            detail: "x".repeat(1000),
        };
        let error = Error::fields((0..1000).map(field).collect());
        let lengths = |f: &FieldError| (f.field.chars().count(), f.detail.chars().count());
        assert_eq!(error.field_errors().iter().map(lengths).collect::<Vec<_>>(), [(201, 501); 20]);
        assert!(error.message().starts_with("0.ää") && error.message().ends_with('…'));
        assert_eq!(error.message().chars().count(), 4001);
    }

    #[test]
    fn several_fields_with_one_fault_keep_its_code() {
        let field = |name: &str, code| FieldError { field: name.into(), code, detail: "is wrong".into() };
        assert_eq!(
            Error::fields(vec![field("a", Code::MissingField), field("b", Code::MissingField)]).code(),
            Code::MissingField
        );
        assert_eq!(
            Error::fields(vec![field("a", Code::MissingField), field("b", Code::UnknownField)]).code(),
            Code::InvalidRequest
        );
    }
}
