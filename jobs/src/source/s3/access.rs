//! How a bucket is reached: by a configured connection, or by the request's own fields.
use icehaul_lake::s3::{Bucket, S3Config};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    Code, Ctx, Error, FieldError, Result, Secret,
    config::{Connections, S3Connection, SecretSource},
};

const MAX_TEXT: usize = 1024;

/// The fields of a request that say how a bucket is reached.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct S3Access {
    /// A named connection of the configuration, instead of the fields from `endpoint` to `path_style`. Without either,
    /// the connection is taken whose `buckets` have the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// The store's address; default: AWS.
    #[schemars(example = &"http://localhost:4566")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The region; default `us-east-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The access key. Without keys requests are not signed, as public buckets permit; keys in the environment of a
    /// worker are only used by connections that name them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key: Option<String>,
    /// Its secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key: Option<Secret>,
    /// The token of temporary keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_token: Option<Secret>,
    /// Whether the bucket stands in the path instead of the host's name; default: if there is an `endpoint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_style: Option<bool>,
}

impl S3Access {
    /// Finds what is wrong without any I/O.
    pub(crate) fn check(&self) -> Vec<FieldError> {
        let mut faults = Vec::new();
        let mut fault = |field: &str, code, detail: &str| {
            faults.push(FieldError { field: field.into(), code, detail: detail.into() })
        };
        if self.connection.is_some() {
            for field in self.given() {
                fault(field, Code::ConflictingFields, "comes from the named `connection`; give only one of them");
            }
        }
        if let Some(Err(why)) = self.endpoint.as_deref().map(check_endpoint) {
            fault("endpoint", Code::InvalidField, why);
        }
        for (field, text) in [("region", &self.region), ("access_key", &self.access_key)] {
            if text.as_ref().is_some_and(|text| text.is_empty() || text.len() > MAX_TEXT || !text.chars().all(plain)) {
                fault(field, Code::InvalidField, "must be letters, digits and signs without blanks");
            }
        }
        match (&self.access_key, &self.secret_key) {
            (Some(_), None) => fault("secret_key", Code::MissingField, "goes with `access_key`"),
            (None, Some(_)) => fault("access_key", Code::MissingField, "goes with `secret_key`"),
            (None, None) if self.session_token.is_some() => {
                fault("access_key", Code::MissingField, "`session_token` goes with `access_key` and `secret_key`");
            }
            _ => {}
        }
        faults
    }

    /// The names of the fields that are given beside `connection`.
    fn given(&self) -> impl Iterator<Item = &'static str> {
        let fields = [
            ("endpoint", self.endpoint.is_some()),
            ("region", self.region.is_some()),
            ("access_key", self.access_key.is_some()),
            ("secret_key", self.secret_key.is_some()),
            ("session_token", self.session_token.is_some()),
            ("path_style", self.path_style.is_some()),
        ];
        fields.into_iter().filter(|(_, given)| *given).map(|(field, _)| field)
    }

    /// What is wrong with the connection, or with this bucket on it.
    pub(crate) fn check_names(&self, bucket: &str, connections: &Connections) -> Vec<FieldError> {
        let error = self.configured(bucket, connections).err();
        error.map(|error| error.field_errors().to_vec()).unwrap_or_default()
    }

    /// The secrets among the fields.
    pub(crate) fn secrets(&mut self) -> Vec<&mut Secret> {
        self.secret_key.iter_mut().chain(&mut self.session_token).collect()
    }

    /// The bucket; nothing is asked yet.
    pub(crate) fn bucket(&self, name: &str, ctx: &Ctx) -> Result<Bucket> {
        let mut config = match self.configured(name, &ctx.connections)? {
            Some(connection) => config_of(connection)?,
            None => S3Config {
                endpoint: self.endpoint.clone(),
                region: self.region.clone(),
                access_key: self.access_key.clone(),
                secret_key: self.secret_key.as_ref().map(|secret| secret.expose().to_owned()),
                session_token: self.session_token.as_ref().map(|secret| secret.expose().to_owned()),
                path_style: self.path_style,
                ..S3Config::default()
            },
        };
        config.connect_timeout = ctx.limits.connect_timeout();
        Ok(Bucket::connect(&config, name)?)
    }

    /// The connection for a bucket; `None` if the request brings its own fields.
    fn configured<'a>(&self, bucket: &str, connections: &'a Connections) -> Result<Option<&'a S3Connection>> {
        if let Some(name) = &self.connection {
            let found = connections.get::<S3Connection>(name)?;
            if found.buckets.is_empty() || found.buckets.iter().any(|one| one == bucket) {
                return Ok(Some(found));
            }
            let detail = format!("the connection `{name}` is only for other buckets: {}", found.buckets.join(", "));
            return Err(Error::field("bucket", Code::ConflictingFields, detail));
        }
        if self.given().next().is_some() {
            return Ok(None);
        }
        let mut all = connections.of_kind::<S3Connection>();
        let found = all.find(|(_, connection)| connection.buckets.iter().any(|one| one == bucket));
        let missing = || {
            let detail = format!(
                "no configured connection has `{bucket}` among its `buckets`; name a `connection`, or give `access_key`, \
                 `secret_key` and, if it is not AWS, `endpoint`"
            );
            Error::field("connection", Code::MissingField, detail)
        };
        found.map(|(_, connection)| Some(connection)).ok_or_else(missing)
    }
}

fn config_of(connection: &S3Connection) -> Result<S3Config> {
    let text = |source: &Option<SecretSource>| {
        source.as_ref().map(|source| source.resolve().map(|secret| secret.expose().to_owned())).transpose()
    };
    Ok(S3Config {
        endpoint: connection.endpoint.clone(),
        region: connection.region.clone(),
        access_key: text(&connection.access_key)?,
        secret_key: text(&connection.secret_key)?,
        session_token: text(&connection.session_token)?,
        path_style: connection.path_style,
        ..S3Config::default()
    })
}

/// Whether a text is the address of an object store.
///
/// # Errors
/// A sentence that says what would be right.
pub fn check_endpoint(text: &str) -> Result<(), &'static str> {
    let url = Url::parse(text).map_err(|_| "must be an address such as https://s3.example.com")?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err("must begin with http:// or https:// and name a host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must hold no keys; they have fields of their own");
    }
    if url.query().is_some() || url.fragment().is_some() || text.len() > MAX_TEXT {
        return Err("must be an address alone, without `?` or `#`");
    }
    Ok(())
}

const fn plain(c: char) -> bool {
    c.is_ascii_graphic()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn access(fields: Value) -> S3Access {
        serde_json::from_value(fields).expect("fields")
    }

    #[test]
    fn the_fields_of_access_fit_together() {
        for (fields, wrong) in [
            (json!({}), &[][..]),
            (json!({"access_key": "a", "secret_key": "s", "endpoint": "http://localhost:1/x"}), &[]),
            (json!({"access_key": "a"}), &["secret_key"]),
            (json!({"secret_key": "s", "endpoint": "ftp://h"}), &["endpoint", "access_key"]),
            (json!({"session_token": "t", "region": "a b"}), &["region", "access_key"]),
            (json!({"connection": "c", "endpoint": "http://h", "path_style": true}), &["endpoint", "path_style"]),
            (json!({"endpoint": "http://u:p@h"}), &["endpoint"]),
            (json!({"endpoint": "http://h?x"}), &["endpoint"]),
            (json!({"endpoint": "localhost:4566"}), &["endpoint"]),
        ] {
            let faults: Vec<_> = access(fields.clone()).check().into_iter().map(|fault| fault.field).collect();
            assert_eq!(faults, wrong, "{fields}");
        }
    }

    #[test]
    fn a_bucket_has_a_connection_or_the_request_has_fields() {
        let connections: Connections = serde_json::from_value(json!({
            "own": {"kind": "s3", "buckets": ["a", "b"]}, "any": {"kind": "s3", "endpoint": "http://h"},
        }))
        .expect("connections");
        let fault = |fields: Value, bucket: &str| {
            access(fields).check_names(bucket, &connections).pop().map(|fault| (fault.field, fault.code))
        };
        assert_eq!(fault(json!({}), "a"), None);
        assert_eq!(fault(json!({}), "c"), Some(("connection".into(), Code::MissingField)));
        assert_eq!(fault(json!({"region": "eu-west-1"}), "c"), None, "a public bucket");
        assert_eq!(fault(json!({"connection": "own"}), "b"), None);
        assert_eq!(fault(json!({"connection": "own"}), "c"), Some(("bucket".into(), Code::ConflictingFields)));
        assert_eq!(fault(json!({"connection": "any"}), "c"), None);
        assert_eq!(fault(json!({"connection": "none"}), "c"), Some(("connection".into(), Code::ConnectionNotFound)));
    }
}
