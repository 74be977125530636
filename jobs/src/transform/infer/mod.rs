//! What type a column of texts has, and its values: nothing here knows where the texts come from.
//!
//! All cells decide, never a sample ([`Guess`]); what is not one plain type without doubt stays text. A value is only
//! taken as a number, a day or a moment if nothing of it is lost. [`Column`] then makes the values.
mod column;
mod guess;
mod kind;
mod number;
mod time;

pub use column::Column;
pub use guess::{Decided, Guess};
pub use kind::Kind;
pub use time::moment;
