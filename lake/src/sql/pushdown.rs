//! `DataFusion`'s simple conditions as Iceberg's, to leave out files and row groups; `DataFusion` filters again.
use datafusion::{
    common::ScalarValue,
    logical_expr::{BinaryExpr, Expr, Operator, expr::InList},
};
use iceberg::{
    expr::{Predicate, Reference},
    spec::Datum,
};

/// The same condition, if it is made of comparisons of columns with literals.
pub fn predicate(expr: &Expr) -> Option<Predicate> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            Some(predicate(left)?.and(predicate(right)?))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => Some(predicate(left)?.or(predicate(right)?)),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (column(left), column(right)) {
            (Some(column), None) => compare(column, *op, datum(right)?),
            (None, Some(column)) => compare(column, op.swap()?, datum(left)?),
            _ => None,
        },
        Expr::IsNull(inner) => Some(column(inner)?.is_null()),
        Expr::IsNotNull(inner) => Some(column(inner)?.is_not_null()),
        Expr::InList(InList { expr, list, negated: false }) => {
            let literals = list.iter().map(datum).collect::<Option<Vec<_>>>()?;
            Some(column(expr)?.is_in(literals))
        }
        Expr::Between(between) if !between.negated => {
            let low = compare(column(&between.expr)?, Operator::GtEq, datum(&between.low)?)?;
            Some(low.and(compare(column(&between.expr)?, Operator::LtEq, datum(&between.high)?)?))
        }
        _ => None,
    }
}

fn column(expr: &Expr) -> Option<Reference> {
    // Iceberg reads a dot as the way into a struct.
    expr.try_as_col().filter(|column| !column.name.contains('.')).map(|column| Reference::new(column.name.clone()))
}

fn compare(column: Reference, op: Operator, literal: Datum) -> Option<Predicate> {
    Some(match op {
        Operator::Eq => column.equal_to(literal),
        Operator::NotEq => column.not_equal_to(literal),
        Operator::Lt => column.less_than(literal),
        Operator::LtEq => column.less_than_or_equal_to(literal),
        Operator::Gt => column.greater_than(literal),
        Operator::GtEq => column.greater_than_or_equal_to(literal),
        _ => return None,
    })
}

/// Literals of the types whose order files and `DataFusion` agree on: neither floats (NaN) nor decimals.
fn datum(expr: &Expr) -> Option<Datum> {
    let Expr::Literal(value, _) = expr else { return None };
    Some(match value {
        ScalarValue::Boolean(Some(v)) => Datum::bool(*v),
        ScalarValue::Int32(Some(v)) => Datum::int(*v),
        ScalarValue::Int64(Some(v)) => Datum::long(*v),
        ScalarValue::Utf8(Some(v)) | ScalarValue::LargeUtf8(Some(v)) | ScalarValue::Utf8View(Some(v)) => {
            Datum::string(v)
        }
        ScalarValue::Date32(Some(v)) => Datum::date(*v),
        ScalarValue::TimestampMicrosecond(Some(v), None) => Datum::timestamp_micros(*v),
        ScalarValue::TimestampMicrosecond(Some(v), Some(_)) => Datum::timestamptz_micros(*v),
        _ => return None,
    })
}
