//! Object storage that speaks S3: one client, for the warehouse and for sources alike.
//!
//! Every request is signed with the keys that it was given (or with none: neither the environment nor a metadata service is
//! asked), goes past any proxy, follows no redirect, and is tried again with growing waits for a minute and a half at most.
mod fault;
mod http;
mod read;
mod upload;

use std::{fmt, sync::Arc, time::Duration};

use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    BackoffConfig, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    list::{PaginatedListOptions, PaginatedListStore},
    path::Path,
};
use tokio::sync::Semaphore;
pub use upload::Upload;

use crate::{Error, Kind, Result};

/// How requests are tried again: about half a minute of waiting in all.
const RETRIES: usize = 10;
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// After this time a failed request is not tried again.
const PATIENCE: Duration = Duration::from_secs(90);
/// After so many pages in a row that bring no object with content, a listing is given up.
const MOST_BARREN: u32 = 1_000;
/// The parts of all uploads to a bucket that may be under way at a time: what bounds their memory.
const PARTS_UNDER_WAY: usize = 4;

/// Where a store is and who asks it.
#[derive(Clone)]
pub struct S3Config {
    /// `http://…` or `https://…`; default: Amazon's endpoint of the region.
    pub endpoint: Option<String>,
    /// Default: `us-east-1`, which other stores than Amazon's take as well.
    pub region: Option<String>,
    /// The id of the key. Without it nothing is signed, which only public buckets accept.
    pub access_key: Option<String>,
    /// The key itself.
    pub secret_key: Option<String>,
    /// The token that belongs to temporary keys.
    pub session_token: Option<String>,
    /// Whether the bucket stands in the path and not in the host's name; default: with an endpoint.
    pub path_style: Option<bool>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long the store may be silent: while a part is sent and answered, and between two pieces of a body.
    pub silence_timeout: Duration,
}

impl Default for S3Config {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: None,
            access_key: None,
            secret_key: None,
            session_token: None,
            path_style: None,
            connect_timeout: Duration::from_secs(5),
            silence_timeout: Duration::from_secs(60),
        }
    }
}

impl fmt::Debug for S3Config {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, region, path_style, .. } = self;
        let signed = self.access_key.is_some();
        write!(
            f,
            "S3Config {{ endpoint: {endpoint:?}, region: {region:?}, path_style: {path_style:?}, signed: {signed} }}"
        )
    }
}

/// An object as it was when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its name in the bucket.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// What tells this content from any other under the key; nearly all stores give one.
    pub etag: Option<String>,
    /// When it was written, by the store's clock.
    pub last_modified: chrono::DateTime<chrono::Utc>,
}

impl From<ObjectMeta> for Object {
    fn from(meta: ObjectMeta) -> Self {
        let ObjectMeta { location, last_modified, size, e_tag, .. } = meta;
        Self { key: location.into(), size, etag: e_tag, last_modified }
    }
}

/// A bucket and the right to use it. Cheap to clone.
#[derive(Clone)]
pub struct Bucket {
    name: Arc<str>,
    /// The endpoint, for messages.
    endpoint: Arc<str>,
    /// What must not be seen in causes.
    secrets: Arc<[String]>,
    store: Arc<AmazonS3>,
    /// How long a read may take beside the time that its bytes need: for connecting, tries and silence.
    patience: Duration,
    parts: Arc<Semaphore>,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{} at {}", self.name, self.endpoint)
    }
}

impl Bucket {
    /// A bucket by name, without asking whether it is there.
    ///
    /// # Errors
    /// [`Kind::InvalidIdentifier`] for what cannot be a bucket's name or an endpoint, or one key without the other.
    pub fn connect(config: &S3Config, bucket: &str) -> Result<Self> {
        if !is_bucket_name(bucket) {
            return Err(invalid(format!("`{bucket}` cannot be the name of a bucket")));
        }
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(config.region.as_deref().unwrap_or("us-east-1"))
            .with_retry(retries());
        builder = match (&config.access_key, &config.secret_key) {
            (Some(id), Some(key)) => builder.with_access_key_id(id).with_secret_access_key(key),
            (None, None) => builder.with_skip_signature(true),
            _ => return Err(invalid("`access_key` and `secret_key` belong together: give both or none".to_owned())),
        };
        if let Some(token) = &config.session_token {
            builder = builder.with_token(token);
        }
        let path_style = config.path_style.unwrap_or(config.endpoint.is_some() || bucket.contains('.'));
        let endpoint = config.endpoint.as_deref().map(http::endpoint).transpose()?;
        let plain = endpoint.as_ref().is_some_and(|url| url.scheme() == "http");
        if let Some(url) = &endpoint {
            builder = builder.with_endpoint(http::address(url, (!path_style).then_some(bucket)));
        }
        let connector = http::Connector {
            https_only: !plain,
            connect_timeout: config.connect_timeout,
            silence_timeout: config.silence_timeout,
        };
        let store = builder
            .with_virtual_hosted_style_request(!path_style)
            .with_allow_http(plain)
            .with_http_connector(connector)
            .build()
            .map_err(|e| invalid(format!("the S3 client cannot be made for bucket `{bucket}`")).caused_by(e))?;
        let keys = [&config.access_key, &config.secret_key, &config.session_token];
        Ok(Self {
            name: bucket.into(),
            endpoint: endpoint.map_or_else(|| "amazonaws.com".to_owned(), |url| http::address(&url, None)).into(),
            secrets: keys.into_iter().flatten().filter(|key| !key.is_empty()).cloned().collect(),
            store: Arc::new(store),
            patience: config.silence_timeout * 3,
            parts: Arc::new(Semaphore::new(PARTS_UNDER_WAY)),
        })
    }

    /// The bucket's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `s3://bucket/key`.
    #[must_use]
    pub fn location(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    /// Looks at an object.
    ///
    /// # Errors
    /// [`Kind::ObjectNotFound`], [`Kind::BucketNotFound`], [`Kind::ObjectForbidden`], [`Kind::StoreUnreachable`].
    pub async fn head(&self, key: &str) -> Result<Object> {
        let path = self.path(key)?;
        match self.store.get_opts(&path, GetOptions { head: true, ..GetOptions::default() }).await {
            Ok(found) => Ok(found.meta.into()),
            Err(error) => {
                let error = self.failed("look at", key, error);
                if !matches!(error.kind(), Kind::ObjectNotFound | Kind::ObjectForbidden) {
                    return Err(error);
                }
                // An answer to HEAD has no body that would tell the reason; that of a list has.
                match self.page(key, None, Some(1)).await {
                    Err(reason) if reason.kind() != Kind::UnsupportedFeature => Err(reason),
                    _ => Err(error),
                }
            }
        }
    }

    /// All objects whose key begins with `prefix` (which may end inside a name), in the order of their keys, page by page.
    /// Empty objects that stand for folders are left out.
    ///
    /// # Errors
    /// As [`Bucket::head`], as items; [`Kind::StoreUnreachable`] if it does not end; [`Kind::UnsupportedFeature`] for keys with empty or `.` and `..` parts.
    pub fn list(&self, prefix: &str) -> BoxStream<'static, Result<Object>> {
        let (bucket, prefix) = (self.clone(), prefix.to_owned());
        let pages = futures::stream::try_unfold(Some((None, 0)), move |next: Option<(Option<String>, u32)>| {
            let (bucket, prefix) = (bucket.clone(), prefix.clone());
            async move {
                let Some((token, barren)) = next else { return Ok(None) };
                let (objects, more) = bucket.page(&prefix, token.clone(), None).await?;
                let barren = if objects.iter().all(|object| object.size == 0) { barren + 1 } else { 0 };
                if more.is_some() && (more == token || barren > MOST_BARREN) {
                    let what = format!("the store's listing of `{}` does not go on", bucket.location(&prefix));
                    return Err(Error::new(Kind::StoreUnreachable, what));
                }
                let objects = futures::stream::iter(objects.into_iter().map(Ok::<_, Error>));
                Ok(Some((objects, more.map(|token| (Some(token), barren)))))
            }
        });
        let bucket = self.clone();
        let real = move |object: Object| {
            let bucket = bucket.clone();
            async move {
                // `folder/` arrives here as an empty `folder`: only asking tells.
                match object.size == 0 {
                    false => Ok(Some(object)),
                    true => match bucket.head(&object.key).await {
                        Err(error) if error.kind() == Kind::ObjectNotFound => Ok(None),
                        other => other.map(Some),
                    },
                }
            }
        };
        pages.try_flatten().try_filter_map(real).boxed()
    }

    async fn page(
        &self,
        prefix: &str,
        page_token: Option<String>,
        max_keys: Option<usize>,
    ) -> Result<(Vec<Object>, Option<String>)> {
        let options = PaginatedListOptions { page_token, max_keys, ..PaginatedListOptions::default() };
        let page = self.store.list_paginated((!prefix.is_empty()).then_some(prefix), options).await;
        let page = page.map_err(|e| self.failed("list", prefix, e))?;
        Ok((page.result.objects.into_iter().map(Object::from).collect(), page.page_token))
    }

    /// Deletes an object. One that is not there is no error.
    ///
    /// # Errors
    /// As [`Bucket::head`].
    pub async fn delete(&self, key: &str) -> Result<()> {
        match self.store.delete(&self.path(key)?).await {
            Err(object_store::Error::NotFound { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(self.failed("delete", key, error)),
        }
    }

    /// Deletes all objects whose key begins with `prefix` but those that `keep` names, a thousand at a time.
    ///
    /// # Errors
    /// As [`Bucket::head`]; what was deleted by then stays so.
    pub async fn delete_all(&self, prefix: &str, keep: impl Fn(&str) -> bool + Send + Sync + 'static) -> Result<()> {
        let (objects, names) = (self.list(prefix), self.clone());
        let paths = objects.try_filter_map(move |object| {
            let path = (!keep(&object.key)).then(|| names.path(&object.key)).transpose();
            std::future::ready(path)
        });
        let paths = paths.map_err(|e| object_store::Error::Generic { store: "S3", source: Box::new(e) }).boxed();
        let mut deleted = self.store.delete_stream(paths);
        while let Some(done) = deleted.next().await {
            match done {
                Err(object_store::Error::NotFound { .. }) | Ok(_) => {}
                Err(error) => return Err(self.failed("delete below", prefix, error)),
            }
        }
        Ok(())
    }

    /// The library's form of a key, which must stand for exactly this key.
    fn path(&self, key: &str) -> Result<Path> {
        Path::parse(key).ok().filter(|path| path.as_ref() == key && !key.is_empty()).ok_or_else(|| {
            let rule = "a key must not be empty, begin or end with `/`, or have parts that are empty, `.` or `..`";
            Error::new(Kind::UnsupportedFeature, format!("`{}` cannot be used: {rule}", self.location(key)))
        })
    }
}

fn retries() -> RetryConfig {
    let backoff = BackoffConfig { init_backoff: BACKOFF.0, max_backoff: BACKOFF.1, base: 3.0 };
    RetryConfig { backoff, max_retries: RETRIES, retry_timeout: PATIENCE }
}

/// Amazon's rule for new buckets and what older ones and other stores allow: nothing that could change the address.
fn is_bucket_name(name: &str) -> bool {
    (3..=255).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !name.contains("..")
}

fn invalid(message: String) -> Error {
    Error::new(Kind::InvalidIdentifier, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_never_shown() {
        let config = S3Config {
            access_key: Some("AKIDEXAMPLE".into()),
            secret_key: Some("wJalrXUtnFEMI".into()),
            ..S3Config::default()
        };
        let bucket = Bucket::connect(&config, "raw-data").expect("bucket");
        let shown = format!("{config:?} {bucket:?}");
        assert!(!shown.contains("AKID") && !shown.contains("wJal"), "{shown}");
        let cause = object_store::Error::Generic { store: "S3", source: "for wJalrXUtnFEMI and AKIDEXAMPLE".into() };
        let error = bucket.failed("read", "k", cause);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("AKID") && !shown.contains("wJal"), "{shown}");
    }

    #[test]
    fn wrong_configurations_are_refused() {
        let refused = |config: S3Config, bucket: &str| Bucket::connect(&config, bucket).expect_err("refused").kind();
        for bucket in ["", "ab", "a/b", "a?b", "../x", "a@b.c/d", "-ab", "a..b"] {
            assert_eq!(refused(S3Config::default(), bucket), Kind::InvalidIdentifier, "{bucket}");
        }
        for endpoint in ["", "localhost:9000", "ftp://a", "http://u:p@a", "http://a?b", "http://a/#c", "http://"] {
            let config = S3Config { endpoint: Some(endpoint.into()), ..S3Config::default() };
            assert_eq!(refused(config, "bucket"), Kind::InvalidIdentifier, "{endpoint}");
        }
        let half = S3Config { access_key: Some("a".into()), ..S3Config::default() };
        assert_eq!(refused(half, "bucket"), Kind::InvalidIdentifier);
    }

    #[test]
    fn only_keys_that_stay_as_they_are_can_be_used() {
        let bucket = Bucket::connect(&S3Config::default(), "bucket").expect("bucket");
        for key in ["a", "a/b c.csv", "a/ü%20+&=?.parquet", "a/b=1/c"] {
            assert_eq!(bucket.path(key).expect(key).as_ref(), key);
        }
        for key in ["", "/a", "a/", "a//b", "a/../b", "./a"] {
            assert_eq!(bucket.path(key).expect_err(key).kind(), Kind::UnsupportedFeature);
        }
    }
}
