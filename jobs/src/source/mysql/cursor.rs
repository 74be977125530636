//! Incremental reads: what is new, within one snapshot.
use super::{
    ident,
    relation::Part,
    select::Base,
    session::Session,
    types::{Carried, Layout},
};
use crate::{
    Code, Error, Result,
    source::{CursorWish, TypeNote},
};

/// What an incremental read takes.
pub(super) enum Found {
    /// The rows that fulfil `filter`. `to` is the newest value.
    Rows { filter: String, to: String, note: Option<TypeNote> },
    /// None.
    Nothing,
}

/// How a cursor's values are compared and moved back.
enum Order {
    /// Whole numbers and decimals.
    Number {
        whole: bool,
    },
    Date,
    Time,
}

impl Order {
    fn of(kind: Carried) -> Option<Self> {
        match kind {
            Carried::Int | Carried::Long | Carried::Unsigned => Some(Self::Number { whole: true }),
            Carried::Decimal { .. } => Some(Self::Number { whole: false }),
            Carried::Date => Some(Self::Date),
            Carried::Timestamp | Carried::TimestampTz => Some(Self::Time),
            _ => None,
        }
    }

    /// A value's text as an expression of the type; `None` if no value is written so. A number is written as itself, which
    /// is exact for as many digits as a column can have; a cast is not.
    fn value(&self, text: &str) -> Option<String> {
        let (marks, ty) = match self {
            Self::Number { .. } => return is_number(text).then(|| format!("({text})")),
            Self::Date => ("-", "DATE"),
            Self::Time => ("-:. T", "DATETIME(6)"),
        };
        let plain = text.chars().all(|c| c.is_ascii_digit() || marks.contains(c));
        (plain && text.len() <= MOST_BYTES).then(|| format!("CAST('{text}' AS {ty})"))
    }

    /// The expression `newest` moved back by `lag`.
    fn back(&self, lag: f64) -> String {
        match self {
            Self::Number { whole: true } => format!("FLOOR(CAST(newest AS DECIMAL(65, 0)) - {lag})"),
            Self::Number { whole: false } => format!("newest - {lag}"),
            Self::Date => format!("DATE(newest - INTERVAL {lag} SECOND)"),
            Self::Time => format!("newest - INTERVAL {lag} SECOND"),
        }
    }
}

/// Digits, perhaps with a sign before them and a point among them.
fn is_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    text.len() <= MOST_BYTES && digits(whole) && digits(fraction)
}

/// The longest value, in bytes.
const MOST_BYTES: usize = 100;

/// Finds the newest value of the cursor and with it the rows between the last load and this one.
///
/// # Errors
/// [`Code::CursorColumnMissing`] if the column is not there or has no order that can be kept, [`Code::InvalidField`] for a
/// begin that is no value of it, and the server's.
pub(super) async fn find(session: &mut Session, base: &Base, layout: &Layout, wish: &CursorWish) -> Result<Found> {
    let order = order(layout, &wish.column)?;
    let (from, column) = (base.derived(Part::All), ident(&wish.column));
    let upper = match wish.lag.filter(|lag| *lag > 0.0) {
        None => "newest".to_owned(),
        Some(lag) => order.back(lag),
    };
    let newest = format!("SELECT CAST({upper} AS CHAR) FROM (SELECT MAX({column}) AS newest FROM {from}) AS m");
    let Some(mut to) = session.text(&newest).await? else { return Ok(Found::Nothing) };
    if wish.lag.is_some() && to.contains('.') {
        // The subtraction has made more digits than the column has.
        to.truncate(to.trim_end_matches('0').trim_end_matches('.').len());
    }
    let no_value = |text: &str| {
        let why = format!("`{text}` is no value of the cursor `{}`", wish.column);
        Error::field("cursor_start", Code::InvalidField, why)
    };
    let to_value = order.value(&to).ok_or_else(|| no_value(&to))?;
    let upper = format!("{column} <= {to_value}");
    match &wish.after {
        Some(after) => {
            let after_value = order.value(after).ok_or_else(|| no_value(after))?;
            // MariaDB finds any date greater than one that is none.
            let newer = format!("SELECT CASE WHEN {after_value} IS NULL THEN NULL ELSE {to_value} > {after_value} END");
            let newer = session.text(&newer).await?;
            Ok(match newer.as_deref() {
                None => return Err(no_value(after)),
                Some("0") => Found::Nothing,
                Some(_) => {
                    let filter = format!("{column} > {after_value} AND {upper}");
                    Found::Rows { filter, to, note: None }
                }
            })
        }
        None if wish.nulls => Ok(Found::Rows { filter: format!("({upper} OR {column} IS NULL)"), to, note: None }),
        None => {
            let unread = format!("SELECT COUNT(*) FROM {from} WHERE {column} IS NULL");
            let unread = session.text(&unread).await?.filter(|count| count != "0");
            let kind = layout.schema.index_of(&wish.column).map(|at| layout.kinds[at].iceberg()).unwrap_or_default();
            let note = unread.map(|count| TypeNote {
                column: wish.column.clone(),
                source_type: kind.clone(),
                table_type: kind,
                note: format!("{count} rows have no value in the cursor column and were not read"),
            });
            Ok(Found::Rows { filter: upper, to, note })
        }
    }
}

fn order(layout: &Layout, name: &str) -> Result<Order> {
    let missing = |why: String| Error::new(Code::CursorColumnMissing, why);
    let at = layout
        .schema
        .index_of(name)
        .map_err(|_| missing(format!("the rows have no column `{name}` that could be the cursor")))?;
    let kind = layout.kinds[at];
    Order::of(kind).ok_or_else(|| {
        missing(format!(
            "the column `{name}` is kept as {}, which cannot be the cursor; take an integer, a decimal, a date, a datetime \
             or a timestamp",
            kind.iceberg()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_get_into_a_statement() {
        let value = |order: Order, text| order.value(text);
        assert_eq!(value(Order::Date, "2024-01-02").as_deref(), Some("CAST('2024-01-02' AS DATE)"));
        assert!(value(Order::Time, "2024-01-02 03:04:05.123456").is_some());
        assert_eq!(value(Order::Number { whole: false }, "-1.50").as_deref(), Some("(-1.50)"));
        for evil in ["1' OR '1", "1\\", "1) --", "x", "2024-01-01", "1.2.3", "-", "--1", "1.", ".5", "1e5", ""] {
            assert_eq!(value(Order::Number { whole: true }, evil), None, "{evil}");
        }
    }
}
