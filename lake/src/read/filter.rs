//! Filters: which part of one the file reader may have, and the rest done on batches.
use std::{collections::HashSet, sync::Arc};

use arrow_arith::boolean::{and_kleene, is_not_null, is_null, not, or_kleene};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Decimal128Array, FixedSizeBinaryArray, Float32Array, Float64Array,
    Int32Array, Int64Array, RecordBatch, Scalar, StringArray, cast::AsArray, types::Float64Type,
};
use arrow_schema::{ArrowError, DataType};
use datafusion::arrow::compute::{kernels::cmp, starts_with};
use iceberg::{
    expr::{BoundPredicate, BoundReference, Predicate, PredicateOperator},
    spec::{Datum, PrimitiveLiteral, PrimitiveType, SchemaRef, TableMetadata, Type},
};

/// A filter in two parts that both must hold.
pub struct Split {
    /// For the planner and the file reader.
    pub pushed: Option<Predicate>,
    /// For [`mask`].
    pub rest: Option<Predicate>,
}

/// Keeps back every part of a filter that names a column whose type has changed: the crate compares bounds and values
/// of the old type with literals of the new one, and drops rows in silence. Floats are kept back too, for NaN.
pub fn split(filter: Predicate, metadata: &TableMetadata, schema: &SchemaRef) -> Split {
    let mut parts = Vec::new();
    conjuncts(filter, &mut parts);
    let safe = |part: &Predicate| {
        let mut names = HashSet::new();
        columns(part, &mut names);
        names.iter().all(|name| can_be_pushed(name, metadata, schema))
    };
    let (pushed, rest): (Vec<_>, Vec<_>) = parts.into_iter().partition(safe);
    Split { pushed: pushed.into_iter().reduce(Predicate::and), rest: rest.into_iter().reduce(Predicate::and) }
}

fn conjuncts(filter: Predicate, into: &mut Vec<Predicate>) {
    match filter {
        Predicate::And(both) => both.inputs().into_iter().for_each(|part| conjuncts(part.clone(), into)),
        other => into.push(other),
    }
}

/// The names of all columns in a filter.
pub fn columns(filter: &Predicate, into: &mut HashSet<String>) {
    match filter {
        Predicate::AlwaysTrue | Predicate::AlwaysFalse => {}
        Predicate::And(both) | Predicate::Or(both) => both.inputs().into_iter().for_each(|part| columns(part, into)),
        Predicate::Not(one) => one.inputs().into_iter().for_each(|part| columns(part, into)),
        Predicate::Unary(unary) => drop(into.insert(unary.term().name().to_owned())),
        Predicate::Binary(binary) => drop(into.insert(binary.term().name().to_owned())),
        Predicate::Set(set) => drop(into.insert(set.term().name().to_owned())),
    }
}

/// Whether the file reader compares a column's values as we do: it certainly had its present type in every file.
fn can_be_pushed(name: &str, metadata: &TableMetadata, schema: &SchemaRef) -> bool {
    let Some(field) = schema.field_by_name(name) else { return false };
    // Bounds leave NaN out, rows do not: what a comparison says of NaN must not depend on the file it lies in.
    if matches!(field.field_type.as_ref(), Type::Primitive(PrimitiveType::Float | PrimitiveType::Double)) {
        return false;
    }
    let same = metadata
        .schemas_iter()
        .all(|old| old.field_by_id(field.id).is_none_or(|old| old.field_type == field.field_type));
    // Old schemas may have been removed from the metadata: then only types that no promotion leads to are certain.
    let highest = metadata.schemas_iter().map(|schema| schema.schema_id()).max().unwrap_or(0);
    let complete = metadata.schemas_iter().len() as i64 == i64::from(highest) + 1;
    let promotable =
        matches!(field.field_type.as_ref(), Type::Primitive(PrimitiveType::Long | PrimitiveType::Decimal { .. }));
    same && (complete || !promotable)
}

/// Which rows of a batch pass: the batch has the filter's columns under the names of its schema. Null means no.
///
/// # Errors
/// A literal that does not fit its column.
pub fn mask(filter: &BoundPredicate, batch: &RecordBatch) -> Result<BooleanArray, ArrowError> {
    match filter {
        BoundPredicate::AlwaysTrue => Ok(BooleanArray::from(vec![true; batch.num_rows()])),
        BoundPredicate::AlwaysFalse => Ok(BooleanArray::from(vec![false; batch.num_rows()])),
        BoundPredicate::And(both) => {
            let [left, right] = both.inputs();
            and_kleene(&mask(left, batch)?, &mask(right, batch)?)
        }
        BoundPredicate::Or(both) => {
            let [left, right] = both.inputs();
            or_kleene(&mask(left, batch)?, &mask(right, batch)?)
        }
        BoundPredicate::Not(one) => not(&mask(one.inputs()[0], batch)?),
        BoundPredicate::Unary(unary) => {
            let array = column(unary.term(), batch)?;
            match unary.op() {
                PredicateOperator::IsNull => is_null(&array),
                PredicateOperator::NotNull => is_not_null(&array),
                PredicateOperator::IsNan => nan(&array),
                _ => not(&nan(&array)?),
            }
        }
        BoundPredicate::Binary(binary) => {
            let array = column(binary.term(), batch)?;
            compare(binary.op(), &array, binary.literal())
        }
        BoundPredicate::Set(set) => {
            let array = column(set.term(), batch)?;
            let none = BooleanArray::from(vec![false; batch.num_rows()]);
            let any = set.literals().iter().try_fold(none, |found, literal| {
                or_kleene(&found, &compare(PredicateOperator::Eq, &array, literal)?)
            })?;
            if set.op() == PredicateOperator::In { Ok(any) } else { not(&any) }
        }
    }
}

fn column(reference: &BoundReference, batch: &RecordBatch) -> Result<ArrayRef, ArrowError> {
    let name = &reference.field().name;
    batch
        .column_by_name(name)
        .cloned()
        .ok_or_else(|| ArrowError::SchemaError(format!("no column `{name}` to filter on")))
}

fn nan(array: &ArrayRef) -> Result<BooleanArray, ArrowError> {
    let floats = arrow_cast::cast(array, &DataType::Float64)?;
    Ok(BooleanArray::from_unary(floats.as_primitive::<Float64Type>(), f64::is_nan))
}

fn compare(op: PredicateOperator, array: &ArrayRef, literal: &Datum) -> Result<BooleanArray, ArrowError> {
    let literal = Scalar::new(value(literal, array.data_type())?);
    match op {
        PredicateOperator::LessThan => cmp::lt(array, &literal),
        PredicateOperator::LessThanOrEq => cmp::lt_eq(array, &literal),
        PredicateOperator::GreaterThan => cmp::gt(array, &literal),
        PredicateOperator::GreaterThanOrEq => cmp::gt_eq(array, &literal),
        PredicateOperator::Eq => cmp::eq(array, &literal),
        PredicateOperator::NotEq => cmp::neq(array, &literal),
        PredicateOperator::StartsWith => starts_with(array, &literal),
        PredicateOperator::NotStartsWith => not(&starts_with(array, &literal)?),
        other => Err(ArrowError::NotYetImplemented(format!("`{other}` with a literal"))),
    }
}

/// A bound literal as an array of one value of its column's type.
fn value(literal: &Datum, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let array: ArrayRef = match literal.literal() {
        PrimitiveLiteral::Boolean(v) => Arc::new(BooleanArray::from(vec![*v])),
        PrimitiveLiteral::Int(v) => Arc::new(Int32Array::from(vec![*v])),
        PrimitiveLiteral::Long(v) => Arc::new(Int64Array::from(vec![*v])),
        PrimitiveLiteral::Float(v) => Arc::new(Float32Array::from(vec![v.into_inner()])),
        PrimitiveLiteral::Double(v) => Arc::new(Float64Array::from(vec![v.into_inner()])),
        PrimitiveLiteral::String(v) => Arc::new(StringArray::from(vec![v.as_str()])),
        PrimitiveLiteral::Binary(v) => Arc::new(BinaryArray::from(vec![v.as_slice()])),
        PrimitiveLiteral::UInt128(v) => Arc::new(FixedSizeBinaryArray::try_from_iter([v.to_be_bytes()].into_iter())?),
        PrimitiveLiteral::Int128(v) => match to {
            DataType::Decimal128(precision, scale) => {
                Arc::new(Decimal128Array::from(vec![*v]).with_precision_and_scale(*precision, *scale)?)
            }
            _ => return Err(ArrowError::CastError(format!("a decimal literal for a column of type {to}"))),
        },
        other => return Err(ArrowError::CastError(format!("no value for {other:?}"))),
    };
    arrow_cast::cast(&array, to)
}
