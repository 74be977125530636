//! Two measures side by side.
use std::collections::BTreeMap;

use icehaul_lake::measure::{ColumnFigures, Measured, SampledRow};

use super::{FiguresCompared, Fingerprints, RowCompared, SampleCompared, counted};

/// How the sampled rows are drawn.
const METHOD: &str = "the rows with the smallest SHA-256, on either side: drawn from all rows without favour, and the same \
                      ones wherever the same rows are";

/// What came of comparing two measures.
pub struct Comparison {
    /// The fingerprints.
    pub fingerprints: Fingerprints,
    /// The figures.
    pub columns: Vec<FiguresCompared>,
    /// The sampled rows.
    pub sample: SampleCompared,
    /// The rows of both sides.
    pub rows: (u64, u64),
}

impl Comparison {
    /// Compares the measures of the same columns.
    #[must_use]
    pub fn of(columns: &[String], source: &Measured, destination: &Measured) -> Self {
        let pairs = source.columns().into_iter().zip(destination.columns());
        let figures = pairs.map(|(source, destination)| FiguresCompared {
            column: source.column.clone(),
            matches: Some(source == destination),
            source,
            destination: Some(destination),
        });
        Self {
            fingerprints: Fingerprints {
                algorithm: "icehaul-fp-1".into(),
                columns: columns.to_vec(),
                source: Some(source.fingerprint().to_string()),
                destination: Some(destination.fingerprint().to_string()),
            },
            columns: figures.collect(),
            sample: sampled(columns, source.sample(), destination.sample()),
            rows: (source.fingerprint().rows(), destination.fingerprint().rows()),
        }
    }

    /// Whether the fingerprints are equal.
    #[must_use]
    pub fn checksum_matches(&self) -> bool {
        self.fingerprints.source == self.fingerprints.destination
    }

    /// Whether all figures are equal.
    #[must_use]
    pub fn figures_match(&self) -> bool {
        self.columns.iter().all(|column| column.matches != Some(false))
    }

    /// Whether all sampled rows are equal; `None` if there are none.
    #[must_use]
    pub fn sample_matches(&self) -> Option<bool> {
        (!self.sample.rows.is_empty()).then(|| self.sample.rows.iter().all(|row| row.matches))
    }

    /// Whether everything is equal.
    #[must_use]
    pub fn matches(&self) -> bool {
        let (source, destination) = self.rows;
        source == destination && self.checksum_matches() && self.figures_match() && self.sample_matches() != Some(false)
    }

    /// What differs, in words.
    #[must_use]
    pub fn differences(&self) -> Vec<String> {
        let mut all = Vec::new();
        if self.rows.0 != self.rows.1 {
            all.push(format!("{} in the source, {} in the destination", counted(self.rows.0, "row"), self.rows.1));
        }
        if !self.checksum_matches() {
            all.push("the fingerprints differ".to_owned());
        }
        for column in self.columns.iter().filter(|column| column.matches == Some(false)) {
            if let Some(there) = &column.destination {
                all.push(format!("column `{}` has {}", column.column, parted(&column.source, there)));
            }
        }
        all
    }
}

/// The figures in which two columns differ.
fn parted(source: &ColumnFigures, destination: &ColumnFigures) -> String {
    let number = |n: u64| Some(n.to_string());
    let figures = [
        ("numbers of values", number(source.values), number(destination.values)),
        ("numbers of nulls", number(source.nulls), number(destination.nulls)),
        ("numbers of NaNs", source.nans.and_then(number), destination.nans.and_then(number)),
        ("least value", source.min.clone(), destination.min.clone()),
        ("greatest value", source.max.clone(), destination.max.clone()),
        ("sum", source.sum.clone(), destination.sum.clone()),
    ];
    let show = |text: &Option<String>| text.as_ref().map_or_else(|| "none".to_owned(), |text| format!("`{text}`"));
    let told = figures.iter().filter(|(_, here, there)| here != there);
    let told = told.map(|(what, here, there)| format!("other {what}: {} and {}", show(here), show(there)));
    told.collect::<Vec<_>>().join(", ")
}

/// The rows that were drawn on either side, beside each other.
fn sampled(columns: &[String], source: Vec<SampledRow>, destination: Vec<SampledRow>) -> SampleCompared {
    let mut rows: BTreeMap<String, RowCompared> = BTreeMap::new();
    let empty = || RowCompared { source: None, destination: None, matches: false };
    for row in source {
        let digest = row.digest.clone();
        rows.entry(digest).or_insert_with(empty).source = Some(row);
    }
    for row in destination {
        let digest = row.digest.clone();
        rows.entry(digest).or_insert_with(empty).destination = Some(row);
    }
    let compared = rows.into_values().map(|row| RowCompared { matches: row.source == row.destination, ..row });
    SampleCompared { method: METHOD.into(), columns: columns.to_vec(), rows: compared.collect() }
}
