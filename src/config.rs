//! The configuration: defaults, then the working directory's `icehaul.toml`, then `ICEHAUL_…` variables. Unknown keys are refused.
mod check;
mod fault;

use std::{
    collections::BTreeMap,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use figment::{
    Figment,
    providers::{Env, Format, Serialized, Toml},
};
use icehaul_api::{ApiConfig, TrinoConfig};
use icehaul_jobs::{
    REDACTED, Sealer, Secret,
    audit::AuditConfig,
    config::{Connections, FileRoots, Limits, ScrapeConfig},
    queue::QueueConfig,
};
use icehaul_lake::{CatalogConfig, Lake, Lakes};
use icehaul_worker::WorkerConfig;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The name of the catalog that is made when none is configured.
const EMBEDDED_CATALOG: &str = "default";

/// The file that is read if none is named and it is there.
const FILE: &str = "icehaul.toml";

/// Variables that begin like ours and are not configuration.
const NOT_CONFIGURATION: [&str; 5] = ["url", "config", "failpoints", "cache", "target"];

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Everything that can be configured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The file that was read.
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// Where `icehaul up` keeps its private Redis, catalog, warehouse and sealing key.
    pub data_dir: PathBuf,
    /// The queue's Redis. Without it `icehaul up` starts a private one.
    pub redis_url: Option<Secret>,
    /// The key that seals secrets: 64 hexadecimal digits, the same for all APIs and workers.
    pub secret_key: Option<Secret>,
    /// A file with that key; made on first start. Default: `<data-dir>/secret.key`.
    pub secret_key_file: Option<PathBuf>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which log lines are written, such as `info` or `icehaul=debug,warn`.
    pub log_level: String,
    /// The catalog that is meant when none is named.
    pub default_catalog: String,
    /// The catalogs by name.
    pub catalogs: BTreeMap<String, CatalogConfig>,
    /// The connections by name.
    pub connections: Connections,
    /// The folders below which requests may name files; with none, no file may be named.
    pub file_roots: FileRoots,
    /// The HTTP side.
    pub api: ApiConfig,
    /// The Trino cluster that queries may be sent to.
    pub trino: Option<TrinoConfig>,
    /// The running side.
    pub worker: WorkerConfig,
    /// The waiting side.
    pub queue: QueueConfig,
    /// Bounds of single jobs.
    pub limits: Limits,
    /// How sites are asked.
    pub scrape: ScrapeConfig,
    /// The audit trail.
    pub audit: AuditConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            file: None,
            data_dir: "icehaul-data".into(),
            redis_url: None,
            secret_key: None,
            secret_key_file: None,
            log_format: LogFormat::Text,
            log_level: "info".into(),
            default_catalog: EMBEDDED_CATALOG.into(),
            catalogs: BTreeMap::new(),
            connections: Connections::default(),
            file_roots: FileRoots::default(),
            api: ApiConfig::default(),
            trino: None,
            worker: WorkerConfig::default(),
            queue: QueueConfig::default(),
            limits: Limits::default(),
            scrape: ScrapeConfig::default(),
            audit: AuditConfig::default(),
        }
    }
}

impl Config {
    /// Reads the configuration from all its places.
    ///
    /// # Errors
    /// A sentence that names the key that is wrong.
    pub fn load(file: Option<&Path>, data_dir: Option<&Path>) -> Result<Self, String> {
        let mut figment = Figment::new();
        // Not `Toml::file`, which takes the file of any folder above too.
        let file = file.or_else(|| Some(Path::new(FILE)).filter(|file| file.is_file()));
        if let Some(path) = file {
            figment = figment.merge(Toml::file_exact(path));
        }
        figment = figment.merge(environment());
        if let Some(dir) = data_dir {
            figment = figment.merge(Serialized::default("data_dir", dir));
        }
        let mut config: Self = figment.extract().map_err(|e| wrong(&fault::sentences(e)))?;
        config.file = file.map(std::path::absolute).transpose().map_err(|e| format!("--config: {e}"))?;
        config.data_dir = std::path::absolute(&config.data_dir).map_err(|e| format!("data_dir: {e}"))?;
        config.file_roots.absolute().map_err(|e| format!("file_roots: {e}"))?;
        let faults = block_on(config.faults())?;
        if !faults.is_empty() {
            return Err(wrong(&faults));
        }
        if config.catalogs.is_empty() {
            let catalog = CatalogConfig::Sqlite {
                path: config.data_dir.join("catalog.db"),
                warehouse: config.data_dir.join("warehouse").display().to_string(),
                catalog_name: None,
                s3: None,
            };
            config.catalogs.insert(config.default_catalog.clone(), catalog);
        }
        Ok(config)
    }

    /// The configuration as it may be shown.
    pub fn redacted(&self) -> Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        // Of a URL only the credentials are secret.
        if let Some(url) = &self.redis_url {
            value["redis_url"] = url.expose().into();
        }
        redact_urls(&mut value);
        value
    }

    /// The key for secrets, made on first use.
    ///
    /// # Errors
    /// If it is no key, or its file cannot be read or made.
    pub fn sealer(&self) -> Result<Sealer, String> {
        let sealer = match (&self.secret_key, &self.secret_key_file) {
            (Some(key), _) => Sealer::from_hex(key.expose()),
            (None, Some(file)) => Sealer::open(file),
            (None, None) => self.make_data_dir().and_then(|()| Sealer::open(&self.data_dir.join("secret.key"))),
        };
        sealer.map_err(|e| e.to_string())
    }

    /// Connects to all catalogs.
    ///
    /// # Errors
    /// If one of them is configured wrongly; one that is only away heals later.
    pub async fn lakes(&self) -> Result<Lakes, String> {
        let mut lakes = BTreeMap::new();
        for (name, config) in &self.catalogs {
            let lake = Lake::connect(name, config).await.map_err(|e| format!("catalog `{name}`: {e}"))?;
            lakes.insert(name.clone(), lake);
        }
        Ok(Lakes::new(lakes, self.default_catalog.clone()))
    }

    fn make_data_dir(&self) -> icehaul_jobs::Result<()> {
        make_private_dir(&self.data_dir).map_err(|e| {
            icehaul_jobs::Error::new(
                icehaul_jobs::Code::StorageUnavailable,
                format!("cannot make the data directory {}: {e}", self.data_dir.display()),
            )
        })
    }
}

/// Runs what asks nobody and so never waits.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| format!("cannot start: {e}"))?;
    Ok(runtime.block_on(work))
}

fn wrong(faults: &[String]) -> String {
    match faults {
        [one] => format!("the configuration is wrong: {one}"),
        several => format!("the configuration is wrong:\n  {}", several.join("\n  ")),
    }
}

/// Makes a folder that only its owner can enter; one that is there stays as it is.
pub fn make_private_dir(path: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn environment() -> Env {
    Env::prefixed("ICEHAUL_")
        .filter(|key| {
            let key = key.as_str().to_ascii_lowercase();
            !NOT_CONFIGURATION.contains(&key.as_str()) && !key.starts_with("test_") && !key.starts_with("bench_")
        })
        .split("__")
}

/// Blanks the credentials of every URL among the strings.
fn redact_urls(value: &mut Value) {
    match value {
        Value::String(text) if text.contains("://") => {
            // A password can also be a parameter.
            let (mut head, mut parameters) = match text.split_once('?') {
                Some((head, parameters)) => (head.to_owned(), format!("?{parameters}")),
                None => (text.clone(), String::new()),
            };
            if let Some((scheme, rest)) = head.split_once("://")
                && let Some((_, host)) = rest.rsplit_once('@')
            {
                head = format!("{scheme}://{REDACTED}@{host}");
            }
            let lower = parameters.to_ascii_lowercase();
            if ["pass", "secret", "key", "token", "@"].iter().any(|word| lower.contains(word)) {
                parameters = format!("?{REDACTED}");
            }
            *text = head + &parameters;
        }
        Value::Array(items) => items.iter_mut().for_each(redact_urls),
        Value::Object(fields) => fields.values_mut().for_each(redact_urls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_urls_are_blanked() {
        let mut value = serde_json::json!({"uri": "postgres://u:p@db/x", "socket": "redis+unix:///run/r?pass=p&db=1"});
        redact_urls(&mut value);
        assert_eq!(value["uri"], "postgres://***@db/x");
        assert_eq!(value["socket"], "redis+unix:///run/r?***");
        let mut odd = serde_json::json!("postgres://h/db?x=y@hunter2");
        redact_urls(&mut odd);
        assert_eq!(odd, "postgres://h/db?***");
        let config = Config { redis_url: Some(Secret::new("redis://u:hunter2@queue:6379/1")), ..Config::default() };
        assert_eq!(config.redacted()["redis_url"], "redis://***@queue:6379/1");
    }

    /// What is said of a configuration file.
    fn said(text: &str) -> String {
        let file = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(file.path(), text).expect("written");
        Config::load(Some(file.path()), None).err().unwrap_or_default()
    }

    fn on_s3(warehouse: &str, section: &str) -> String {
        let catalog = format!("[catalogs.default]\nkind = \"sqlite\"\npath = \"a\"\nwarehouse = \"{warehouse}\"");
        format!("{catalog}\n[catalogs.default.s3]\n{section}")
    }

    #[test]
    fn the_keys_of_a_warehouse_are_not_shown() {
        let text = on_s3("s3://bucket/wh", "access_key = \"AKIDEXAMPLE\"\nsecret_key = \"wJalrXUtn\"");
        assert_eq!(said(&text), "");
        let config: Config = Figment::new().merge(Toml::string(&text)).extract().expect("configuration");
        let shown = format!("{} {config:?}", config.redacted());
        assert!(shown.contains("s3://bucket/wh") && shown.contains(REDACTED), "{shown}");
        assert!(!shown.contains("AKID") && !shown.contains("wJal"), "{shown}");
    }

    #[test]
    fn what_cannot_work_is_refused_by_its_key() {
        assert_eq!(said("log_level = \"icehaul=debug,warn\"\n[queue]\nlease_seconds = 0.5"), "");
        for (text, says) in [
            ("[worker]\nslots = 0", "worker.slots: must be from 1"),
            ("log_level = \"loud\"", "log_level: `loud` must be one of off, error"),
            ("[queue]\nlease_seconds = -1", "queue.lease_seconds: must be more than 0"),
            ("redis_url = \"bogus\"", "redis_url: the Redis URL is not understood"),
            ("[limits]\nparallelism = 0", "limits.parallelism: must be from 1 to 16"),
            ("secret_key = \"short\"", "secret_key: the sealing key must be 64"),
            ("nonsense = 1", "nonsense: this key is not known here"),
            ("[worker]\nslotz = 1", "worker.slotz: this key is not known here"),
            ("[worker]\nslots = \"many\"", "worker.slots: must be a positive whole number"),
            ("[catalogs]\nlake = 5", "catalogs.lake: must be a table of keys"),
            ("[catalogs.lake]\npath = \"a\"", "catalogs.lake.kind: this key is missing"),
            ("[connections.shop]\nkind = \"oracle\"", "connections.shop"),
            ("[catalogs.lake]\nkind = \"sqlite\"\npath = \"a\"\nwarehouse = \"b\"", "`default_catalog = \"lake\"`"),
            ("[api]\nbind = \"nowhere\"", "api.bind"),
            ("[trino]\nurl = \"trino:8080\"\nuser = \"x\"", "trino.url: must be such as"),
            ("[trino]\nurl = \"http://trino:8080\"", "trino.user: this key is missing"),
            (&on_s3("gs://bucket/wh", ""), "`gs://` are not supported"),
            (&on_s3("s3://bucket/wh", ""), "catalogs.default: a warehouse on S3 needs"),
            (&on_s3("s3://bucket/wh", "access_key = \"a\""), "belong together"),
            (&on_s3("s3://bucket/wh", "access_key = 5"), "catalogs.default: `access_key` and `secret_key` must be"),
            (&on_s3("s3://bucket/wh", "bucket = \"b\""), "bucket: this key is not known here; known are `endpoint`"),
            (&on_s3("s3://bucket/wh", "endpoint = \"host:9000\""), "the endpoint must be like"),
            (&on_s3("s3://bucket/wh", "access_key = { env = \"NO_SUCH_KEY\" }"), "NO_SUCH_KEY is not set"),
        ] {
            let found = said(text);
            assert!(found.contains(says), "{text}: {found}");
            assert!(!found.contains("for key") && !found.contains("enum"), "{text}: {found}");
        }
        let both = said("log_level = \"loud\"\n[worker]\nslots = 0");
        assert!(both.contains("log_level") && both.contains("worker.slots"), "{both}");
        assert_eq!(said("[api]\nbind = \"localhost:8080\""), "");
    }
}
