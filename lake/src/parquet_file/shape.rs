//! The tree of a column: how its leaves hang together, and the batch's arrays brought to the table's types along it.
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, ListArray, MapArray, StructArray, cast::AsArray};
use arrow_schema::{DataType, Field, FieldRef, Fields};

use super::{
    FileError, Result,
    convert::{self, Fault},
    types::Leaf,
};

/// A column, or a part of a nested one.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Leaf(Leaf),
    List(Box<Self>, FieldRef),
    Map(Box<(Self, Self)>, FieldRef),
    Struct(Vec<Self>, Fields),
}

impl Shape {
    /// The shape of a field that the decoder announced, whose leaves come in the order of the file's.
    pub(super) fn of(field: &Field, leaves: &mut impl Iterator<Item = Leaf>) -> Result<Self> {
        Ok(match field.data_type() {
            DataType::List(item) => {
                let item = Self::of(item, leaves)?;
                let element = Arc::new(item.field("element"));
                Self::List(Box::new(item), element)
            }
            DataType::Struct(fields) => {
                let parts = fields.iter().map(|field| Self::of(field, leaves)).collect::<Result<Vec<_>>>()?;
                let fields = parts.iter().zip(fields).map(|(part, field)| part.field(field.name())).collect();
                Self::Struct(parts, fields)
            }
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(pair) if pair.len() == 2 => {
                    let pair = (Self::of(&pair[0], leaves)?, Self::of(&pair[1], leaves)?);
                    let fields = vec![pair.0.field("key").with_nullable(false), pair.1.field("value")];
                    let entries = Field::new("key_value", DataType::Struct(fields.into()), false);
                    Self::Map(Box::new(pair), Arc::new(entries))
                }
                _ => return Err(FileError::invalid("is broken: a map has no pairs")),
            },
            _ => Self::Leaf(leaves.next().ok_or_else(|| FileError::invalid("is broken: a column has no leaf"))?),
        })
    }

    /// The field in the table.
    pub(super) fn field(&self, name: &str) -> Field {
        let data_type = match self {
            Self::Leaf(leaf) => return leaf.field(name),
            Self::List(_, element) => DataType::List(element.clone()),
            Self::Map(_, entries) => DataType::Map(entries.clone(), false),
            Self::Struct(_, fields) => DataType::Struct(fields.clone()),
        };
        Field::new(name, data_type, true)
    }

    /// The leaves, with their paths below `name`.
    pub(super) fn leaves(&self, name: &str, into: &mut impl FnMut(String, &Leaf)) {
        match self {
            Self::Leaf(leaf) => into(name.to_owned(), leaf),
            Self::List(item, _) => item.leaves(&format!("{name}.element"), into),
            Self::Map(pair, _) => {
                pair.0.leaves(&format!("{name}.key"), into);
                pair.1.leaves(&format!("{name}.value"), into);
            }
            Self::Struct(parts, fields) => {
                for (part, field) in parts.iter().zip(fields) {
                    part.leaves(&format!("{name}.{}", field.name()), into);
                }
            }
        }
    }

    /// The array with the table's type, whose values have at most `most` bytes each; a fault names the row of `array`.
    pub(super) fn convert(&self, array: &ArrayRef, most: usize) -> Result<ArrayRef, Fault> {
        match self {
            Self::Leaf(leaf) => convert::leaf(leaf, array, most),
            Self::List(item, element) => {
                let list = array.as_list_opt::<i32>().ok_or_else(Fault::broken)?;
                let values = item.convert(list.values(), most).map_err(|fault| fault.outside(list.offsets()))?;
                let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
                made(ListArray::try_new(element.clone(), offsets, values, nulls))
            }
            Self::Map(pair, entries) => {
                let map = array.as_map_opt().ok_or_else(Fault::broken)?;
                let outside = |fault: Fault| fault.outside(map.offsets());
                if let Some(index) = (0..map.keys().len()).find(|index| map.keys().is_null(*index)) {
                    return Err(outside(Fault::value(index, "is a map with a NULL among its keys".into())));
                }
                let columns = vec![
                    pair.0.convert(map.keys(), most).map_err(outside)?,
                    pair.1.convert(map.values(), most).map_err(outside)?,
                ];
                let DataType::Struct(fields) = entries.data_type() else { return Err(Fault::broken()) };
                let both = StructArray::try_new(fields.clone(), columns, None).map_err(|_| Fault::broken())?;
                let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
                made(MapArray::try_new(entries.clone(), offsets, both, nulls, false))
            }
            Self::Struct(parts, fields) => {
                let own = array.as_struct_opt().ok_or_else(Fault::broken)?;
                let columns = parts.iter().zip(own.columns()).map(|(part, column)| part.convert(column, most));
                made(StructArray::try_new(fields.clone(), columns.collect::<Result<_, _>>()?, own.nulls().cloned()))
            }
        }
    }
}

fn made<A: Array + 'static>(array: Result<A, arrow_schema::ArrowError>) -> Result<ArrayRef, Fault> {
    array.map(|array| Arc::new(array) as ArrayRef).map_err(|_| Fault::broken())
}

/// The bytes that the values of an array are, spelled out: a text counts as often as it occurs.
pub(super) fn spelled_out(array: &dyn Array) -> usize {
    match array.data_type() {
        DataType::Utf8View => lengths(array.as_string_view().views()),
        DataType::BinaryView => lengths(array.as_binary_view().views()),
        DataType::Utf8 => span(array.as_string::<i32>().value_offsets()),
        DataType::FixedSizeBinary(width) => array.len() * usize::try_from(*width).unwrap_or_default(),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let (from, to) = ends(list.value_offsets());
            4 * array.len() + spelled_out(&list.values().slice(from, to - from))
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let (from, to) = ends(map.value_offsets());
            4 * array.len()
                + map.entries().columns().iter().map(|c| spelled_out(&c.slice(from, to - from))).sum::<usize>()
        }
        DataType::Struct(_) => array.as_struct().columns().iter().map(|column| spelled_out(column)).sum(),
        DataType::Null => 0,
        other => array.len() * other.primitive_width().unwrap_or(1),
    }
}

/// A view's lowest 32 bits are its value's length; those of NULLs are zero.
fn lengths(views: &[u128]) -> usize {
    views.iter().map(|view| *view as u32 as usize).sum()
}

fn ends(offsets: &[i32]) -> (usize, usize) {
    let end = |offset: Option<&i32>| offset.map_or(0, |offset| usize::try_from(*offset).unwrap_or_default());
    (end(offsets.first()), end(offsets.last()))
}

fn span(offsets: &[i32]) -> usize {
    let (from, to) = ends(offsets);
    to - from
}
