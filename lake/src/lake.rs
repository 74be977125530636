//! One catalog with its warehouse, and the named set of them.
use std::{collections::BTreeMap, sync::Arc};

use crate::{
    CatalogConfig, Change, Committed, Guard, Namespace, Result, Table, TableName, TableSpec, Target, WrittenFile,
};

/// One catalog and its warehouse. Cheap to clone.
#[derive(Clone)]
pub struct Lake {}

impl Lake {
    /// Connects to a catalog, creating its tables if they are missing.
    ///
    /// # Errors
    /// [`crate::Kind::CatalogUnavailable`], [`crate::Kind::StorageUnavailable`].
    pub async fn connect(_name: &str, _config: &CatalogConfig) -> Result<Self> {
        unimplemented!()
    }

    /// Asks the catalog for an answer; for `/health`.
    ///
    /// # Errors
    /// [`crate::Kind::CatalogUnavailable`] or [`crate::Kind::StorageUnavailable`].
    pub async fn ping(&self) -> Result<()> {
        unimplemented!()
    }

    /// All namespaces, sorted, each with its number of tables.
    ///
    /// # Errors
    /// [`crate::Kind::CatalogUnavailable`].
    pub async fn namespaces(&self) -> Result<Vec<(String, u64)>> {
        unimplemented!()
    }

    /// The bare names of a namespace's tables, sorted.
    ///
    /// # Errors
    /// [`crate::Kind::NamespaceNotFound`].
    pub async fn tables(&self, _namespace: &Namespace) -> Result<Vec<String>> {
        unimplemented!()
    }

    /// Loads a table as it is now.
    ///
    /// # Errors
    /// [`crate::Kind::TableNotFound`], [`crate::Kind::NamespaceNotFound`].
    pub async fn table(&self, _name: &TableName) -> Result<Table> {
        unimplemented!()
    }

    /// Fits rows of a schema to a table, new or existing, without writing anything.
    ///
    /// # Errors
    /// [`crate::Kind::SchemaMismatch`], [`crate::Kind::InvalidPartition`], [`crate::Kind::UnsupportedFeature`].
    pub async fn prepare(&self, _spec: TableSpec) -> Result<Target> {
        unimplemented!()
    }

    /// Publishes written files in one snapshot, exactly once for the guard's operation id.
    ///
    /// # Errors
    /// [`crate::Kind::CommitConflict`], [`crate::Kind::CursorMoved`], [`crate::Kind::GuardRefused`] and the unavailables.
    pub async fn commit(
        &self,
        _target: &Target,
        _files: Vec<WrittenFile>,
        _change: Change,
        _guard: &Guard,
    ) -> Result<Committed> {
        unimplemented!()
    }

    /// The snapshot that an operation has committed to a table, if it has.
    ///
    /// # Errors
    /// [`crate::Kind::CatalogUnavailable`].
    pub async fn committed(&self, _table: &TableName, _operation: &str) -> Result<Option<Committed>> {
        unimplemented!()
    }

    /// The committed incremental cursor of a table's column; `None` if there is none or no such table.
    ///
    /// # Errors
    /// [`crate::Kind::CatalogUnavailable`].
    pub async fn cursor(&self, _table: &TableName, _column: &str) -> Result<Option<String>> {
        unimplemented!()
    }

    /// Deletes everything written to a table's data under a prefix. Nothing there is no error.
    pub async fn discard_prefix(&self, _table: &TableName, _prefix: &str) {
        unimplemented!()
    }

    /// Deletes files that were written and will not be committed. Missing ones are no error.
    pub async fn discard(&self, _files: &[WrittenFile]) {
        unimplemented!()
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
