//! What a column's cells are, as far as their source says: JSON does, pages do not.
use std::{fmt, ops::BitOr};

use super::json::{Json, Strings};

/// A set of sorts of cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sorts(u8);

impl Sorts {
    /// No cell yet, or only NULLs.
    pub const NONE: Self = Self(0);
    /// Text that may be anything: of pages and XML.
    pub const FREE: Self = Self(1);
    /// Numbers.
    pub const NUMBER: Self = Self(2);
    /// Booleans.
    pub const BOOLEAN: Self = Self(4);
    /// Texts that are meant as such.
    pub const TEXT: Self = Self(8);
    /// Arrays and objects, as JSON.
    pub const NESTED: Self = Self(16);

    const NAMES: [(Self, &str); 5] = [
        (Self::FREE, "texts"),
        (Self::NUMBER, "numbers"),
        (Self::BOOLEAN, "booleans"),
        (Self::TEXT, "texts"),
        (Self::NESTED, "arrays or objects"),
    ];

    /// The sort of a value.
    #[must_use]
    pub const fn of(value: &Json<'_>, strings: Strings) -> Self {
        match (value, strings) {
            (Json::Null, _) => Self::NONE,
            (Json::Bool(_), _) => Self::BOOLEAN,
            (Json::Number(_), _) => Self::NUMBER,
            (Json::Text(_), Strings::Meant) => Self::TEXT,
            (Json::Text(_), Strings::Free) => Self::FREE,
            (Json::List(_) | Json::Object(_), _) => Self::NESTED,
        }
    }

    /// Whether there are several.
    #[must_use]
    pub const fn is_mixed(self) -> bool {
        self.0.count_ones() > 1
    }
}

impl BitOr for Sorts {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for Sorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::NAMES.iter().filter(|(sort, _)| sort.0 & self.0 != 0).map(|(_, name)| *name);
        f.write_str(&named.collect::<Vec<_>>().join(" and "))
    }
}
