//! The store's failures as kinds and sentences.
use object_store::client::{HttpError, HttpErrorKind};

use super::Bucket;
use crate::{Error, Kind};

/// The longest cause that is kept for the log, in characters.
const MOST_CAUSE: usize = 2_000;

impl Bucket {
    /// A failed request about a key or prefix, told to the user.
    pub(super) fn failed(&self, action: &str, key: &str, error: object_store::Error) -> Error {
        let first: &(dyn std::error::Error + 'static) = &error;
        let chain: Vec<_> = std::iter::successors(Some(first), |cause| cause.source()).collect();
        // What was our own error stays it.
        if let Some(ours) = chain.iter().find_map(|cause| cause.downcast_ref::<Error>()) {
            return Error::new(ours.kind(), ours.message().to_owned()).caused_by(self.cause(&chain));
        }
        let transport = chain.iter().find_map(|cause| cause.downcast_ref::<HttpError>()).map(HttpError::kind);
        let is = |what: fn(&object_store::Error) -> bool| {
            chain.iter().filter_map(|cause| cause.downcast_ref::<object_store::Error>()).any(what)
        };
        let said = said(&error, transport, is);
        let (kind, why) = self.kind_of(&said);
        // A listed key is the store's word.
        let message = format!("cannot {action} `{}` at {}: {why}", self.location(&self.blank(key)), self.endpoint);
        Error::new(kind, message).caused_by(self.cause(&chain))
    }

    /// Another content lies under the key than that which was looked at.
    pub(super) fn changed(&self, key: &str) -> Error {
        Error::new(Kind::ObjectChanged, format!("`{}` changed while it was read", self.location(key)))
    }

    fn kind_of(&self, said: &Said) -> (Kind, String) {
        let bucket = &self.name;
        let (kind, why) = match said.code.as_str() {
            "NoSuchBucket" => (Kind::BucketNotFound, format!("there is no bucket `{bucket}`")),
            "NoSuchKey" | "NoSuchUpload" => (Kind::ObjectNotFound, "there is no such object".to_owned()),
            // The second is versitygw's word.
            "InvalidAccessKeyId" | "XAdminUserNotFound" => {
                (Kind::ObjectForbidden, "the store does not know the access key".to_owned())
            }
            "SignatureDoesNotMatch" => (Kind::ObjectForbidden, "the secret key is wrong".to_owned()),
            "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" => {
                (Kind::ObjectForbidden, "the session token is not valid (any more)".to_owned())
            }
            "RequestTimeTooSkewed" => {
                (Kind::ObjectForbidden, "this machine's clock and the store's are far apart".to_owned())
            }
            "AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException" => {
                (Kind::ObjectForbidden, "the bucket lies in another region: give its `region`".to_owned())
            }
            "InvalidObjectState" => {
                (Kind::ObjectArchived, "it lies in an archive and must be restored first".to_owned())
            }
            "RequestTimeout" => (Kind::StoreUnreachable, "the store waited too long for the request".to_owned()),
            "InvalidBucketName" => (Kind::BucketNotFound, format!("the store takes `{bucket}` for no bucket's name")),
            "PreconditionFailed" | "InvalidRange" => (Kind::ObjectChanged, "it changed while it was read".to_owned()),
            "QuotaExceeded" | "XMinioStorageFull" | "InsufficientStorage" | "StorageFull" | "NoSpace" => {
                (Kind::StorageFull, "the store is full".to_owned())
            }
            // A store may say what it was sent.
            code => said.kind_by_status(&self.blank(code)),
        };
        (kind, why)
    }

    /// The whole cause for the log, without the keys.
    fn cause(&self, chain: &[&(dyn std::error::Error + 'static)]) -> String {
        // The outer texts hold the inner ones, but not always the innermost.
        let mut text = chain.first().map(ToString::to_string).unwrap_or_default();
        if let Some(root) = chain.last().map(ToString::to_string).filter(|root| !text.contains(root.as_str())) {
            text = format!("{text}: {root}");
        }
        self.blank(&text).chars().take(MOST_CAUSE).collect()
    }

    /// A text without the keys and the session token.
    fn blank(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
    }
}

/// Whether the request may have been done although it failed.
pub(super) fn is_unsure(error: &object_store::Error) -> bool {
    let first: &(dyn std::error::Error + 'static) = error;
    let transport = std::iter::successors(Some(first), |cause| cause.source())
        .find_map(|cause| cause.downcast_ref::<HttpError>())
        .map(HttpError::kind);
    transport.is_some_and(|kind| !matches!(kind, HttpErrorKind::Connect | HttpErrorKind::Request))
}

/// What an error tells.
struct Said {
    /// S3's name for it, if the answer had one that can be one.
    code: String,
    /// The status of the answer; 0 if there was none.
    status: u16,
    transport: Option<HttpErrorKind>,
    tls: bool,
    redirect: bool,
    text: String,
}

/// Collects what an error and its causes tell. The library keeps status and body as text only, so the text is read.
fn said(
    error: &object_store::Error,
    transport: Option<HttpErrorKind>,
    is: impl Fn(fn(&object_store::Error) -> bool) -> bool,
) -> Said {
    use object_store::Error as E;
    let text = format!("{error} {error:?}");
    let between = |from: &str, to: &str| Some(text.split_once(from)?.1.split_once(to)?.0.trim().to_owned());
    let number = |text: String| text.get(..3)?.parse().ok();
    let by_variant = || match () {
        () if is(|e| matches!(e, E::NotFound { .. })) => 404,
        () if is(|e| matches!(e, E::Precondition { .. })) => 412,
        () if is(|e| matches!(e, E::PermissionDenied { .. })) => 403,
        () if is(|e| matches!(e, E::Unauthenticated { .. })) => 401,
        () => 0,
    };
    let status = between("status code: ", ":").and_then(number).unwrap_or_else(by_variant);
    let lower = text.to_ascii_lowercase();
    Said {
        code: between("<Code>", "</Code>").filter(|code| is_code(code)).unwrap_or_default(),
        status,
        transport,
        tls: ["certificate", "handshake", "tls error", "invalidcontenttype"].iter().any(|word| lower.contains(word)),
        redirect: text.contains("redirect without LOCATION"),
        text,
    }
}

/// Whether a text can be S3's name for a failure: a word or two, with dots at most.
fn is_code(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
}

impl Said {
    fn kind_by_status(&self, code: &str) -> (Kind, String) {
        let code = if code.is_empty() { String::new() } else { format!(" ({code})") };
        match (self.status, self.transport) {
            (404, _) => (Kind::ObjectNotFound, "there is no such object".to_owned()),
            (401 | 403, _) => (Kind::ObjectForbidden, format!("the store does not allow it{code}")),
            (412 | 416, _) => (Kind::ObjectChanged, "it changed while it was read".to_owned()),
            (507, _) => (Kind::StorageFull, "the store is full".to_owned()),
            (429 | 500..=599, _) => (Kind::StoreUnreachable, format!("the store fails or has too much to do{code}")),
            (300..=399, _) => {
                (Kind::ObjectForbidden, "the store redirects: give the bucket's `region` and endpoint".into())
            }
            _ if self.redirect => {
                (Kind::ObjectForbidden, "the store redirects: give the bucket's `region` and endpoint".to_owned())
            }
            (408, _) => (Kind::StoreUnreachable, "the store waited too long for the request".to_owned()),
            (400..=499, _) => {
                (Kind::ObjectForbidden, format!("the store refuses the request{code}: check `region`, bucket and key"))
            }
            (_, Some(_)) if self.tls => (Kind::StoreTls, "the TLS handshake failed".to_owned()),
            (_, Some(HttpErrorKind::Timeout)) => (Kind::StoreUnreachable, "it does not answer in time".to_owned()),
            (_, Some(HttpErrorKind::Connect)) => (Kind::StoreUnreachable, "it cannot be reached".to_owned()),
            (_, Some(_)) => (Kind::StoreUnreachable, "the connection broke".to_owned()),
            _ if self.text.contains("with invalid path") => (
                Kind::UnsupportedFeature,
                "there is a key whose parts are empty, `.` or `..`, which cannot be used".to_owned(),
            ),
            _ => (Kind::StoreUnreachable, "the store's answer is not understood".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::S3Config, *};

    fn told(error: object_store::Error) -> (Kind, String) {
        let bucket = Bucket::connect(&S3Config::default(), "bucket").expect("bucket");
        let error = bucket.failed("read", "a/b", error);
        (error.kind(), error.message().to_owned())
    }

    fn answer(status: &str, code: &str) -> object_store::Error {
        let source = format!(
            "Error performing GET http://x/bucket/a/b in 2ms - Server returned non-2xx status code: {status}: \
             <?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>m</Message></Error>"
        );
        object_store::Error::Generic { store: "S3", source: source.into() }
    }

    #[test]
    fn answers_have_a_kind_each() {
        for (status, code, kind, says) in [
            ("404 Not Found", "NoSuchBucket", Kind::BucketNotFound, "no bucket `bucket`"),
            ("404 Not Found", "NoSuchKey", Kind::ObjectNotFound, "no such object"),
            ("403 Forbidden", "SignatureDoesNotMatch", Kind::ObjectForbidden, "secret key"),
            ("403 Forbidden", "InvalidAccessKeyId", Kind::ObjectForbidden, "access key"),
            ("403 Forbidden", "AccessDenied", Kind::ObjectForbidden, "AccessDenied"),
            ("403 Forbidden", "InvalidObjectState", Kind::ObjectArchived, "restored"),
            ("412 Precondition Failed", "PreconditionFailed", Kind::ObjectChanged, "changed"),
            ("503 Service Unavailable", "SlowDown", Kind::StoreUnreachable, "SlowDown"),
            ("507 Insufficient Storage", "x", Kind::StorageFull, "full"),
        ] {
            let (found, message) = told(answer(status, code));
            assert_eq!(found, kind, "{code}");
            assert!(message.contains(says) && message.contains("s3://bucket/a/b"), "{message}");
        }
    }

    #[test]
    fn what_the_store_says_shows_no_secret_and_stays_a_word() {
        let secret = |text: &str| Some(text.to_owned());
        let config = S3Config {
            access_key: secret("AKIDEXAMPLE"),
            secret_key: secret("wJalrXUtnFEMI"),
            session_token: secret("FwoGZXIvYXdzE"),
            ..S3Config::default()
        };
        let bucket = Bucket::connect(&config, "bucket").expect("bucket");
        for code in ["AKIDEXAMPLE", "wJalrXUtnFEMI", "X.FwoGZXIvYXdzE", "tok=FwoGZXIvYXdzE", &"Z".repeat(65), "<b>"] {
            let error = bucket.failed("read", "a/wJalrXUtnFEMI", answer("400 Bad Request", code));
            let shown = format!("{} {error:?}", error.message());
            for secret in ["AKID", "wJal", "FwoG"] {
                assert!(!shown.contains(secret), "{shown}");
            }
            assert!(!error.message().contains("ZZ") && !error.message().contains('<'), "{error}");
        }
    }

    #[test]
    fn what_has_no_body_is_told_by_its_status() {
        let source = || "no body".into();
        let gone = object_store::Error::NotFound { path: "a/b".into(), source: source() };
        assert_eq!(told(gone).0, Kind::ObjectNotFound);
        let within = object_store::Error::Precondition { path: "a/b".into(), source: source() };
        let nested = object_store::Error::Generic { store: "S3", source: Box::new(within) };
        assert_eq!(told(nested).0, Kind::ObjectChanged);
    }

    #[test]
    fn transport_is_told_from_answers() {
        let broken = |kind, text: &str| {
            let cause = HttpError::new(kind, std::io::Error::other(text.to_owned()));
            told(object_store::Error::Generic { store: "S3", source: Box::new(cause) }).0
        };
        assert_eq!(broken(HttpErrorKind::Connect, "refused"), Kind::StoreUnreachable);
        assert_eq!(broken(HttpErrorKind::Timeout, "slow"), Kind::StoreUnreachable);
        assert_eq!(broken(HttpErrorKind::Connect, "invalid peer certificate: UnknownIssuer"), Kind::StoreTls);
    }
}
