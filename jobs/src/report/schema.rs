//! Two tables' columns side by side.
use icehaul_lake::Column;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The columns and the partitioning of both sides.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SchemaCompared {
    /// Column by column, in the source's order, then those that only the destination has.
    pub columns: Vec<ColumnCompared>,
    /// The partitioning.
    pub partitioning: TextsCompared,
    /// The sort order.
    pub sort_order: TextsCompared,
    /// Properties of the source that the destination did not take over, because they mean something there only.
    pub properties_left_out: Vec<String>,
}

/// A column of both sides.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ColumnCompared {
    /// Its name.
    pub name: String,
    /// In the source; null if it is not there.
    pub source: Option<Column>,
    /// In the destination; null if it is not there.
    pub destination: Option<Column>,
    /// Whether name, type and nullability are the same.
    pub matches: bool,
    /// What differs, in words.
    pub differences: Vec<String>,
}

/// Something that both sides say in words.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct TextsCompared {
    /// The source's; null for none.
    pub source: Option<String>,
    /// The destination's; null for none.
    pub destination: Option<String>,
    /// Whether they are the same.
    pub matches: bool,
}

impl TextsCompared {
    /// Both texts.
    #[must_use]
    pub fn new(source: Option<String>, destination: Option<String>) -> Self {
        Self { matches: source == destination, source, destination }
    }
}

impl SchemaCompared {
    /// Whether all columns are the same.
    #[must_use]
    pub fn matches(&self) -> bool {
        self.columns.iter().all(|column| column.matches)
    }

    /// What differs, column by column.
    #[must_use]
    pub fn differences(&self) -> Vec<String> {
        let of = |column: &ColumnCompared| format!("column `{}` {}", column.name, column.differences.join(", "));
        self.columns.iter().filter(|column| !column.matches).map(of).collect()
    }
}

/// Compares columns by name.
#[must_use]
pub fn compare_schemas(source: &[Column], destination: &[Column]) -> Vec<ColumnCompared> {
    let only_there = destination.iter().filter(|there| source.iter().all(|here| here.name != there.name));
    let shared = source.iter().map(|here| (Some(here), destination.iter().find(|there| there.name == here.name)));
    shared.chain(only_there.map(|there| (None, Some(there)))).map(|(here, there)| compared(here, there)).collect()
}

fn compared(source: Option<&Column>, destination: Option<&Column>) -> ColumnCompared {
    let name = source.or(destination).map(|column| column.name.clone()).unwrap_or_default();
    let (mut differences, mut notes) = (Vec::new(), Vec::new());
    match (source, destination) {
        (Some(here), Some(there)) => {
            if here.sql_type != there.sql_type {
                differences
                    .push(format!("is {} in the source and {} in the destination", here.sql_type, there.sql_type));
            }
            if here.nullable != there.nullable {
                let word = |nullable| if nullable { "may be null" } else { "is required" };
                let (here, there) = (word(here.nullable), word(there.nullable));
                differences.push(format!("{here} in the source and {there} in the destination"));
            }
            if here.doc != there.doc {
                notes.push("has another comment".to_owned());
            }
        }
        (Some(_), None) => differences.push("is not in the destination".to_owned()),
        (None, _) => differences.push("is not in the source".to_owned()),
    }
    let matches = differences.is_empty();
    differences.extend(notes);
    ColumnCompared { name, source: source.cloned(), destination: destination.cloned(), matches, differences }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, sql_type: &str, nullable: bool) -> Column {
        Column { id: 1, name: name.into(), sql_type: sql_type.into(), nullable, doc: None }
    }

    #[test]
    fn every_difference_is_named() {
        let source =
            [column("id", "INT", false), column("price", "DECIMAL(12, 2)", true), column("gone", "DATE", true)];
        let there = [column("price", "DECIMAL(12, 3)", true), column("id", "INT", true), column("new", "DATE", true)];
        let schema = SchemaCompared { columns: compare_schemas(&source, &there), ..SchemaCompared::default() };
        assert_eq!(
            schema.differences(),
            [
                "column `id` is required in the source and may be null in the destination",
                "column `price` is DECIMAL(12, 2) in the source and DECIMAL(12, 3) in the destination",
                "column `gone` is not in the destination",
                "column `new` is not in the source",
            ]
        );
        assert!(compare_schemas(&source, &source).iter().all(|column| column.matches));
        let noted = Column { doc: Some("money".into()), ..column("id", "INT", false) };
        let columns = compare_schemas(&source[..1], &[noted]);
        assert_eq!((columns[0].matches, columns[0].differences.len()), (true, 1), "a comment is no value");
    }
}
