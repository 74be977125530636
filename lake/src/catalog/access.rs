//! How a catalog's warehouse on object storage is reached, as configured.
use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize, Serializer};

use crate::{Error, Kind, Result, s3::S3Config};

/// The `s3` section of a catalog.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3Access {
    /// `http://…` or `https://…`; default: Amazon's endpoint of the region.
    pub endpoint: Option<String>,
    /// Default: `us-east-1`.
    pub region: Option<String>,
    /// The id of the key.
    pub access_key: Option<KeySource>,
    /// The key itself.
    pub secret_key: Option<KeySource>,
    /// The token that belongs to temporary keys.
    pub session_token: Option<KeySource>,
    /// Whether the bucket stands in the path and not in the host's name; default: with an endpoint.
    pub path_style: Option<bool>,
}

impl S3Access {
    /// The same with the keys themselves.
    ///
    /// # Errors
    /// [`Kind::InvalidIdentifier`] if a file or variable is not there.
    pub fn resolve(&self) -> Result<S3Config> {
        let key = |source: &Option<KeySource>| source.as_ref().map(KeySource::resolve).transpose();
        Ok(S3Config {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            access_key: key(&self.access_key)?,
            secret_key: key(&self.secret_key)?,
            session_token: key(&self.session_token)?,
            path_style: self.path_style,
            ..S3Config::default()
        })
    }
}

/// Where a key is. It is never shown.
#[derive(Clone, Deserialize, Serialize)]
#[serde(untagged)]
pub enum KeySource {
    /// In the configuration.
    Value(#[serde(serialize_with = "blank")] String),
    /// The content of a file, without a final line break.
    File {
        /// The file.
        file: PathBuf,
    },
    /// In an environment variable.
    Env {
        /// Its name.
        env: String,
    },
}

impl KeySource {
    fn resolve(&self) -> Result<String> {
        let missing =
            |what: String| Error::new(Kind::InvalidIdentifier, format!("the key for S3 cannot be read: {what}"));
        match self {
            Self::Value(key) => Ok(key.clone()),
            Self::File { file } => std::fs::read_to_string(file)
                .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
                .map_err(|e| missing(format!("the file {}: {e}", file.display()))),
            Self::Env { env } => {
                std::env::var(env).map_err(|_| missing(format!("the environment variable {env} is not set")))
            }
        }
    }
}

const BLANK: &str = "***";

fn blank<S: Serializer>(_: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(BLANK)
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => f.write_str(BLANK),
            Self::File { file } => write!(f, "file {}", file.display()),
            Self::Env { env } => write!(f, "variable {env}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_where_they_are_and_never_shown() {
        let dir = tempfile::tempdir().expect("temp dir");
        let file = dir.path().join("key");
        std::fs::write(&file, "from the file\n").expect("write");
        let text =
            serde_json::json!({"access_key": "AKID", "secret_key": {"file": file}, "session_token": {"env": "PATH"}});
        let access: S3Access = serde_json::from_value(text).expect("access");
        let shown = format!("{access:?} {}", serde_json::to_string(&access).expect("JSON"));
        assert!(!shown.contains("AKID") && shown.contains("***"), "{shown}");
        let config = access.resolve().expect("keys");
        assert_eq!((config.access_key.as_deref(), config.secret_key.as_deref()), (Some("AKID"), Some("from the file")));
        let none = S3Access { secret_key: Some(KeySource::Env { env: "ICEHAUL_NO_SUCH".into() }), ..access };
        assert!(none.resolve().expect_err("not set").message().contains("ICEHAUL_NO_SUCH is not set"));
    }
}
