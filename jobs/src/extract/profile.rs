//! A column's type, decided by the cells of all pages, and its cells as values of that type.
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, StringArray, new_null_array};
use arrow_schema::{DataType, Field};

use super::{
    Column, Extraction, Limits, Note, Sorts,
    json::{self, Shape},
    numbers::{Cleaning, Survey},
};
use crate::transform::infer::{self, Guess, Kind};

/// What is known of a column after a look at its cells.
#[derive(Clone, Debug)]
pub struct Profile {
    infer: bool,
    sorts: Sorts,
    /// Of cells that may be anything.
    survey: Survey,
    /// Of cells of which their source says what they are.
    told: Guess,
    shape: Option<Shape>,
}

/// Types that a column shall have.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// The request's, which wins.
    pub given: Option<Kind>,
    /// The table's, which is taken if every cell has it.
    pub table: Option<&'a Field>,
}

/// A column's type, and the way to it.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The column.
    pub field: Field,
    /// What was taken off, and why what looks like another type is text.
    pub notes: Vec<Note>,
    making: Making,
}

#[derive(Clone, Debug)]
enum Making {
    /// Marks are taken off, and the texts read.
    Typed(Cleaning, Kind),
    /// JSON becomes lists and structs.
    Nested,
    /// No cell has a value.
    Nothing,
}

impl Profile {
    /// Begins with no cell seen. Of a column whose type is given, cells without that type say nothing of the others.
    #[must_use]
    pub fn new(wish: &Extraction, is_given: bool) -> Self {
        Self {
            infer: wish.infer_types,
            sorts: Sorts::NONE,
            survey: Survey::new(wish.locale, &wish.units, is_given),
            told: Guess::default(),
            shape: None,
        }
    }

    /// Looks at the column as it is on one page.
    pub fn see(&mut self, column: &Column) {
        self.sorts = self.sorts | column.sorts;
        if let Some(shape) = &column.shape {
            self.shape = Some(match self.shape.take() {
                Some(before) => before.merge(shape.clone()),
                None => shape.clone(),
            });
        }
        if self.sorts == Sorts::FREE {
            self.survey.see(&column.cells);
        } else if !self.sorts.is_mixed() && self.sorts != Sorts::NESTED {
            let _ = column.cells.iter().flatten().all(|cell| self.told.observe(cell.as_bytes()));
        }
    }

    /// Decides, once all cells were seen.
    #[must_use]
    pub fn decide(&self, name: &str, wanted: Wanted<'_>) -> Decision {
        let table = wanted.table.and_then(|field| Kind::of(field.data_type()));
        let (cleaning, guess, marks) = self.look(name);
        if let Some(kind) = wanted.given {
            // A word for a missing value is none of a number or a day, whatever the other cells are.
            let cleaning = match kind {
                Kind::String => Cleaning::NONE,
                _ if cleaning.is_none() && self.sorts == Sorts::FREE => Cleaning::MISSING,
                _ => cleaning,
            };
            let notes = if cleaning.is_none() { Vec::new() } else { marks.into_iter().collect() };
            return Decision { field: kind.field(name), notes, making: Making::Typed(cleaning, kind) };
        }
        if !self.infer {
            return text(name, Vec::new());
        }
        // Words for missing values are such only beside values: here the table's type tells that.
        let only_missing = self.survey.is_only_missing() && table.is_some_and(|kind| kind != Kind::String);
        if self.sorts == Sorts::NONE || self.sorts == Sorts::FREE && (guess.is_nothing() || only_missing) {
            let there = wanted.table.map(|field| field.clone().with_nullable(true));
            let field = there.unwrap_or_else(|| Kind::String.field(name)).with_name(name);
            return Decision { field, notes: Vec::new(), making: Making::Nothing };
        }
        if self.sorts.is_mixed() {
            let told = format!("kept as text: it has {}; `schema` can change that", self.sorts);
            return text(name, vec![Note::of(name, told)]);
        }
        if self.sorts == Sorts::NESTED {
            return self.nested(name);
        }
        if table == Some(Kind::String) {
            return text(name, Vec::new());
        }
        self.inferred(name, cleaning, guess, marks, table)
    }

    fn inferred(
        &self,
        name: &str,
        cleaning: Cleaning,
        guess: &Guess,
        marks: Option<Note>,
        table: Option<Kind>,
    ) -> Decision {
        let decided = guess.decide(None);
        let is_moment = matches!(decided.kind, Kind::Date | Kind::Timestamp | Kind::TimestampTz);
        if self.sorts == Sorts::TEXT && !is_moment {
            return text(name, Vec::new());
        }
        let kind = table.and_then(|table| guess.fit(table)).unwrap_or(decided.kind);
        let told = decided.note.filter(|_| kind == decided.kind).map(|(_, told)| Note::of(name, told));
        let notes = marks.into_iter().chain(told).collect();
        Decision { field: kind.field(name), notes, making: Making::Typed(cleaning, kind) }
    }

    fn nested(&self, name: &str) -> Decision {
        match &self.shape {
            Some(shape) if shape.is_nested() && shape.data_type() != DataType::Utf8 => {
                let field = Field::new(name, shape.data_type(), true);
                Decision { field, notes: Vec::new(), making: Making::Nested }
            }
            _ => text(name, Vec::new()),
        }
    }

    /// How cells are cleaned, and what they then have in common.
    fn look(&self, name: &str) -> (Cleaning, &Guess, Option<Note>) {
        if self.sorts != Sorts::FREE {
            return (Cleaning::NONE, &self.told, None);
        }
        let (cleaning, note) = self.survey.decide(name);
        let guess = self.survey.guess(&cleaning);
        (cleaning, guess, note)
    }
}

fn text(name: &str, notes: Vec<Note>) -> Decision {
    Decision { field: Kind::String.field(name), notes, making: Making::Typed(Cleaning::NONE, Kind::String) }
}

impl Decision {
    /// Makes values of the cells of one page. A cell that does not have the type, which only a given type leads to, becomes
    /// NULL with `or_null`; gives also how many did.
    ///
    /// # Errors
    /// The row of the first such cell, without `or_null`.
    pub fn make(&self, cells: &StringArray, or_null: bool) -> Result<(ArrayRef, usize), usize> {
        let (cleaning, kind) = match &self.making {
            Making::Nothing => return Ok((new_null_array(self.field.data_type(), cells.len()), 0)),
            Making::Nested => return nested(self.field.data_type(), cells).map(|array| (array, 0)).ok_or(0),
            Making::Typed(cleaning, kind) => (cleaning, *kind),
        };
        let cells = cleaning.apply(cells);
        if kind == Kind::String {
            return Ok((Arc::new(cells), 0));
        }
        let mut column = infer::Column::new(kind, cells.len());
        let mut rest = cells.iter().map(|cell| cell.map(str::as_bytes));
        let mut bad = 0;
        while let Err(row) = column.extend(rest.by_ref()) {
            if !or_null {
                return Err(row);
            }
            column.extend(std::iter::once(None))?;
            bad += 1;
        }
        column.finish().map(|array| (array, bad)).map_err(|_| 0)
    }
}

/// Reads the cells' JSON again, as lists and structs.
fn nested(data_type: &DataType, cells: &StringArray) -> Option<ArrayRef> {
    let limits = Limits::default();
    let mut values = Vec::with_capacity(cells.len());
    for cell in cells {
        values.push(match cell {
            Some(cell) => Some(json::parse(cell, &limits).ok()?),
            None => None,
        });
    }
    let values: Vec<_> = values.iter().map(Option::as_ref).collect();
    json::build(data_type, &values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(pages: &[(&[&str], Sorts)], wanted: Wanted<'_>) -> (Kind, String, Result<usize, usize>) {
        let mut profile = Profile::new(&Extraction::default(), wanted.given.is_some());
        let column = |(cells, sorts): &(&[&str], Sorts)| Column {
            sorts: *sorts,
            ..Column::free("c".into(), cells.iter().map(|cell| Some(*cell).filter(|c| !c.is_empty())).collect())
        };
        let pages: Vec<_> = pages.iter().map(column).collect();
        pages.iter().for_each(|page| profile.see(page));
        let decision = profile.decide("c", wanted);
        let made = pages.iter().map(|page| {
            let (array, _) = decision.make(&page.cells, false)?;
            assert_eq!(array.data_type(), decision.field.data_type());
            Ok(array.len() - array.null_count())
        });
        let made = made.collect::<Result<Vec<_>, _>>().map(|values| values.into_iter().sum());
        let notes = decision.notes.iter().map(|note| note.text.as_str()).collect::<Vec<_>>().join("|");
        (Kind::of(decision.field.data_type()).expect("a kind"), notes, made)
    }

    #[test]
    fn the_cells_of_all_pages_decide() {
        let free = Sorts::FREE;
        let decimal = |precision, scale| Kind::Decimal { precision, scale };
        for (pages, kind, values) in [
            (&[(&["1", "2"][..], free), (&["3.5"], free)][..], decimal(2, 1), 3),
            (&[(&["1,234"], free), (&["n/a"], free)], Kind::Int, 1),
            (&[(&["1,234"], free), (&["x"], free)], Kind::String, 2),
            (&[(&["2024-01-02"], free), (&["-"], free)], Kind::Date, 1),
            (&[(&["2024-01-02 10:00"], free)], Kind::Timestamp, 1),
            (&[(&["1", ""], Sorts::NUMBER), (&["22222222222222222222"], Sorts::NUMBER)], decimal(20, 0), 2),
            (&[(&["1"], Sorts::TEXT)], Kind::String, 1),
            (&[(&["true"], Sorts::TEXT)], Kind::String, 1),
            (&[(&["2024-01-02T10:00:00Z"], Sorts::TEXT)], Kind::TimestampTz, 1),
            (&[(&["true"], Sorts::BOOLEAN), (&[""], Sorts::NONE)], Kind::Boolean, 1),
            (&[(&["1"], Sorts::NUMBER), (&["a"], Sorts::TEXT)], Kind::String, 2),
            (&[(&["[1]"], Sorts::NESTED)], Kind::String, 1),
            (&[(&[""], Sorts::NONE)], Kind::String, 0),
        ] {
            let (found, notes, made) = decide(pages, Wanted::default());
            assert_eq!((found, made), (kind, Ok(values)), "{pages:?}: {notes}");
        }
        let (_, note, _) = decide(&[(&["1"], Sorts::NUMBER), (&["a"], Sorts::TEXT)], Wanted::default());
        assert!(note.contains("numbers and texts"), "{note}");
    }

    #[test]
    fn the_request_wins_and_the_table_is_heeded() {
        let given = |kind| Wanted { given: Some(kind), table: None };
        let cells: &[(&[&str], Sorts)] = &[(&["00501", "-"], Sorts::FREE)];
        assert_eq!(decide(cells, given(Kind::Int)), (Kind::Int, String::new(), Ok(1)));
        assert_eq!(decide(cells, given(Kind::String)), (Kind::String, String::new(), Ok(2)));
        assert_eq!(decide(&[(&["1", "x"], Sorts::FREE)], given(Kind::Int)).2, Err(1));
        assert_eq!(decide(&[(&["1,234", "x"], Sorts::FREE)], given(Kind::Int)).2, Err(1), "the thousands sign is none");
        assert_eq!(decide(&[(&["1.5"], Sorts::NUMBER)], given(Kind::Double)).0, Kind::Double);
        for (kind, found) in [(Kind::Long, Kind::Long), (Kind::String, Kind::String), (Kind::Date, Kind::Int)] {
            let field = kind.field("c");
            let wanted = Wanted { given: None, table: Some(&field) };
            assert_eq!(decide(&[(&["1,234"], Sorts::FREE)], wanted).0, found);
        }
        let field = Kind::Date.field("c");
        let wanted = Wanted { given: None, table: Some(&field) };
        assert_eq!(decide(&[(&[""], Sorts::FREE)], wanted).0, Kind::Date);
        assert_eq!(decide(&[(&["-"], Sorts::FREE)], wanted), (Kind::Date, String::new(), Ok(0)));
    }

    #[test]
    fn nested_values_become_lists_and_structs() {
        let mut profile = Profile::new(&Extraction::default(), false);
        let pages = [r#"{"a": 1, "b": ["x"]}"#, r#"{"b": [], "c": {"d": 1.5, "e": {}}, "a": null}"#];
        let mut columns = Vec::new();
        for page in pages {
            let value = json::parse(page, &Limits::default()).expect("JSON");
            let column = Column {
                sorts: Sorts::NESTED,
                shape: Some(Shape::of(&value)),
                ..Column::free("c".into(), StringArray::from(vec![Some(page), None]))
            };
            profile.see(&column);
            columns.push(column);
        }
        let decision = profile.decide("c", Wanted::default());
        let expected = "Struct(\"a\": Int32, \"b\": List(Utf8, field: 'element'), \"c\": Struct(\"d\": Decimal128(2, 1), \"e\": Utf8))";
        assert_eq!(decision.field.data_type().to_string(), expected);
        let (array, _) = decision.make(&columns[1].cells, false).expect("structs");
        let shown = arrow_cast::display::array_value_to_string(&array, 0).expect("shown");
        assert_eq!(shown, "{a: , b: [], c: {d: 1.5, e: {}}}");
        assert!(array.is_null(1));
    }
}
