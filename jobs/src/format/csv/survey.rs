//! The look at a whole file: its columns, what their cells have in common, and where it can be cut.
//!
//! A large file is looked at in several places at once. Whether a line break there parts records is only known once all
//! before it was seen; so each piece is looked at as if it did, and again if the piece before it ends elsewhere.
use std::{ops::Range, sync::Arc};

use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::AbortOnDropHandle;

use super::{
    super::Blob,
    dialect::Dialect,
    names,
    records::Records,
    seen::{Look, Seen},
    text,
};
use crate::{Code, Ctx, Error, Result};

/// Where the begin is not certain, longer fields are taken as a sign that it is wrong, and memory is spared.
const LONGEST_GUESS: usize = 4 << 20;

/// What is known of a file after the look.
pub(super) struct Surveyed {
    /// The columns, in the file's order.
    pub names: Vec<String>,
    /// What their cells have in common.
    pub columns: Vec<Seen>,
    /// The pieces that can be read apart; one at least.
    pub pieces: Vec<Piece>,
}

/// A part of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Piece {
    /// The bytes of its records, if they can be read without those before them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Range<u64>>,
    /// The line of its first record.
    pub line: u64,
    /// The number of its records.
    pub rows: u64,
}

/// A file that is being looked at.
pub(super) struct Survey {
    pub blob: Arc<dyn Blob>,
    pub dialect: Arc<Dialect>,
    pub ctx: Ctx,
    /// Holds down how many pieces are read at once, over all files.
    pub room: Arc<Semaphore>,
    /// How many pieces of this file may be under way.
    pub width: usize,
    /// How large the pieces are, in bytes.
    pub piece: u64,
}

impl Survey {
    /// Looks at all of it. `None` for a file that has no record at all.
    ///
    /// # Errors
    /// The file's, and its faults as a CSV file.
    pub(super) async fn run(self: Arc<Self>) -> Result<Option<Surveyed>> {
        let small = self.blob.size() <= 2 * self.piece;
        let mut room = None;
        if small {
            room = Some(self.room().await?);
        }
        let mut opened = text::open(&self.blob, &self.dialect, &self.ctx.limits, small).await?;
        if opened.plain.is_none() && !small {
            room = Some(self.room().await?);
            opened = text::open(&self.blob, &self.dialect, &self.ctx.limits, true).await?;
        }
        let mark = opened.plain;
        let mut records = self.records(opened.chunks).starting_at(mark.unwrap_or(0), 1);
        let Some(names) = names_of(&mut records, self.blob.name(), self.dialect.header).await? else {
            return Ok(None);
        };
        let columns: Vec<_> = names.iter().map(|name| self.column(name)).collect();
        let mut surveyed = Surveyed { names, columns: columns.clone(), pieces: Vec::new() };
        if mark.is_some() && !small {
            self.pieces(records.offset, records.line, columns, &mut surveyed).await?;
        } else {
            let line = records.line;
            surveyed.add(Look::at(records, columns).await?, line, 0, mark.is_some());
        }
        drop(room);
        Ok(Some(surveyed))
    }

    /// Looks at all records from a place on, at several pieces at once.
    async fn pieces(self: &Arc<Self>, from: u64, line: u64, columns: Vec<Seen>, all: &mut Surveyed) -> Result<()> {
        let (size, piece) = (self.blob.size(), self.piece);
        let starts = (1..)
            .map(move |n| n * piece)
            .skip_while(move |start| *start <= from)
            .take_while(move |start| *start < size);
        let ends: Vec<u64> = starts.chain([size]).collect();
        let starts: Vec<u64> = [from].into_iter().chain(ends.iter().copied()).take(ends.len()).collect();
        let mut looks = stream::iter(starts.into_iter().zip(ends))
            .map(|(start, end)| {
                let look = self.clone().guess_at(start..end, start == from, columns.clone());
                let look = AbortOnDropHandle::new(tokio::spawn(look));
                async move { (end, look.await.ok().flatten()) }
            })
            .buffered(self.width);
        let (mut at, mut line) = (from, line);
        while let Some((end, look)) = looks.next().await {
            if at >= end {
                continue; // A record of the piece before reaches over all of this one.
            }
            let (look, before) = match look.filter(|look| look.from == at) {
                Some(look) => (look, line - 1),
                None => (self.look_again(at, end, line, columns.clone()).await?, 0),
            };
            let (to, lines) = (look.to, look.lines);
            all.add(look, line, before, true);
            (at, line) = (to, line + lines);
        }
        Ok(())
    }

    /// Looks at a piece as if its first line break parted two records. `None` if that is seen not to be so; an error may
    /// only come of the wrong begin.
    async fn guess_at(self: Arc<Self>, bytes: Range<u64>, certain: bool, columns: Vec<Seen>) -> Option<Look> {
        let _room = self.room().await.ok()?;
        // The line break may be the byte before.
        let begin = if certain { bytes.start } else { bytes.start - 1 };
        let mut records = self.slice(begin..bytes.end, 1).at_most(LONGEST_GUESS);
        if !certain && !records.skip_line().await.ok()? {
            return None;
        }
        Look::at(records, columns).await.ok()
    }

    /// Looks at a piece whose begin is certain.
    async fn look_again(&self, from: u64, end: u64, line: u64, columns: Vec<Seen>) -> Result<Look> {
        let _room = self.room().await?;
        Look::at(self.slice(from..end, line), columns).await
    }

    /// The records that begin in some bytes.
    fn slice(&self, bytes: Range<u64>, line: u64) -> Records {
        let chunks = text::plain(&self.blob, bytes.clone());
        self.records(chunks).starting_at(bytes.start, line).until(bytes.end)
    }

    fn records(&self, chunks: text::Chunks) -> Records {
        Records::new(chunks, self.blob.name().into(), self.dialect.clone(), &self.ctx)
    }

    async fn room(&self) -> Result<OwnedSemaphorePermit> {
        let room = self.ctx.stop.or(async { Ok(self.room.clone().acquire_owned().await) }).await?;
        room.map_err(|e| Error::new(Code::Internal, "the look at the files was given up").caused_by(e))
    }

    /// A column before any cell.
    fn column(&self, name: &str) -> Seen {
        if self.dialect.kinds.contains_key(name) { Seen::given() } else { Seen::default() }
    }
}

impl Surveyed {
    /// Adds what follows. The look has counted its lines from `before` on.
    fn add(&mut self, look: Look, line: u64, before: u64, cut: bool) {
        let piece = Piece { bytes: cut.then_some(look.from..look.to), line, rows: look.rows };
        for (column, seen) in self.columns.iter_mut().zip(look.columns) {
            column.merge(seen, before);
        }
        if look.rows > 0 || self.pieces.is_empty() {
            self.pieces.push(piece);
        }
    }
}

/// The names of a file's columns. Afterwards the first record of values is the next; `None` if there are no records.
pub(super) async fn names_of(records: &mut Records, file: &str, header: bool) -> Result<Option<Vec<String>>> {
    if !header {
        return Ok(records.width().await?.map(names::numbered));
    }
    records.header().await?.map(|header| names::names(file, header)).transpose()
}
