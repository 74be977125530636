//! One catalog with its warehouse, and the named set of them.
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use iceberg::{
    NamespaceIdent, Runtime, TableIdent,
    spec::{FormatVersion, TableMetadata},
};

use crate::{
    Carry, CatalogConfig, Change, Committed, CopiedFile, Error, Guard, Kind, Namespace, Result, Table, TableName,
    TableSpec, Target, WrittenFile,
    carry::Carried,
    catalog::{S3Access, SqlCatalog},
    commit,
    schema::Base,
    storage::{Storage, failed},
    write,
};

/// One catalog and its warehouse. Cheap to clone.
#[derive(Clone)]
pub struct Lake {
    pub(crate) catalog: Arc<SqlCatalog>,
    pub(crate) storage: Storage,
}

impl Lake {
    /// A lake for a catalog as configured. It connects, and makes the catalog's tables, when it is first used: a
    /// database that is away now does not keep a server from starting.
    ///
    /// # Errors
    /// [`crate::Kind::CatalogUnavailable`], [`crate::Kind::UnsupportedFeature`] or [`crate::Kind::InvalidIdentifier`] for a
    /// configuration that cannot work.
    pub async fn connect(name: &str, config: &CatalogConfig) -> Result<Self> {
        let (CatalogConfig::Sqlite { warehouse, s3, .. } | CatalogConfig::Postgres { warehouse, s3, .. }) = config;
        let catalog = Arc::new(SqlCatalog::new(name, config)?);
        let s3 = s3.as_ref().map(S3Access::resolve).transpose()?;
        Ok(Self { catalog, storage: Storage::new(warehouse, s3.as_ref())? })
    }

    /// Asks the catalog for an answer; for `/health`.
    ///
    /// # Errors
    /// [`crate::Kind::CatalogUnavailable`] or [`crate::Kind::StorageUnavailable`].
    pub async fn ping(&self) -> Result<()> {
        self.catalog.ping().await?;
        self.storage.ping().await
    }

    /// All namespaces, sorted, each with its number of tables.
    ///
    /// # Errors
    /// [`crate::Kind::CatalogUnavailable`].
    pub async fn namespaces(&self) -> Result<Vec<(String, u64)>> {
        self.catalog.namespaces().await
    }

    /// The bare names of a namespace's tables, sorted.
    ///
    /// # Errors
    /// [`crate::Kind::NamespaceNotFound`].
    pub async fn tables(&self, namespace: &Namespace) -> Result<Vec<String>> {
        self.catalog.tables(namespace).await
    }

    /// Loads a table as it is now.
    ///
    /// # Errors
    /// [`crate::Kind::TableNotFound`], [`crate::Kind::NamespaceNotFound`].
    pub async fn table(&self, name: &TableName) -> Result<Table> {
        match self.look(name).await? {
            Some(table) => Ok(table),
            None => Err(match self.catalog.has_namespace(name.namespace()).await? {
                true => Error::new(Kind::TableNotFound, format!("no table `{name}`")),
                false => Error::new(Kind::NamespaceNotFound, format!("no namespace `{}`", name.namespace())),
            }),
        }
    }

    /// Loads a table as it is now, if there is one of that name.
    ///
    /// # Errors
    /// [`crate::Kind::CatalogUnavailable`], [`crate::Kind::StorageUnavailable`].
    pub async fn look(&self, name: &TableName) -> Result<Option<Table>> {
        let Some(Base { location, metadata }) = self.load(name).await? else { return Ok(None) };
        let broken =
            |e: iceberg::Error| Error::new(Kind::Internal, format!("table `{name}` cannot be opened")).caused_by(e);
        let namespace = NamespaceIdent::new(name.namespace().as_str().to_owned());
        let table = iceberg::table::Table::builder()
            .file_io(self.storage.io().clone())
            .identifier(TableIdent::new(namespace, name.table().to_owned()))
            .metadata_location(location)
            .metadata(metadata)
            .runtime(Runtime::try_current().map_err(broken)?)
            .build();
        Ok(Some(Table::new(name.clone(), table.map_err(broken)?)))
    }

    /// Fits rows of a schema to a table, new or existing, without writing anything.
    ///
    /// # Errors
    /// [`crate::Kind::SchemaMismatch`], [`crate::Kind::InvalidPartition`], [`crate::Kind::UnsupportedFeature`].
    pub async fn prepare(&self, spec: TableSpec) -> Result<Target> {
        let base = self.load(&spec.name).await?;
        Target::new(self.storage.clone(), spec, base)
    }

    /// Publishes written files in one snapshot, exactly once for the guard's operation id.
    ///
    /// Await it to its end: dropped halfway it leaves files that no one reaches. Without files an append changes nothing,
    /// except that a new table is made, without a snapshot; an overwrite removes the rows that are there.
    ///
    /// # Errors
    /// [`crate::Kind::CommitConflict`], [`crate::Kind::CursorMoved`], [`crate::Kind::GuardRefused`] and the unavailables.
    /// After [`crate::Kind::CatalogUnavailable`] the files may be in the table, now or shortly: keep them and ask
    /// [`Table::committed`], or commit again.
    pub async fn commit(
        &self,
        target: &Target,
        files: Vec<WrittenFile>,
        change: Change,
        guard: &Guard,
    ) -> Result<Committed> {
        commit::commit(self, target, &files, change, guard, &Carried::default()).await
    }

    /// Publishes copied files as a new table, with the history that came along, exactly once for the guard's operation id.
    ///
    /// # Errors
    /// As `commit`; [`crate::Kind::TableExists`].
    pub async fn commit_carried(
        &self,
        target: &Target,
        carry: &Carry,
        copies: &[Option<CopiedFile>],
        guard: &Guard,
    ) -> Result<Committed> {
        commit::commit(self, target, &[], Change::Create, guard, &carry.carried(copies)).await
    }

    /// Deletes what lies under `prefix` (`<operation>/<attempt>`) among a table's data: the leavings of earlier attempts at
    /// an operation. The files that the operation published stay, and all do if that cannot be found out.
    pub async fn discard_prefix(&self, table: &TableName, prefix: &str) {
        let Ok(Some(base)) = self.load(table).await else { return };
        let operation = prefix.split('/').next().unwrap_or_default();
        let published = match commit::find(&base.metadata, operation) {
            Some(snapshot) => commit::added_paths(&snapshot, &base.metadata, self.storage.io()).await,
            None => Ok(HashSet::new()),
        };
        let Ok(published) = published else { return };
        let directory = format!("{}/{prefix}", write::data_location(&base.metadata));
        self.storage.remove_under(&directory, &published.iter().map(String::as_str).collect()).await;
    }

    /// Deletes what killed tries of an operation's commit have left among a table's metadata. To be called once the operation is
    /// in the table; what cannot be found out or deleted stays.
    pub async fn discard_tries(&self, table: &TableName, operation: &str) {
        let Ok(Some(base)) = self.load(table).await else { return };
        if let Err(error) = commit::remove_strays(&self.storage, &base, operation).await {
            tracing::warn!(%table, %error, "metadata files that belong to no table could not be looked for");
        }
    }

    /// The metadata of a table, if there is one of that name.
    pub(crate) async fn load(&self, name: &TableName) -> Result<Option<Base>> {
        let Some(location) = self.catalog.load(name).await? else { return Ok(None) };
        match TableMetadata::read_from(self.storage.io(), &location).await {
            Ok(metadata) => Ok(Some(Base { location, metadata: Arc::new(metadata) })),
            Err(cause) => Err(match self.newer_version(&location).await {
                Some(version) => {
                    let message = format!("table {name} has format version {version}, which is not known here");
                    Error::new(Kind::UnsupportedFeature, message).caused_by(cause)
                }
                None => failed("read", &location, cause),
            }),
        }
    }

    /// The format version of metadata that cannot be read, if it is a newer one than those that are known here.
    async fn newer_version(&self, location: &str) -> Option<u64> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        struct Versioned {
            format_version: u64,
        }
        let content = self.storage.io().new_input(location).ok()?.read().await.ok()?;
        let Versioned { format_version } = serde_json::from_slice(&content).ok()?;
        (format_version > FormatVersion::V3 as u64).then_some(format_version)
    }

    /// Deletes files that were written and will not be committed. Missing ones are no error.
    pub async fn discard(&self, files: &[WrittenFile]) {
        for file in files {
            self.storage.remove(file.path()).await;
        }
    }
}

/// The configured catalogs by name.
#[derive(Clone)]
pub struct Lakes {
    lakes: Arc<BTreeMap<String, Lake>>,
    default: String,
}

impl Lakes {
    /// A set of lakes of which `default` is meant when no catalog is named.
    #[must_use]
    pub fn new(lakes: BTreeMap<String, Lake>, default: String) -> Self {
        Self { lakes: Arc::new(lakes), default }
    }

    /// The named lake, or the default one.
    ///
    /// # Errors
    /// [`crate::Kind::CatalogNotFound`].
    pub fn get(&self, name: Option<&str>) -> Result<&Lake> {
        let name = name.unwrap_or(&self.default);
        self.lakes.get(name).ok_or_else(|| {
            crate::Error::new(crate::Kind::CatalogNotFound, format!("no catalog named `{name}` is configured"))
        })
    }

    /// All lakes by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Lake)> {
        self.lakes.iter().map(|(name, lake)| (name.as_str(), lake))
    }

    /// The name of the default lake.
    #[must_use]
    pub fn default_name(&self) -> &str {
        &self.default
    }
}
