//! Job requests: their fields, their strict reading, and what the queue carries.
mod load;
mod options;
mod parse;

use std::{borrow::Cow, collections::HashSet};

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

pub(crate) use load::yes;
pub use load::{CompressionName, Load, LoadMode, SchemaModeName, Target, Verify};
pub use options::{JobOptions, Priority};
pub(crate) use parse::closed;
pub use parse::{read_json, read_request, schema_of};

use crate::{
    Code, Ctx, Error, FieldError, JobId, Result, Sealer, Secret, audit,
    job::{MigrateBatch, MigrateTable, UploadS3, VerifyTables, run_load},
    queue::NewJob,
    source::{LoadSpec, Names},
};

/// The most names in a list of columns: a table has no more.
pub(crate) const MOST_COLUMNS: usize = 2000;

/// Why no job may write to a namespace; `None` if it may.
pub(crate) fn reserved(namespace: &str) -> Option<String> {
    let own = namespace == audit::NAMESPACE;
    own.then(|| format!("the namespace `{namespace}` is Icehaul's own: no job may write there"))
}

/// The place of the first name that was there before.
pub(crate) fn repeated(names: &[String]) -> Option<usize> {
    let mut seen = HashSet::new();
    names.iter().position(|name| !seen.insert(name))
}

/// The version of the payload that workers of this release read.
const PAYLOAD_VERSION: u64 = 2;

/// A kind of job that loads from no source: the type is its request body, with the [`JobOptions`] among the fields.
pub(crate) trait Task: Clone + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The kind, as it stands in documents and filters.
    const KIND: &'static str;

    /// Finds what is wrong without any I/O.
    fn check(&self) -> Vec<FieldError>;

    /// Finds what is wrong with names of the configuration (a connection, a folder), without any I/O.
    fn check_names(&self, _names: &Names<'_>) -> Vec<FieldError> {
        Vec::new()
    }

    /// How the job is run.
    fn options(&self) -> &JobOptions;

    /// The secrets among its fields.
    fn secrets(&mut self) -> Vec<&mut Secret> {
        Vec::new()
    }

    /// The table that it writes, as `namespace.table`.
    fn table(&self) -> Option<String> {
        None
    }

    /// The fields that name a catalog, and the names.
    fn catalogs(&self) -> Vec<(Cow<'static, str>, Option<&str>)> {
        Vec::new()
    }

    /// Does the job and gives the `result` of its document. Safe to run again after a crash at any point.
    fn run(&self, ctx: &Ctx) -> impl Future<Output = Result<Value>> + Send;
}

macro_rules! kinds {
    ($($task:ident: $about:literal),* $(,)?) => {
        /// A checked request: what is to be done.
        #[derive(Clone, Debug)]
        pub enum JobSpec {
            /// Rows from a source into a table.
            Load(LoadSpec),
            $(#[doc = $about] $task(Box<$task>),)*
        }

        impl JobSpec {
            /// The kinds of job that exist, as they stand in documents and filters.
            #[must_use]
            pub fn kinds() -> Vec<String> {
                LoadSpec::KINDS.iter().copied().chain([$($task::KIND),*]).map(String::from).collect()
            }

            /// The JSON Schema (2020-12) of the request body of a kind.
            #[must_use]
            pub fn request_schema(kind: &str) -> Option<Value> {
                match kind { $($task::KIND => Some(schema_of::<$task>()),)* _ => LoadSpec::request_schema(kind) }
            }

            /// Reads a request body for a kind.
            ///
            /// # Errors
            /// [`Code::InvalidJson`], [`Code::EmptyBody`] or every wrong field at once.
            pub fn from_body(kind: &str, body: &[u8]) -> Result<Self> {
                let body = read_json(body)?;
                match kind {
                    $($task::KIND => Ok(Self::$task(Box::new(read_request(body, $task::check)?))),)*
                    _ => LoadSpec::from_request(kind, body).map(Self::Load),
                }
            }

            fn from_value(kind: &str, value: Value) -> Result<Self> {
                match kind {
                    $($task::KIND => serde_json::from_value(value).map(|task| Self::$task(Box::new(task)))
                        .map_err(|e| Error::new(Code::InvalidRequest, e.to_string())),)*
                    _ => LoadSpec::from_value(kind, value).map(Self::Load),
                }
            }

            /// The job's kind, such as `load.postgres`.
            #[must_use]
            pub fn kind(&self) -> String {
                match self { Self::Load(load) => load.kind(), $(Self::$task(_) => $task::KIND,)* }.to_owned()
            }

            /// The fields that every job has.
            #[must_use]
            pub fn options(&self) -> &JobOptions {
                match self { Self::Load(load) => load.options(), $(Self::$task(task) => task.options(),)* }
            }

            /// The table that it writes, as `namespace.table`.
            #[must_use]
            pub fn table(&self) -> Option<String> {
                match self { Self::Load(load) => Some(load.target().to_string()), $(Self::$task(task) => task.table(),)* }
            }

            /// The fields that name a catalog, and the names; without a name the default one is meant.
            #[must_use]
            pub fn catalogs(&self) -> Vec<(Cow<'static, str>, Option<&str>)> {
                match self { Self::Load(load) => vec![("catalog".into(), load.target().catalog.as_deref())], $(Self::$task(task) => task.catalogs(),)* }
            }

            /// The request as it is shown: secrets are `***`.
            #[must_use]
            pub fn redacted(&self) -> Value {
                match self { Self::Load(load) => load.to_value(), $(Self::$task(task) => serde_json::to_value(task).unwrap_or_default(),)* }
            }

            /// What is wrong with names of the configuration (a connection, a folder), found without any I/O.
            #[must_use]
            pub fn check_names(&self, names: &Names<'_>) -> Vec<FieldError> {
                match self { Self::Load(load) => load.check_names(names), $(Self::$task(task) => task.check_names(names),)* }
            }

            /// The secrets among its fields.
            pub fn secrets(&mut self) -> Vec<&mut Secret> {
                match self { Self::Load(load) => load.secrets(), $(Self::$task(task) => task.secrets(),)* }
            }

            /// Does the job and gives the `result` of its document. Safe to run again after a crash at any point.
            ///
            /// # Errors
            /// The job's failure; its code says whether the queue tries again.
            pub async fn run(&self, ctx: &Ctx) -> Result<Value> {
                match self { Self::Load(load) => run_load(load, ctx).await, $(Self::$task(task) => task.run(ctx).await,)* }
            }
        }
    };
}

kinds! {
    UploadS3: "A file into a bucket.",
    MigrateTable: "A table into another one, proven.",
    MigrateBatch: "Many tables, each by a migration of its own.",
    VerifyTables: "Two sets of rows compared where they are.",
}

impl JobSpec {
    /// Where requests of a kind are sent, below `/api/v1`.
    #[must_use]
    pub fn path(kind: &str) -> String {
        match kind {
            "migrate.table" => "/migrate".to_owned(),
            "migrate.batch" => "/migrate/bulk".to_owned(),
            "scrape.html" => "/scrape".to_owned(),
            "scrape.api" => "/scrape-api".to_owned(),
            kind => format!("/{}", kind.replace('.', "/")),
        }
    }

    /// Tells whether two requests are the same, passwords included, without giving any of it away.
    #[must_use]
    pub fn digest(&mut self, sealer: &Sealer) -> String {
        let mut parts = vec![self.kind(), self.redacted().to_string()];
        parts.extend(self.secrets().iter().map(|secret| secret.expose().to_owned()));
        sealer.digest(serde_json::json!(parts).to_string().as_bytes())
    }

    /// The job that it becomes in the queue: made by `batch`, if it is a part of that.
    ///
    /// # Errors
    /// As [`JobSpec::seal`]; [`Code::InvalidIdentifier`] for a table in the namespace of the audit trail.
    pub fn into_job(self, id: JobId, sealer: &Sealer, batch: Option<JobId>) -> Result<NewJob> {
        let options = self.options().clone();
        if let Some(why) = self.table().as_deref().and_then(|table| reserved(table.split('.').next()?)) {
            return Err(Error::new(Code::InvalidIdentifier, why));
        }
        Ok(NewJob {
            id,
            kind: self.kind(),
            table: self.table(),
            spec: self.redacted(),
            payload: self.seal(sealer, &id.to_string())?,
            priority: options.priority,
            run_at: options.run_at,
            max_attempts: options.max_attempts,
            labels: options.labels,
            batch,
            idempotency: None,
        })
    }

    /// What the queue carries: the request with its secrets sealed for this job, and before it a stamp, so that nobody who
    /// can write to the queue can send a secret elsewhere or have the worker do what the API would not.
    ///
    /// # Errors
    /// [`Code::Internal`] if sealing fails.
    pub fn seal(mut self, sealer: &Sealer, job: &str) -> Result<String> {
        for secret in self.secrets() {
            sealer.seal(secret, job)?;
        }
        let payload = serde_json::json!({"version": PAYLOAD_VERSION, "kind": self.kind(), "request": self.redacted()});
        let payload = payload.to_string();
        Ok(format!("{} {payload}", sealer.stamp(&payload, job)?))
    }

    /// Reads what the queue carries, if it is what was sealed for this job, and opens its secrets.
    ///
    /// # Errors
    /// [`Code::UnreadablePayload`], [`Code::SecretUnreadable`].
    pub fn unseal(payload: &str, sealer: &Sealer, job: &str) -> Result<Self> {
        let unreadable =
            |why: String| Error::new(Code::UnreadablePayload, format!("the job's payload is unreadable: {why}"));
        let (stamp, payload) = payload.split_once(' ').ok_or_else(|| unreadable("it is not stamped".to_owned()))?;
        sealer.check_stamp(stamp, payload, job)?;
        let mut value: Value = serde_json::from_str(payload).map_err(|e| unreadable(e.to_string()))?;
        if value["version"] != PAYLOAD_VERSION {
            return Err(unreadable(format!("version {} is not known here", value["version"])));
        }
        let kind = value["kind"].as_str().unwrap_or_default().to_owned();
        let mut spec =
            Self::from_value(&kind, value["request"].take()).map_err(|e| unreadable(e.message().to_owned()))?;
        for secret in spec.secrets() {
            sealer.open_secret(secret, job)?;
        }
        Ok(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_that_was_changed_is_not_run() {
        let sealer = Sealer::from_hex(&"ab".repeat(32)).expect("key");
        let body = br#"{"host": "db.example.com", "database": "shop", "user": "reader", "password": "hunter2",
                        "table": "orders", "namespace": "raw", "table_name": "orders"}"#;
        let spec = JobSpec::from_body("load.postgres", body).expect("a request");
        let payload = spec.seal(&sealer, "job-1").expect("sealed");
        assert!(payload.contains("db.example.com") && !payload.contains("hunter2"), "{payload}");

        let refused = |payload: &str, job| JobSpec::unseal(payload, &sealer, job).err().map(|e| e.code());
        assert_eq!(refused(&payload, "job-1"), None);
        assert_eq!(refused(&payload, "job-2"), Some(Code::SecretUnreadable), "for another job");
        let elsewhere = payload.replace("db.example.com", "evil.example.com");
        assert_eq!(refused(&elsewhere, "job-1"), Some(Code::SecretUnreadable), "with another host");
        let (stamp, bare) = payload.split_once(' ').expect("a stamp");
        assert_eq!(refused(bare, "job-1"), Some(Code::UnreadablePayload), "without a stamp");
        let secret = bare.split('"').find(|text| text.starts_with("sealed:v1:")).expect("the sealed password");
        assert_eq!(
            refused(&format!("{secret} {bare}"), "job-1"),
            Some(Code::SecretUnreadable),
            "with a secret as stamp"
        );
        assert_eq!(refused(&format!("{stamp}  {bare}"), "job-1"), Some(Code::SecretUnreadable), "with a blank more");

        let mut spec = JobSpec::unseal(&payload, &sealer, "job-1").expect("the request");
        assert_eq!(spec.secrets()[0].expose(), "hunter2");
    }
}
