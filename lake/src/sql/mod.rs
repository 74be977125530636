//! Embedded read-only SQL over the lakes (`DataFusion`); tables are resolved when a query names them.
//!
//! Names are matched as they are written first; an unquoted one that matches nothing so may differ in case. A table is
//! read at an earlier state with `FOR VERSION AS OF <snapshot id>` or `FOR TIMESTAMP AS OF '<time>'` behind its name.
mod bounds;
mod case;
mod engine;
mod error;
mod foreign;
mod functions;
mod provider;
mod pushdown;
mod statement;
mod transform;
mod travel;

use std::{collections::BTreeMap, sync::Arc, thread::available_parallelism, time::Duration};

use arrow_array::{RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use datafusion::{
    catalog::{
        CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider,
        SchemaProvider,
    },
    common::TableReference,
    execution::{
        SessionStateBuilder,
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        memory_pool::GreedyMemoryPool,
        runtime_env::RuntimeEnvBuilder,
    },
    logical_expr::registry::FunctionRegistry,
    physical_plan::execute_stream,
    prelude::{SQLOptions, SessionConfig, SessionContext},
};
use futures::StreamExt;

use crate::{Batches, Error, Kind, Lakes, Namespace, Result, TableName};
use provider::LakeTable;
use statement::Parsed;
use travel::Pinned;

pub use foreign::read_only;
pub use statement::{check_expression, check_type};
pub use transform::{SOURCE, check_transform, transform};

/// What the operators of one query may hold together, in bytes.
const MEMORY_BYTES: usize = 256 << 20;

/// Rows per batch: few, because what is made of a batch lies beside that memory.
const BATCH_ROWS: usize = 2048;

/// Runs one read-only statement. Tables are `namespace.table` of the default catalog or `catalog.namespace.table`.
/// The time allowed covers the wait for other queries, planning and the reading of the result.
///
/// # Errors
/// [`crate::Kind::InvalidQuery`], [`crate::Kind::QueryNotAllowed`], [`crate::Kind::TableNotFound`],
/// [`crate::Kind::QueryTimeout`], [`crate::Kind::QueryBusy`].
pub async fn query(lakes: &Lakes, sql: &str, timeout: Duration) -> Result<Batches> {
    let (lakes, sql) = (lakes.clone(), sql.to_owned());
    engine::run(async move { start(&lakes, &sql).await }, timeout).await
}

async fn start(lakes: &Lakes, sql: &str) -> Result<Batches> {
    let mut statement = match statement::parse(sql)? {
        Parsed::ShowTables => return show_tables(lakes).await,
        Parsed::Query(statement) => statement,
    };
    let mut tables = BTreeMap::new();
    for reference in statement.tables()? {
        let table = open(lakes, &reference).await?;
        tables.insert(reference, table);
    }
    statement.mend_case(&tables);
    let context = session(lakes.default_name(), &tables)?;
    let run = async {
        let plan = context.state().statement_to_plan(statement.into_inner()).await?;
        let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        options.verify_plan(&plan).map_err(|cause| {
            let message = format!("only queries are allowed: {}", cause.strip_backtrace());
            datafusion::error::DataFusionError::External(Box::new(Error::new(Kind::QueryNotAllowed, message)))
        })?;
        let plan = context.execute_logical_plan(plan).await?.create_physical_plan().await?;
        execute_stream(plan, context.task_ctx())
    };
    let stream = run.await.map_err(error::ours)?;
    Ok(Batches { schema: stream.schema(), stream: stream.map(|batch| batch.map_err(error::ours)).boxed() })
}

/// A session that knows the given tables and nothing else: no files, no settings, bounded memory and no disk.
fn session(default: &str, tables: &BTreeMap<TableReference, LakeTable>) -> Result<SessionContext> {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(default, "default")
        .with_create_default_catalog_and_schema(false)
        .with_batch_size(BATCH_ROWS)
        .with_target_partitions(available_parallelism().map_or(1, std::num::NonZero::get));
    config.options_mut().sql_parser.enable_ident_normalization = false;
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(MEMORY_BYTES)))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
        .build_arc()
        .map_err(error::ours)?;
    let catalogs = MemoryCatalogProviderList::new();
    for (reference, table) in tables {
        let (catalog, schema) = (reference.catalog().unwrap_or(default), reference.schema().unwrap_or_default());
        let catalog = catalogs.catalog(catalog).unwrap_or_else(|| {
            let made: Arc<dyn CatalogProvider> = Arc::new(MemoryCatalogProvider::new());
            catalogs.register_catalog(catalog.to_owned(), made.clone());
            made
        });
        let schema = match catalog.schema(schema) {
            Some(schema) => schema,
            None => {
                let made: Arc<dyn SchemaProvider> = Arc::new(MemorySchemaProvider::new());
                catalog.register_schema(schema, made.clone()).map_err(error::ours)?;
                made
            }
        };
        schema.register_table(reference.table().to_owned(), Arc::new(table.clone())).map_err(error::ours)?;
    }
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_catalog_list(Arc::new(catalogs))
        .with_default_features()
        .with_scalar_functions(functions::offered())
        .build();
    state.register_function_rewrite(Arc::new(functions::Bounds::default())).map_err(error::ours)?;
    Ok(SessionContext::new_with_state(state))
}

/// Loads the table that a reference means.
async fn open(lakes: &Lakes, reference: &TableReference) -> Result<LakeTable> {
    let Some(namespace) = reference.schema() else {
        return Err(not_found(reference, ": write it as namespace.table"));
    };
    let lake = lakes.get(reference.catalog())?;
    let Pinned { table, at } = Pinned::parse(reference.table())?;
    let mut spellings = vec![(namespace.to_owned(), table.clone())];
    spellings.push((namespace.to_lowercase(), table.to_lowercase()));
    spellings.dedup();
    for (namespace, table) in spellings {
        // A name that no table can have is not there either.
        let Ok(name) = TableName::new(&namespace, &table) else { continue };
        match lake.table(&name).await {
            Ok(table) => return LakeTable::new(table, at),
            Err(error) if matches!(error.kind(), Kind::TableNotFound | Kind::NamespaceNotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Err(not_found(reference, ""))
}

fn not_found(reference: &TableReference, advice: &str) -> Error {
    Error::new(Kind::TableNotFound, format!("there is no table `{reference}`{advice}"))
}

/// All tables of all catalogs.
async fn show_tables(lakes: &Lakes) -> Result<Batches> {
    let (mut catalogs, mut namespaces, mut tables) = (Vec::new(), Vec::new(), Vec::new());
    for (catalog, lake) in lakes.iter() {
        for (namespace, _) in lake.namespaces().await? {
            for table in lake.tables(&Namespace::new(&namespace)?).await? {
                catalogs.push(catalog.to_owned());
                namespaces.push(namespace.clone());
                tables.push(table);
            }
        }
    }
    let fields = ["catalog", "namespace", "table"].map(|name| Field::new(name, DataType::Utf8, false));
    let schema = Arc::new(Schema::new(fields.to_vec()));
    let columns = [catalogs, namespaces, tables].map(|column| Arc::new(StringArray::from(column)) as _);
    let batch = RecordBatch::try_new(schema.clone(), columns.to_vec());
    let batch = batch.map_err(|cause| Error::new(Kind::Internal, "the list of tables is uneven").caused_by(cause));
    Ok(Batches { schema, stream: futures::stream::once(async { batch }).boxed() })
}
