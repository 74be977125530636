//! How the store is reached: the one HTTP client of this crate.
use std::time::Duration;

use object_store::{
    ClientOptions,
    client::{HttpClient, HttpConnector},
};
use reqwest::{Client, redirect::Policy};
use url::Url;

use super::invalid;
use crate::Result;

/// Makes clients that take no proxy from the environment and follow no redirect: both would lead signed requests to others.
#[derive(Debug)]
pub(super) struct Connector {
    pub(super) https_only: bool,
    pub(super) connect_timeout: Duration,
    pub(super) silence_timeout: Duration,
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = Client::builder()
            .user_agent(concat!("icehaul/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(Policy::none())
            .https_only(self.https_only)
            // One connection a request is faster than many requests over one connection.
            .http1_only()
            // Bodies as they are: their sizes are those of the objects.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .connect_timeout(self.connect_timeout)
            .read_timeout(self.silence_timeout)
            .build();
        let client = client.map_err(|e| object_store::Error::Generic { store: "S3", source: Box::new(e) })?;
        Ok(HttpClient::new(client))
    }
}

/// An endpoint as configured.
pub(super) fn endpoint(text: &str) -> Result<Url> {
    let wrong =
        || invalid("the endpoint must be like `https://host:port`, without user, password and query".to_owned());
    let url = Url::parse(text).map_err(|_| wrong())?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    let known = ["http", "https"].contains(&url.scheme());
    if known && plain && url.fragment().is_none() && url.host_str().is_some() { Ok(url) } else { Err(wrong()) }
}

/// The endpoint without a slash at its end; with the bucket in the host's name if one is given.
pub(super) fn address(endpoint: &Url, bucket: Option<&str>) -> String {
    let mut url = endpoint.clone();
    if let (Some(bucket), Some(host)) = (bucket, endpoint.host_str()) {
        // A host that is an address takes no name before it: then the bucket is not found, which is said.
        let _ = url.set_host(Some(&format!("{bucket}.{host}")));
    }
    url.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_stands_where_it_is_wanted() {
        let url = endpoint("http://s3.example.com:9000/").expect("endpoint");
        assert_eq!(address(&url, None), "http://s3.example.com:9000");
        assert_eq!(address(&url, Some("raw")), "http://raw.s3.example.com:9000");
    }
}
