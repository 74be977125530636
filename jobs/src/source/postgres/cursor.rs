//! Incremental reads: what is new, within one snapshot.
use tokio_postgres::types::Type;

use super::{ident, literal, relation::Part, select::Base, session::Session};
use crate::{
    Code, Error, Result,
    source::{CursorWish, TypeNote},
};

/// The longest value that is kept, in bytes: it stays in the table's metadata.
const MOST_BYTES: usize = 1024;

/// What an incremental read takes.
pub(super) enum Found {
    /// The rows that fulfil `filter`.
    /// `to` is the newest value.
    Rows { filter: String, to: String, note: Option<TypeNote> },
    /// None.
    Nothing,
}

/// How a cursor's values are compared and moved back.
struct Order {
    /// The type's name in SQL.
    ty: &'static str,
    /// Text is compared by its bytes: a locale's order may change with the system's libraries.
    collate: &'static str,
    back: Back,
}

enum Back {
    /// By units, not below the type's least value.
    Whole(i64),
    Number,
    /// By seconds, given in days for a date.
    Days,
    Time,
    Never,
}

impl Order {
    fn of(ty: &Type) -> Option<Self> {
        let (ty, back) = match *ty {
            Type::INT2 => ("int2", Back::Whole(i16::MIN.into())),
            Type::INT4 => ("int4", Back::Whole(i32::MIN.into())),
            Type::INT8 => ("int8", Back::Whole(i64::MIN)),
            Type::NUMERIC => ("numeric", Back::Number),
            Type::DATE => ("date", Back::Days),
            Type::TIMESTAMP => ("timestamp", Back::Time),
            Type::TIMESTAMPTZ => ("timestamptz", Back::Time),
            Type::TEXT | Type::VARCHAR => ("text", Back::Never),
            Type::UUID => ("uuid", Back::Never),
            _ => return None,
        };
        Some(Self { ty, collate: if ty == "text" { " COLLATE \"C\"" } else { "" }, back })
    }

    /// A value's text as an expression of the type.
    fn value(&self, text: &str) -> String {
        format!("{}::pg_catalog.{}{}", literal(text), self.ty, self.collate)
    }

    /// The expression `newest` moved back by `lag`; `None` if the type cannot.
    fn back(&self, lag: f64) -> Option<String> {
        let seconds = format!("pg_catalog.make_interval(secs => '{lag}'::pg_catalog.float8)");
        Some(match self.back {
            Back::Whole(least) => {
                format!("GREATEST(pg_catalog.floor(newest::pg_catalog.numeric - '{lag}'::pg_catalog.numeric), {least})")
            }
            Back::Number => format!("newest - '{lag}'::pg_catalog.numeric"),
            Back::Days => format!("(newest::pg_catalog.timestamp - {seconds})::pg_catalog.date"),
            Back::Time => format!("newest - {seconds}"),
            Back::Never => return None,
        })
    }
}

/// Finds the newest value of the cursor and with it the rows between the last load and this one.
///
/// # Errors
/// [`Code::CursorColumnMissing`] if the column is not there or has no order that can be kept, [`Code::InvalidField`] for a
/// `lag` that its type cannot have, [`Code::CellTooLarge`] if the newest value is too long to be kept, and the server's.
pub(super) async fn find(
    session: &mut Session,
    base: &Base,
    columns: &[(String, Type)],
    wish: &CursorWish,
) -> Result<Found> {
    let order = order(columns, &wish.column)?;
    let (from, column) = (base.derived(Part::All), ident(&wish.column));
    let key = format!("{column}{}", order.collate);
    let upper = match wish.lag.filter(|lag| *lag > 0.0) {
        None => "newest".to_owned(),
        Some(lag) => order.back(lag).ok_or_else(|| {
            Error::field("lag", Code::InvalidField, format!("a cursor of the type {} cannot have a lag", order.ty))
        })?,
    };
    let newest = format!(
        "SELECT pg_catalog.left(({upper})::pg_catalog.text, {}) FROM (SELECT {column} AS newest FROM {from} WHERE {column} IS NOT NULL \
         ORDER BY {key} DESC LIMIT 1) AS m",
        MOST_BYTES + 1
    );
    let Some(to) = session.text(&newest, &[]).await? else { return Ok(Found::Nothing) };
    if to.len() > MOST_BYTES {
        let column = &wish.column;
        let why = format!(
            "the newest value of the cursor `{column}` has more than {MOST_BYTES} bytes, the most that is kept"
        );
        return Err(Error::new(Code::CellTooLarge, why));
    }
    let upper = format!("{key} <= {}", order.value(&to));
    match &wish.after {
        Some(after) => {
            let (after_value, to_value) = (order.value(after), order.value(&to));
            let newer = session.text(&format!("SELECT 1 WHERE {to_value} > {after_value}"), &[]).await?;
            Ok(match newer {
                None => Found::Nothing,
                Some(_) => {
                    let filter = format!("{key} > {after_value} AND {upper}");
                    Found::Rows { filter, to, note: None }
                }
            })
        }
        None if wish.nulls => Ok(Found::Rows { filter: format!("({upper} OR {column} IS NULL)"), to, note: None }),
        None => {
            let unread = format!("SELECT pg_catalog.count(*)::pg_catalog.text FROM {from} WHERE {column} IS NULL");
            let unread = session.text(&unread, &[]).await?.filter(|count| count != "0");
            let note = unread.map(|count| TypeNote {
                column: wish.column.clone(),
                source_type: order.ty.to_owned(),
                table_type: order.ty.to_owned(),
                note: format!("{count} rows have no value in the cursor column and were not read"),
            });
            Ok(Found::Rows { filter: upper, to, note })
        }
    }
}

fn order(columns: &[(String, Type)], name: &str) -> Result<Order> {
    let missing = |why: String| Error::new(Code::CursorColumnMissing, why);
    let (_, ty) = columns
        .iter()
        .find(|(column, _)| column == name)
        .ok_or_else(|| missing(format!("the rows have no column `{name}` that could be the cursor")))?;
    Order::of(ty).ok_or_else(|| {
        missing(format!(
            "the column `{name}` is of the type {}, which cannot be the cursor; take an integer, a numeric, a date, a \
             timestamp, a text or a uuid",
            ty.name()
        ))
    })
}
