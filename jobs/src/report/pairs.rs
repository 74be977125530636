//! Rows that differ, each beside the one that it was or became.
use icehaul_lake::measure::{Differences, DifferingRow, PartitionsDiffering};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Among so many differing rows those are looked for that belong together.
pub const PAIRED: usize = 200;

/// So many values of a row are told in a sentence.
const TOLD: usize = 8;

/// The rows that differ.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct RowsDiffering {
    /// The columns, in the order of the values.
    pub columns: Vec<String>,
    /// Into how many buckets the rows fell by their digests.
    pub buckets: u64,
    /// How many of the buckets differ.
    pub differing_buckets: u64,
    /// In how many of these the rows were compared one by one.
    pub examined_buckets: u64,
    /// How many different rows are not equally often on both sides, in the examined buckets: a row that was changed is two of
    /// them, as it was and as it is.
    pub differing_rows: u64,
    /// Whether all differing rows are shown below.
    pub complete: bool,
    /// The first differing rows.
    pub pairs: Vec<RowPair>,
    /// The partitions in which the sides differ; null if neither side is partitioned by columns that were compared, or there are
    /// more than 10,000 partitions.
    #[serde(default)]
    pub partitions: Option<PartitionsDiffering>,
}

/// A row of either side, or one of each that seem to be the same.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RowPair {
    /// Missing in the destination, or there less often.
    pub source: Option<DifferingRow>,
    /// Missing in the source, or there less often.
    pub destination: Option<DifferingRow>,
    /// The columns in which the two differ.
    pub columns: Vec<String>,
}

impl RowsDiffering {
    /// Puts the rows of both sides beside each other: those of one key, else those with the most equal values; of these pairs,
    /// and rows without a partner, it keeps the first.
    #[must_use]
    pub fn of(columns: &[String], found: Differences, most: usize) -> Self {
        let (here, there): (Vec<_>, Vec<_>) =
            found.rows.into_iter().partition(|row| row.source_count > row.destination_count);
        let known = (here.len() + there.len()) as u64;
        let mut pairs = paired(columns, here, there);
        pairs.sort_by_key(|pair| pair.source.is_none() || pair.destination.is_none());
        let all = found.differing_buckets == found.examined_buckets && found.differing_rows == known;
        let complete = all && pairs.len() <= most;
        pairs.truncate(most);
        Self {
            complete,
            pairs,
            columns: columns.to_vec(),
            buckets: found.buckets,
            differing_buckets: found.differing_buckets,
            examined_buckets: found.examined_buckets,
            differing_rows: found.differing_rows,
            partitions: found.partitions,
        }
    }

    /// Where the differences are, and the first differing row, in a sentence each.
    pub fn told(&self) -> impl Iterator<Item = String> {
        self.partition().into_iter().chain(self.first())
    }

    fn partition(&self) -> Option<String> {
        let partitions = self.partitions.as_ref()?;
        let first = partitions.first.first()?;
        Some(format!(
            "{} of {} partitions differ, the first is `{}` ({} rows in the source, {} in the destination)",
            partitions.differing, partitions.partitions, first.partition, first.source_rows, first.destination_rows
        ))
    }

    fn first(&self) -> Option<String> {
        let pair = self.pairs.first()?;
        let side = |row: &Option<DifferingRow>, name: &str| {
            let row = row.as_ref()?;
            let values =
                row.values.iter().map(|value| value.as_deref().map_or("null".to_owned(), |text| format!("`{text}`")));
            let more = row.values.len().saturating_sub(TOLD);
            let more = (more > 0).then(|| format!("… and {more} more"));
            let values = values.take(TOLD).chain(more).collect::<Vec<_>>().join(", ");
            let (here, there) = (row.source_count, row.destination_count);
            Some(format!("({values}), which the {name} has ({here} in the source, {there} in the destination)"))
        };
        let sides = [side(&pair.source, "source"), side(&pair.destination, "destination")];
        let mut text =
            format!("first differing row: {}", sides.into_iter().flatten().collect::<Vec<_>>().join(" beside "));
        if !pair.columns.is_empty() {
            text.push_str(&format!("; they differ in `{}`", pair.columns.join("`, `")));
        }
        Some(text)
    }
}

fn paired(columns: &[String], here: Vec<DifferingRow>, mut there: Vec<DifferingRow>) -> Vec<RowPair> {
    let mut pairs = Vec::new();
    for row in here {
        let best = there.iter().enumerate().map(|(place, other)| (likeness(&row, other), place));
        let best = best.max_by_key(|(likeness, place)| (*likeness, usize::MAX - place));
        // Less than half of the values in common is chance.
        let other = best
            .filter(|(likeness, _)| *likeness >= row.values.len().div_ceil(2))
            .map(|(_, place)| there.remove(place));
        let columns = other.as_ref().map(|other| parted(columns, &row, other)).unwrap_or_default();
        pairs.push(RowPair { source: Some(row), destination: other, columns });
    }
    let left = there.into_iter().map(|row| RowPair { source: None, destination: Some(row), columns: Vec::new() });
    pairs.extend(left);
    pairs
}

/// How much two rows have in common; nothing if their keys differ.
fn likeness(a: &DifferingRow, b: &DifferingRow) -> usize {
    match (&a.key_digest, &b.key_digest) {
        (Some(a), Some(b)) => usize::from(a == b) * usize::MAX,
        _ => a.values.iter().zip(&b.values).filter(|(a, b)| a == b).count(),
    }
}

fn parted(columns: &[String], a: &DifferingRow, b: &DifferingRow) -> Vec<String> {
    let differing = columns.iter().zip(a.values.iter().zip(&b.values)).filter(|(_, (a, b))| a != b);
    differing.map(|(name, _)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(counts: (u64, u64), values: &[Option<&str>]) -> DifferingRow {
        DifferingRow {
            digest: format!("{values:?}"),
            key_digest: None,
            source_count: counts.0,
            destination_count: counts.1,
            values: values.iter().map(|value| value.map(str::to_owned)).collect(),
        }
    }

    #[test]
    fn rows_are_put_beside_what_they_became() {
        let columns = ["id", "name", "city"].map(str::to_owned);
        let rows = vec![
            row((1, 0), &[Some("1"), Some("a"), Some("x")]),
            row((0, 1), &[Some("2"), Some(""), Some("y")]),
            row((1, 0), &[Some("2"), None, Some("y")]),
            row((0, 1), &[Some("1"), Some("b"), Some("x")]),
            row((1, 2), &[Some("9"), Some("q"), Some("z")]),
        ];
        let found = Differences { differing_rows: 5, rows, ..Differences::default() };
        let told = RowsDiffering::of(&columns, found, 10);
        let pairs: Vec<_> = told
            .pairs
            .iter()
            .map(|pair| (pair.source.is_some(), pair.destination.is_some(), pair.columns.join(",")))
            .collect();
        assert_eq!(pairs, [(true, true, "name".into()), (true, true, "name".into()), (false, true, String::new())]);
        assert!(told.complete);
        let first = told.first().expect("a row");
        assert!(first.contains("`a`") && first.contains("`b`") && first.contains("differ in `name`"), "{first}");
    }
}
