//! What arrays and objects of a column have in common, and the lists and structs that are made of them.
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, ListArray, StructArray, new_null_array};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Fields};

use super::{Json, value::plain};
use crate::transform::infer::{Column, Guess, Kind};

/// The most members of an object that becomes a struct; more are names that are data.
const MOST_MEMBERS: usize = 200;

/// What values of one place have in common.
#[derive(Clone, Debug)]
pub enum Shape {
    /// Only nulls.
    Nothing,
    /// Numbers.
    Numbers(Guess),
    /// Booleans.
    Booleans,
    /// Texts, and what is kept as one because the values have nothing in common.
    Texts,
    /// Arrays.
    List(Box<Shape>),
    /// Objects: their members in the order in which they first appear.
    Struct(Vec<(String, Shape)>),
}

impl Shape {
    /// The shape of one value.
    #[must_use]
    pub fn of(value: &Json<'_>) -> Self {
        match value {
            Json::Null => Self::Nothing,
            Json::Bool(_) => Self::Booleans,
            Json::Text(_) => Self::Texts,
            Json::Number(number) => {
                let mut guess = Guess::default();
                guess.observe(plain(number).as_bytes());
                Self::Numbers(guess)
            }
            Json::List(items) => Self::List(Box::new(items.iter().map(Self::of).fold(Self::Nothing, Self::merge))),
            Json::Object(members) => {
                let member =
                    |(name, value): &(std::borrow::Cow<'_, str>, Json<'_>)| (name.to_string(), Self::of(value));
                Self::Struct(Vec::new()).merge(Self::Struct(members.iter().map(member).collect()))
            }
        }
    }

    /// What both have in common.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, shape) | (shape, Self::Nothing) => shape,
            (Self::Numbers(mut a), Self::Numbers(b)) => {
                a.merge(&b);
                Self::Numbers(a)
            }
            (Self::Booleans, Self::Booleans) => Self::Booleans,
            (Self::List(a), Self::List(b)) => Self::List(Box::new(a.merge(*b))),
            (Self::Struct(mut a), Self::Struct(b)) => {
                for (name, shape) in b {
                    match a.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&name)) {
                        // Names that differ in case only are one column to most engines.
                        Some((known, _)) if *known != name => return Self::Texts,
                        Some((_, before)) => *before = std::mem::replace(before, Self::Nothing).merge(shape),
                        None => a.push((name, shape)),
                    }
                }
                if a.len() > MOST_MEMBERS { Self::Texts } else { Self::Struct(a) }
            }
            _ => Self::Texts,
        }
    }

    /// Whether it is a list or a struct.
    #[must_use]
    pub const fn is_nested(&self) -> bool {
        matches!(self, Self::List(_) | Self::Struct(_))
    }

    /// The type; an object without members is text, which no struct can be.
    #[must_use]
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Nothing | Self::Texts => DataType::Utf8,
            Self::Booleans => DataType::Boolean,
            Self::Numbers(guess) => guess.decide(None).kind.arrow(),
            Self::List(item) => DataType::List(Arc::new(Field::new("element", item.data_type(), true))),
            Self::Struct(members) if members.is_empty() => DataType::Utf8,
            Self::Struct(members) => DataType::Struct(
                members.iter().map(|(name, shape)| Field::new(name, shape.data_type(), true)).collect(),
            ),
        }
    }
}

/// Makes an array of values; `None` if one of them does not have the type.
pub(in crate::extract) fn build(data_type: &DataType, values: &[Option<&Json<'_>>]) -> Option<ArrayRef> {
    let present = |value: &Option<&Json<'_>>| !matches!(value, None | Some(Json::Null));
    let nulls = || Some(NullBuffer::from_iter(values.iter().map(present)));
    match data_type {
        DataType::List(field) => {
            let mut lengths = Vec::with_capacity(values.len());
            let mut items = Vec::new();
            for value in values {
                let inner: &[Json<'_>] = match value {
                    Some(Json::List(inner)) => inner,
                    None | Some(Json::Null) => &[],
                    Some(_) => return None,
                };
                lengths.push(inner.len());
                items.extend(inner.iter().map(Some));
            }
            let items = build(field.data_type(), &items)?;
            let list = ListArray::try_new(field.clone(), OffsetBuffer::from_lengths(lengths), items, nulls());
            Some(Arc::new(list.ok()?))
        }
        DataType::Struct(fields) => of_struct(fields, values, nulls()),
        _ => scalars(data_type, values),
    }
}

fn of_struct(fields: &Fields, values: &[Option<&Json<'_>>], nulls: Option<NullBuffer>) -> Option<ArrayRef> {
    if values.iter().flatten().any(|value| !matches!(value, Json::Null | Json::Object(_))) {
        return None;
    }
    let members = fields.iter().map(|field| {
        let inner: Vec<_> = values.iter().map(|value| value.and_then(|value| value.member(field.name()))).collect();
        build(field.data_type(), &inner)
    });
    let members = members.collect::<Option<Vec<_>>>()?;
    Some(Arc::new(StructArray::try_new(fields.clone(), members, nulls).ok()?))
}

fn scalars(data_type: &DataType, values: &[Option<&Json<'_>>]) -> Option<ArrayRef> {
    if values.iter().flatten().all(|value| matches!(value, Json::Null)) {
        return Some(new_null_array(data_type, values.len()));
    }
    let kind = Kind::of(data_type)?;
    let text = |value: &Json<'_>| match value {
        Json::Null => None,
        Json::Number(number) => Some(plain(number).into_owned()),
        Json::Bool(_) | Json::Text(_) => value.scalar().map(std::borrow::Cow::into_owned),
        Json::List(_) | Json::Object(_) => {
            let mut text = String::new();
            value.write(&mut text);
            Some(text)
        }
    };
    let texts: Vec<_> = values.iter().map(|value| value.and_then(text)).collect();
    let mut column = Column::new(kind, texts.len());
    column.extend(texts.iter().map(|text| text.as_ref().map(|text| text.as_bytes()))).ok()?;
    column.finish().ok().filter(|array| array.len() == values.len())
}
