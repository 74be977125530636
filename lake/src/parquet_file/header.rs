//! Page headers.
use parquet::basic::Encoding;

use super::{
    FileError, Result,
    thrift::{Walk, kind},
};

/// What a page says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    /// Its length as encoded.
    pub length: usize,
    pub uncompressed: usize,
    pub compressed: usize,
    pub crc: Option<u32>,
    pub kind: Kind,
    pub values: u32,
    pub encoding: i64,
    pub definition: i64,
    pub repetition: i64,
    pub nulls: u32,
    pub rows: u32,
    pub definition_bytes: u32,
    pub repetition_bytes: u32,
    pub plain: bool,
}

/// The kinds of pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Data,
    Index,
    Dictionary,
    DataV2,
}

impl Header {
    /// Reads a header. The error is [`FileError::Invalid`] also if the bytes end too early.
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let mut walk = Walk::new(bytes);
        let mut header = Self::default();
        let (mut last, mut seen) = (0, 0_u32);
        while let Some(field) = walk.field(last)? {
            last = field.id;
            if (1..=8).contains(&field.id) {
                if seen & (1 << field.id) != 0 {
                    return Err(FileError::invalid("is broken: a page header says a thing twice"));
                }
                seen |= 1 << field.id;
            }
            match (field.id, field.kind) {
                (1, kind::I32) => header.kind = Kind::of(walk.integer()?)?,
                (2, kind::I32) => header.uncompressed = size(walk.integer()?)?,
                (3, kind::I32) => header.compressed = size(walk.integer()?)?,
                (4, kind::I32) => header.crc = Some(walk.integer()? as u32),
                (5, kind::STRUCT) => header.data(&mut walk)?,
                (7, kind::STRUCT) => header.dictionary(&mut walk)?,
                (8, kind::STRUCT) => header.data_v2(&mut walk)?,
                _ => walk.skip(field.kind)?,
            }
        }
        let own = match header.kind {
            Kind::Data => 5,
            Kind::Index => 1,
            Kind::Dictionary => 7,
            Kind::DataV2 => 8,
        };
        if [1, 2, 3, own].iter().any(|id| seen & (1 << id) == 0) {
            return Err(FileError::invalid("is broken: a page header lacks what it must say"));
        }
        header.length = walk.position();
        Ok(header)
    }

    fn data(&mut self, walk: &mut Walk<'_>) -> Result<()> {
        members(walk, |id, walk| {
            match id {
                1 => self.values = count(walk.integer()?)?,
                2 => self.encoding = walk.integer()?,
                3 => self.definition = walk.integer()?,
                4 => self.repetition = walk.integer()?,
                _ => return Ok(false),
            }
            Ok(true)
        })
    }

    fn dictionary(&mut self, walk: &mut Walk<'_>) -> Result<()> {
        members(walk, |id, walk| {
            match id {
                1 => self.values = count(walk.integer()?)?,
                2 => self.encoding = walk.integer()?,
                _ => return Ok(false),
            }
            Ok(true)
        })
    }

    fn data_v2(&mut self, walk: &mut Walk<'_>) -> Result<()> {
        let mut last = 0;
        while let Some(field) = walk.field(last)? {
            last = field.id;
            match (field.id, field.kind) {
                (1, kind::I32) => self.values = count(walk.integer()?)?,
                (2, kind::I32) => self.nulls = count(walk.integer()?)?,
                (3, kind::I32) => self.rows = count(walk.integer()?)?,
                (4, kind::I32) => self.encoding = walk.integer()?,
                (5, kind::I32) => self.definition_bytes = count(walk.integer()?)?,
                (6, kind::I32) => self.repetition_bytes = count(walk.integer()?)?,
                (7, kind::FALSE) => self.plain = true,
                _ => walk.skip(field.kind)?,
            }
        }
        Ok(())
    }

    /// Whether the values are places in the dictionary.
    pub(super) const fn by_dictionary(&self) -> bool {
        matches!(self.encoding, 2 | 8)
    }
}

impl Kind {
    fn of(code: i64) -> Result<Self> {
        Ok(match code {
            0 => Self::Data,
            1 => Self::Index,
            2 => Self::Dictionary,
            3 => Self::DataV2,
            _ => return Err(FileError::invalid(format!("has pages of the unknown kind {code}"))),
        })
    }
}

/// The numbers of a struct; `take` says whether it took the one with the id.
fn members(walk: &mut Walk<'_>, mut take: impl FnMut(i16, &mut Walk<'_>) -> Result<bool>) -> Result<()> {
    let mut last = 0;
    while let Some(field) = walk.field(last)? {
        last = field.id;
        if field.kind != kind::I32 || !take(field.id, walk)? {
            walk.skip(field.kind)?;
        }
    }
    Ok(())
}

fn count(number: i64) -> Result<u32> {
    match i32::try_from(number) {
        Ok(number) if number >= 0 => Ok(number.unsigned_abs()),
        _ => Err(FileError::invalid(format!("is broken: a page claims {number} values"))),
    }
}

fn size(number: i64) -> Result<usize> {
    match i32::try_from(number) {
        Ok(number) if number >= 0 => Ok(number.unsigned_abs() as usize),
        _ => Err(FileError::invalid(format!("is broken: a page claims {number} bytes"))),
    }
}

/// An encoding by its number in the format.
pub(super) fn encoding(number: i64) -> Result<Encoding> {
    #[expect(deprecated, reason = "old files have it")]
    Ok(match number {
        0 => Encoding::PLAIN,
        2 => Encoding::PLAIN_DICTIONARY,
        3 => Encoding::RLE,
        4 => Encoding::BIT_PACKED,
        5 => Encoding::DELTA_BINARY_PACKED,
        6 => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        7 => Encoding::DELTA_BYTE_ARRAY,
        8 => Encoding::RLE_DICTIONARY,
        9 => Encoding::BYTE_STREAM_SPLIT,
        _ => return Err(FileError::invalid(format!("has values in the unknown encoding {number}"))),
    })
}
