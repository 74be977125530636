//! One schema of many files: columns by name, types widened where nothing is lost.
use std::{collections::HashMap, sync::Arc};

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use icehaul_lake::parquet_file::type_name;

use super::super::join::Join;
use crate::{Code, Error, Result, config::Limits, source::TypeNote};

/// The source type of a column without any value.
pub(super) const NOTHING: &str = "null";

/// The most digits of a decimal.
const MAX_DIGITS: u8 = 38;

/// The columns of the files so far.
#[derive(Default)]
pub(super) struct Union {
    columns: Vec<Column>,
    places: HashMap<String, usize>,
    join: Join,
}

struct Column {
    field: Field,
    /// The file that it was first seen in.
    file: String,
    /// The number of files that have it.
    files: usize,
}

impl Union {
    /// Adds the columns of a file.
    pub(super) fn add(&mut self, file: &str, schema: &Schema) -> Result<()> {
        let known = |name: &str| self.places.contains_key(&name.to_lowercase());
        let names = schema.fields().iter().map(|field| field.name().as_str());
        self.join.add(file, names, known, "load them into tables of their own")?;
        for field in schema.fields() {
            let Some(place) = self.places.get(&field.name().to_lowercase()) else {
                check_members(field, file)?;
                self.places.insert(field.name().to_lowercase(), self.columns.len());
                self.columns.push(Column { field: field.as_ref().clone(), file: file.to_owned(), files: 1 });
                continue;
            };
            let known = &mut self.columns[*place];
            known.files += 1;
            if known.field.name() != field.name() {
                let message = format!(
                    "column `{}` of `{}` is `{}` in `{file}`: engines that fold case could not tell them apart; rename one",
                    known.field.name(),
                    known.file,
                    field.name()
                );
                return Err(Error::new(Code::DuplicateColumn, message));
            }
            known.field = both(&known.field, field).map_err(|clash| {
                let message = format!(
                    "column `{}` is {} in `{}` and {} in `{file}`: load them into tables of their own, or write one of them \
                     with the other's type",
                    clash.path, clash.first, known.file, clash.second
                );
                Error::new(Code::SchemaMismatch, message)
            })?;
            check_members(&known.field, file)?;
        }
        Ok(())
    }

    /// The schema of all files; columns without any value are as the table has them, else text.
    pub(super) fn schema(&self, limits: &Limits, table: Option<&Schema>) -> Result<SchemaRef> {
        if self.columns.len() > limits.max_columns {
            let message = format!(
                "the files have {} columns together; `limits.max_columns` permits {}",
                self.columns.len(),
                limits.max_columns
            );
            return Err(Error::new(Code::TooManyColumns, message));
        }
        let there = |name: &str| table.and_then(|table| table.fields().find(name)).map(|(_, field)| field);
        let fields =
            self.columns.iter().map(|Column { field, .. }| settled(&Arc::new(field.clone()), there(field.name())));
        Ok(Arc::new(Schema::new(fields.collect::<Fields>())))
    }

    /// Whether a column, or the part of one, has no value in any file and no type in the table.
    pub(super) fn has_nothing(&self, path: &str, table: Option<&Schema>) -> bool {
        let in_table = |field: &Field| table.is_some_and(|table| table.field_with_name(field.name()).is_ok());
        self.columns.iter().any(|Column { field, .. }| nothing_at(field, path) && !in_table(field))
    }

    /// What the result says of columns that only some files have.
    pub(super) fn notes(&self, schema: &Schema) -> Vec<TypeNote> {
        let columns = self.columns.iter().zip(schema.fields());
        columns.filter_map(|(column, field)| self.join.note(field.name(), &type_name(field), column.files)).collect()
    }
}

/// Refuses a structure with two members whose names differ by case only, or not at all.
fn check_members(field: &Field, file: &str) -> Result<()> {
    let Some((first, second)) = twins(field) else { return Ok(()) };
    let message = format!(
        "`{first}` and `{second}` of `{file}`, or of a file before it, are members of one structure: engines that fold case \
         could not tell them apart; rename one"
    );
    Err(Error::new(Code::DuplicateColumn, message))
}

/// The paths of two members that engines could not tell apart.
fn twins(field: &Field) -> Option<(String, String)> {
    let inner = match field.data_type() {
        DataType::Struct(members) => {
            let mut seen = HashMap::new();
            let again = |member: &FieldRef| {
                Some((seen.insert(member.name().to_lowercase(), member.name().clone())?, member.name().clone()))
            };
            members.iter().find_map(again).or_else(|| members.iter().find_map(|member| twins(member)))
        }
        DataType::List(item) | DataType::Map(item, _) => twins(item),
        _ => None,
    };
    inner.map(|(first, second)| (format!("{}.{first}", field.name()), format!("{}.{second}", field.name())))
}

/// Two types that do not fit.
#[derive(Debug, PartialEq, Eq)]
struct Clash {
    path: String,
    first: String,
    second: String,
}

impl Clash {
    fn below(mut self, name: &str) -> Self {
        self.path = if self.path.is_empty() { name.to_owned() } else { format!("{name}.{}", self.path) };
        self
    }
}

/// The field that holds the values of both.
fn both(a: &Field, b: &Field) -> Result<Field, Clash> {
    let field = |data_type| Ok(a.clone().with_data_type(data_type));
    let clash = || {
        let (first, second) = (type_name(a), type_name(b));
        Clash { path: a.name().clone(), first, second }
    };
    match (a.data_type(), b.data_type()) {
        (DataType::Null, _) => Ok(b.clone()),
        (_, DataType::Null) => Ok(a.clone()),
        (x, y) if x == y && a.metadata() == b.metadata() => Ok(a.clone()),
        (DataType::Int32 | DataType::Int64, DataType::Int32 | DataType::Int64) => field(DataType::Int64),
        (DataType::Float32 | DataType::Float64, DataType::Float32 | DataType::Float64) => field(DataType::Float64),
        (DataType::Decimal128(p, s), DataType::Decimal128(q, t)) => field(wider((*p, *s), (*q, *t)).ok_or_else(clash)?),
        (DataType::List(x), DataType::List(y)) => {
            field(DataType::List(Arc::new(both(x, y).map_err(|clash| clash.below(a.name()))?)))
        }
        (DataType::Map(x, _), DataType::Map(y, _)) => {
            let entries = both(x, y).map_err(|mut clash| {
                // The pair has a name that nobody gave.
                clash.path = clash.path.trim_start_matches("key_value.").to_owned();
                clash.below(a.name())
            })?;
            field(DataType::Map(Arc::new(entries), false))
        }
        (DataType::Struct(x), DataType::Struct(y)) => {
            field(DataType::Struct(structs(x, y).map_err(|clash| clash.below(a.name()))?))
        }
        _ => Err(clash()),
    }
}

fn structs(a: &Fields, b: &Fields) -> Result<Fields, Clash> {
    let mut fields: Vec<FieldRef> = Vec::with_capacity(a.len());
    for field in a {
        fields.push(match b.iter().find(|other| other.name() == field.name()) {
            Some(other) => Arc::new(both(field, other)?),
            None => field.clone(),
        });
    }
    fields.extend(b.iter().filter(|field| a.iter().all(|other| other.name() != field.name())).cloned());
    Ok(fields.into())
}

/// The decimal with room for the digits of both, before and after the point.
fn wider((p, s): (u8, i8), (q, t): (u8, i8)) -> Option<DataType> {
    let scale = s.max(t);
    let whole = (i16::from(p) - i16::from(s)).max(i16::from(q) - i16::from(t));
    let precision = u8::try_from(whole + i16::from(scale)).ok()?;
    (precision <= MAX_DIGITS).then_some(DataType::Decimal128(precision, scale))
}

/// The field with a type for what has no values: that of the table's field, else text.
fn settled(field: &FieldRef, table: Option<&FieldRef>) -> FieldRef {
    let below = |name: &str| match table?.data_type() {
        DataType::List(child) | DataType::Map(child, _) => Some(child),
        DataType::Struct(children) => children.find(name).map(|(_, child)| child),
        _ => None,
    };
    let data_type = match (field.data_type(), table) {
        (DataType::Null, Some(table)) => {
            return Arc::new(table.as_ref().clone().with_name(field.name()).with_nullable(field.is_nullable()));
        }
        (DataType::Null, None) => DataType::Utf8,
        (DataType::List(item), _) => DataType::List(settled(item, below(item.name()))),
        (DataType::Struct(fields), _) => {
            DataType::Struct(fields.iter().map(|field| settled(field, below(field.name()))).collect())
        }
        (DataType::Map(entries, sorted), _) => DataType::Map(settled(entries, below(entries.name())), *sorted),
        _ => return field.clone(),
    };
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

fn nothing_at(field: &Field, path: &str) -> bool {
    let Some(rest) = path.strip_prefix(field.name().as_str()) else { return false };
    let below = rest.strip_prefix('.');
    match field.data_type() {
        DataType::Null => rest.is_empty(),
        DataType::List(item) => below.is_some_and(|path| nothing_at(item, path)),
        DataType::Struct(fields) => below.is_some_and(|path| fields.iter().any(|field| nothing_at(field, path))),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) => below.is_some_and(|path| pair.iter().any(|field| nothing_at(field, path))),
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(fields: &[(&str, DataType)]) -> Schema {
        Schema::new(
            fields.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect::<Vec<_>>(),
        )
    }

    fn list(item: DataType) -> DataType {
        DataType::List(Arc::new(Field::new("element", item, true)))
    }

    fn union(schemas: &[Schema]) -> Result<SchemaRef> {
        let mut union = Union::default();
        for (index, schema) in schemas.iter().enumerate() {
            union.add(&format!("f{index}"), schema)?;
        }
        union.schema(&Limits::default(), None)
    }

    #[test]
    fn columns_go_by_name_and_widen() {
        let all = union(&[
            schema(&[("a", DataType::Int32), ("d", DataType::Decimal128(10, 2)), ("n", DataType::Null)]),
            schema(&[("d", DataType::Decimal128(9, 4)), ("a", DataType::Int64), ("l", list(DataType::Null))]),
            schema(&[("x", DataType::Null), ("n", DataType::Date32), ("l", list(DataType::Float32))]),
            schema(&[("l", list(DataType::Float64))]),
        ]);
        let expected = schema(&[
            ("a", DataType::Int64),
            ("d", DataType::Decimal128(12, 4)),
            ("n", DataType::Date32),
            ("l", list(DataType::Float64)),
            ("x", DataType::Utf8),
        ]);
        assert_eq!(all.expect("fits").as_ref(), &expected);
    }

    #[test]
    fn columns_without_values_are_as_the_table_has_them() {
        let mut union = Union::default();
        let nothing =
            [("n", DataType::Null), ("l", list(DataType::Null)), ("x", DataType::Null), ("i", DataType::Int32)];
        union.add("f", &schema(&nothing)).expect("added");
        let table = schema(&[
            ("n", DataType::Decimal128(9, 2)),
            ("i", DataType::Int64),
            ("l", list(DataType::Boolean)),
            ("more", DataType::Utf8),
        ]);
        let expected = schema(&[
            ("n", DataType::Decimal128(9, 2)),
            ("l", list(DataType::Boolean)),
            ("x", DataType::Utf8),
            ("i", DataType::Int32),
        ]);
        assert_eq!(union.schema(&Limits::default(), Some(&table)).expect("fits").as_ref(), &expected);
        let noted = ["n", "l.element", "x", "i"].map(|path| union.has_nothing(path, Some(&table)));
        assert_eq!(noted, [false, false, true, false]);
    }

    #[test]
    fn files_of_nothing_in_common_are_refused_and_columns_of_some_noted() {
        let mut union = Union::default();
        union.add("f0", &schema(&[("a", DataType::Int32), ("b", DataType::Utf8)])).expect("added");
        union.add("f1", &schema(&[("a", DataType::Int64)])).expect("added");
        let error = union.add("f2", &schema(&[("c", DataType::Int64)])).expect_err("nothing in common");
        assert_eq!(error.code(), Code::SchemaMismatch);
        assert!(error.message().starts_with("f2: none of its columns (`c`)"), "{error}");
        let notes = union.notes(&schema(&[("a", DataType::Int64), ("b", DataType::Utf8)]));
        assert_eq!(notes.iter().map(|note| note.column.as_str()).collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn what_does_not_fit_names_both_files_the_column_and_the_types() {
        let inner = |data_type| DataType::Struct(vec![Field::new("x", data_type, true)].into());
        let error = union(&[schema(&[("s", inner(DataType::Int32))]), schema(&[("s", inner(DataType::Utf8View))])]);
        let error = error.expect_err("int and text");
        assert_eq!(error.code(), Code::SchemaMismatch);
        assert!(error.message().starts_with("column `s.x` is int in `f0` and string in `f1`"), "{error}");
        for (a, b) in [
            (DataType::Decimal128(38, 0), DataType::Decimal128(2, 2)),
            (DataType::Int64, DataType::Float64),
            (DataType::Date32, DataType::Timestamp(arrow_schema::TimeUnit::Microsecond, None)),
        ] {
            let error = union(&[schema(&[("c", a)]), schema(&[("c", b)])]).expect_err("refused");
            assert_eq!(error.code(), Code::SchemaMismatch);
        }
    }

    #[test]
    fn names_that_differ_by_case_only_are_refused() {
        let error = union(&[schema(&[("Id", DataType::Int64)]), schema(&[("id", DataType::Int64)])]).expect_err("two");
        assert_eq!(error.code(), Code::DuplicateColumn);
        let inner = |names: &[&str]| {
            let members = names.iter().map(|name| Field::new(*name, DataType::Int64, true));
            schema(&[("s", list(DataType::Struct(members.collect())))])
        };
        for files in [vec![inner(&["k", "x"]), inner(&["x", "K"])], vec![inner(&["k", "K"])]] {
            let error = union(&files).expect_err("two");
            assert_eq!(error.code(), Code::DuplicateColumn);
            assert!(error.message().contains("`s.element.k` and `s.element.K`"), "{error}");
        }
    }
}
