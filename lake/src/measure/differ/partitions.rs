//! In which partitions two sets of rows differ: all rows of both sides are parted in one way, whichever table they are of.
use std::{collections::BTreeMap, sync::Arc};

use arrow_array::RecordBatch;
use arrow_cast::cast;
use arrow_schema::{Schema, SchemaRef};
use iceberg::{
    arrow::schema_to_arrow_schema,
    spec::{PartitionSpecRef, Schema as TableSchema, SchemaRef as TableSchemaRef},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Pair;
use crate::{Fingerprint, Result, Table, Target, fingerprint::Hasher, measure::misfit, write::Partitions};

/// The most partitions of one side that are told apart.
const MOST: usize = 10_000;
/// The most that are shown.
const MOST_SHOWN: usize = 100;

/// A way to part rows: a table's, for rows of any place that have its partitions' columns.
pub struct Partitioning {
    text: String,
    spec: PartitionSpecRef,
    /// The columns from which partitions are worked out, as they are in the table.
    schema: TableSchemaRef,
    columns: SchemaRef,
}

impl Partitioning {
    /// That of a table; `None` if it has none, or one by members of columns.
    #[must_use]
    pub fn of_table(table: &Table) -> Option<Self> {
        let metadata = table.metadata();
        Self::new(table.partitioning()?, metadata.default_partition_spec(), metadata.current_schema())
    }

    /// That of the files that are written.
    #[must_use]
    pub fn of_target(target: &Target) -> Option<Self> {
        Self::new(target.partitioning()?, &target.plan.partition, &target.plan.schema)
    }

    fn new(text: String, spec: &PartitionSpecRef, schema: &TableSchema) -> Option<Self> {
        let by = |id| spec.fields().iter().any(|field| field.source_id == id);
        let fields: Vec<_> = schema.as_struct().fields().iter().filter(|field| by(field.id)).cloned().collect();
        let known = |id| fields.iter().any(|field| field.id == id);
        if !spec.fields().iter().all(|field| known(field.source_id)) {
            return None;
        }
        let schema = Arc::new(TableSchema::builder().with_fields(fields).build().ok()?);
        let columns = Arc::new(schema_to_arrow_schema(&schema).ok()?);
        Some(Self { text, spec: spec.clone(), schema, columns })
    }

    /// Whether rows of these columns can be parted.
    #[must_use]
    pub fn fits(&self, columns: &[String]) -> bool {
        self.columns.fields().iter().all(|field| columns.contains(field.name()))
    }
}

/// The partitions that differ.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct PartitionsDiffering {
    /// How the rows are parted: `PARTITION BY city, order_date MONTH`.
    pub by: String,
    /// How many partitions there are on either side.
    pub partitions: u64,
    /// How many of them differ.
    pub differing: u64,
    /// The first of these.
    pub first: Vec<PartitionDiffering>,
}

/// A partition that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartitionDiffering {
    /// Its name: `city=Oslo, order_date_month=2024-02`.
    pub partition: String,
    /// The number of its rows in the source.
    pub source_rows: u64,
    /// The number of its rows in the destination.
    pub destination_rows: u64,
    /// The fingerprint of its rows in the source; null for none.
    pub source_fingerprint: Option<String>,
    /// The same of the destination.
    pub destination_fingerprint: Option<String>,
}

/// The partitions of one side by their values, each with its name and the fingerprint of its rows.
#[derive(Default)]
pub(super) struct Parted {
    partitions: BTreeMap<String, (String, Fingerprint)>,
    /// There are more than are told apart: nothing can be said then.
    too_many: bool,
}

impl Parted {
    pub fn merge(&mut self, other: Self) -> Result<()> {
        self.too_many |= other.too_many;
        for (values, (name, more)) in other.partitions {
            match self.partitions.get_mut(&values) {
                Some((_, fingerprint)) => fingerprint.merge(&more)?,
                None => drop(self.partitions.insert(values, (name, more))),
            }
        }
        self.too_many |= self.partitions.len() > MOST;
        Ok(())
    }
}

/// Parts the rows of batches.
pub(super) struct Parter {
    partitions: Partitions,
    columns: SchemaRef,
    places: Vec<usize>,
    /// Of no rows.
    empty: Fingerprint,
    parted: Parted,
}

impl Parter {
    /// One for batches of a schema.
    pub fn new(partitioning: &Partitioning, schema: &SchemaRef) -> Result<Self> {
        let places = partitioning.columns.fields().iter().map(|field| schema.index_of(field.name()));
        Ok(Self {
            partitions: Partitions::new(&partitioning.spec, &partitioning.schema)?,
            columns: partitioning.columns.clone(),
            places: places.collect::<Result<_, _>>().map_err(misfit)?,
            empty: Hasher::new(schema, None)?.finish(),
            parted: Parted::default(),
        })
    }

    pub fn take(&mut self, batch: &RecordBatch, digests: &[Pair]) -> Result<()> {
        if self.parted.too_many || digests.is_empty() {
            return Ok(());
        }
        let columns = self.places.iter().zip(self.columns.fields());
        let columns = columns.map(|(place, field)| cast(batch.column(*place), field.data_type()));
        let columns = columns.collect::<Result<_, _>>().and_then(|columns| {
            let nullable = self.columns.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
            RecordBatch::try_new(Arc::new(Schema::new(nullable.collect::<Vec<_>>())), columns)
        });
        for group in self.partitions.groups(&columns.map_err(misfit)?)? {
            let entry = self.parted.partitions.entry(serde_json::Value::from(group.values).to_string());
            let (_, fingerprint) = entry.or_insert_with(|| {
                let names = group.names.iter().map(|(name, value)| format!("{name}={value}"));
                (names.collect::<Vec<_>>().join(", "), self.empty.clone())
            });
            for row in group.rows {
                fingerprint.count(&digests[row as usize].1);
            }
        }
        self.parted.too_many = self.parted.partitions.len() > MOST;
        Ok(())
    }

    pub fn finish(self) -> Parted {
        self.parted
    }
}

/// The partitions in which two sides differ; `None` if there are too many to tell them apart.
pub(super) fn compare(by: &Partitioning, here: &Parted, there: &Parted) -> Option<PartitionsDiffering> {
    if here.too_many || there.too_many {
        return None;
    }
    let mut all = PartitionsDiffering { by: by.text.clone(), ..PartitionsDiffering::default() };
    let only_there = there.partitions.keys().filter(|values| !here.partitions.contains_key(*values));
    for values in here.partitions.keys().chain(only_there) {
        all.partitions += 1;
        let sides = [here, there].map(|side| side.partitions.get(values));
        let [source, destination] = sides.map(|side| side.map(|(_, fingerprint)| fingerprint));
        if source == destination {
            continue;
        }
        all.differing += 1;
        if all.first.len() < MOST_SHOWN {
            all.first.push(PartitionDiffering {
                partition: sides.into_iter().flatten().map(|(name, _)| name.clone()).next().unwrap_or_default(),
                source_rows: source.map_or(0, Fingerprint::rows),
                destination_rows: destination.map_or(0, Fingerprint::rows),
                source_fingerprint: source.map(ToString::to_string),
                destination_fingerprint: destination.map(ToString::to_string),
            });
        }
    }
    Some(all)
}
