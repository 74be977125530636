//! Just enough of Thrift's compact protocol to look at a footer or page header before a decoder allocates by it.
use super::{FileError, Result};

/// Kinds of values, as their 4-bit codes.
pub(super) mod kind {
    pub const STOP: u8 = 0;
    pub const TRUE: u8 = 1;
    pub const FALSE: u8 = 2;
    pub const BYTE: u8 = 3;
    pub const I16: u8 = 4;
    pub const I32: u8 = 5;
    pub const I64: u8 = 6;
    pub const DOUBLE: u8 = 7;
    pub const BINARY: u8 = 8;
    pub const LIST: u8 = 9;
    pub const STRUCT: u8 = 12;
}

/// Structs within structs; a footer needs 8.
const MAX_DEPTH: usize = 24;

/// A place in encoded bytes.
pub(super) struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A field of a struct: its number and the kind of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub id: i16,
    pub kind: u8,
}

/// The bytes end in the middle of a value.
pub(super) fn cut_off() -> FileError {
    FileError::invalid("its metadata ends too early")
}

impl<'a> Walk<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    pub(super) const fn position(&self) -> usize {
        self.at
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        let byte = *self.bytes.get(self.at).ok_or_else(cut_off)?;
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(FileError::invalid("its metadata has a number of more than 64 bits"))
    }

    pub(super) fn integer(&mut self) -> Result<i64> {
        let coded = self.varint()?;
        Ok((coded >> 1) as i64 ^ -((coded & 1) as i64))
    }

    /// The next field of a struct whose last field had the number `last`; `None` at its end.
    pub(super) fn field(&mut self, last: i16) -> Result<Option<Field>> {
        let head = self.byte()?;
        let kind = head & 0x0f;
        if kind == kind::STOP {
            return Ok(None);
        }
        let id = match head >> 4 {
            0 => self.integer()? as i16,
            delta => last.saturating_add(i16::from(delta)),
        };
        Ok(Some(Field { id, kind }))
    }

    /// The number of a list's elements and their kind. There are at least as many bytes left as elements.
    pub(super) fn list(&mut self) -> Result<(usize, u8)> {
        let head = self.byte()?;
        let size = match head >> 4 {
            15 => self.varint()?,
            size => u64::from(size),
        };
        match usize::try_from(size) {
            Ok(size) if size <= self.bytes.len() - self.at => Ok((size, head & 0x0f)),
            _ => Err(FileError::invalid(format!("its metadata claims a list of {size} elements"))),
        }
    }

    /// Passes over a value.
    pub(super) fn skip(&mut self, kind: u8) -> Result<()> {
        self.skip_at(kind, 0)
    }

    fn skip_at(&mut self, kind: u8, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(FileError::invalid("its metadata is nested too deeply"));
        }
        match kind {
            kind::TRUE | kind::FALSE => Ok(()),
            kind::BYTE => self.pass(1),
            kind::I16 | kind::I32 | kind::I64 => self.varint().map(|_| ()),
            kind::DOUBLE => self.pass(8),
            kind::BINARY => {
                let length = self.varint()?;
                self.pass(usize::try_from(length).unwrap_or(usize::MAX))
            }
            kind::LIST => {
                let (size, element) = self.list()?;
                // Flags have a byte of their own in a list.
                let element = if element == kind::FALSE || element == kind::TRUE { kind::BYTE } else { element };
                (0..size).try_for_each(|_| self.skip_at(element, depth + 1))
            }
            kind::STRUCT => {
                let mut last = 0;
                while let Some(field) = self.field(last)? {
                    self.skip_at(field.kind, depth + 1)?;
                    last = field.id;
                }
                Ok(())
            }
            other => Err(FileError::invalid(format!("its metadata has a value of the unknown kind {other}"))),
        }
    }

    fn pass(&mut self, bytes: usize) -> Result<()> {
        match self.at.checked_add(bytes) {
            Some(end) if end <= self.bytes.len() => {
                self.at = end;
                Ok(())
            }
            _ => Err(cut_off()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_passed_over() {
        // 1: i32 = -1; 3: list of two strings; 4: true; 20: struct {}; end.
        let bytes = [0x15, 0x01, 0x29, 0x28, 0x01, b'a', 0x02, b'b', b'c', 0x11, 0x0c, 40, 0x00, 0x00];
        let mut walk = Walk::new(&bytes);
        assert!(walk.skip(kind::STRUCT).is_ok());
        assert_eq!(walk.position(), bytes.len());
        for end in 0..bytes.len() {
            assert!(Walk::new(&bytes[..end]).skip(kind::STRUCT).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn what_would_take_much_memory_is_refused() {
        let long_list = [0xf5, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
        assert!(Walk::new(&long_list).skip(kind::LIST).is_err());
        let deep = [0x1c; 100];
        assert!(Walk::new(&deep).skip(kind::STRUCT).is_err());
        let long_text = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert!(Walk::new(&long_text).skip(kind::BINARY).is_err());
    }
}
