//! The pages of a job, one after the other: their columns are kept as long as they fit into memory, and else surveyed and
//! read a second time.
use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::{fetched::Fetched, newest::newest, order::Order, take::Taken};
use crate::{
    Code, Error, Result,
    config::Limits,
    extract::{Column, Note, Profile},
    secret::encode_hex,
};

/// The most that is told of pages.
const MOST_NOTES: usize = 200;

/// A page, without its rows.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub number: u32,
    pub url: String,
    pub at: DateTime<Utc>,
    pub rows: usize,
    /// The size of its body.
    pub bytes: usize,
    /// The SHA-256 of its body, if that is wanted.
    pub sha256: Option<String>,
}

/// What is known of all pages so far.
pub(super) struct Gathered {
    order: Order,
    pub pages: Vec<Seen>,
    /// The columns of each page, as long as all are kept.
    kept: Option<Vec<Arc<[Column]>>>,
    kept_bytes: usize,
    pub columns: Columns,
    /// What was said of pages, and of how many.
    notes: BTreeMap<(Option<String>, String), (Note, usize)>,
    digest: Sha256,
    /// The column of a cursor, and its newest value.
    pub cursor: Option<(String, Option<String>)>,
}

/// The columns of all pages, in the order in which they first appear.
#[derive(Default)]
pub(super) struct Columns {
    pub all: Vec<OneColumn>,
    /// Their places by names in small letters.
    places: BTreeMap<String, usize>,
}

pub(super) struct OneColumn {
    pub name: String,
    pub profile: Profile,
    /// The pages that have it.
    pub pages: usize,
}

impl Gathered {
    pub(super) fn new(order: &Order, cursor: Option<String>) -> Self {
        Self {
            order: order.clone(),
            pages: Vec::new(),
            kept: Some(Vec::new()),
            kept_bytes: 0,
            columns: Columns::default(),
            notes: BTreeMap::new(),
            digest: Sha256::new(),
            cursor: cursor.map(|column| (column, None)),
        }
    }

    /// Takes a page's rows.
    ///
    /// # Errors
    /// [`Code::TooManyColumns`].
    pub(super) async fn add(&mut self, page: &Fetched, taken: Taken, limits: &Limits) -> Result<()> {
        self.pages.push(Seen {
            number: page.number,
            url: page.url.to_string(),
            at: page.at,
            rows: taken.rows,
            bytes: page.body.len(),
            sha256: self.order.crawl.body_sha256.then(|| encode_hex(&page.digest())),
        });
        taken.notes.into_iter().for_each(|note| self.note(note));
        self.digest.update(taken.digest);
        if let Some((name, value)) = &mut self.cursor
            && let Some(column) = taken.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
        {
            *value = newest(value.take(), &column.cells);
        }
        self.columns.meet(&taken.columns, &self.order, limits.max_columns)?;
        let columns: Arc<[Column]> = taken.columns.into();
        match &mut self.kept {
            Some(kept) => {
                self.kept_bytes += taken.bytes;
                kept.push(columns);
                // One page alone is kept however large it is: reading it twice would take as much.
                if self.kept_bytes > limits.max_kept_bytes && kept.len() > 1 {
                    let kept = self.kept.take().unwrap_or_default();
                    self.survey(kept).await?;
                }
            }
            None => self.survey(vec![columns]).await?,
        }
        Ok(())
    }

    /// Looks at the cells of pages.
    async fn survey(&mut self, pages: Vec<Arc<[Column]>>) -> Result<()> {
        let mut columns = std::mem::take(&mut self.columns);
        let surveyed = tokio::task::spawn_blocking(move || {
            pages.iter().for_each(|page| columns.see(page));
            columns
        });
        self.columns = surveyed.await.map_err(panicked)?;
        Ok(())
    }

    /// Notes what is to be known about a page; what is said of many pages is said once.
    fn note(&mut self, note: Note) {
        let without_digits: String = note.text.chars().filter(|c| !c.is_ascii_digit()).take(100).collect();
        let key = (note.column.clone(), without_digits);
        if self.notes.len() < MOST_NOTES || self.notes.contains_key(&key) {
            self.notes.entry(key).or_insert((note, 0)).1 += 1;
        }
    }

    /// What was said of pages.
    pub(super) fn notes(&self) -> Vec<Note> {
        let count = self.pages.len();
        let told = |(note, pages): &(Note, usize)| match pages {
            pages if *pages > 1 => {
                Note { text: format!("{} (and so on {pages} of {count} pages)", note.text), ..note.clone() }
            }
            _ => note.clone(),
        };
        self.notes.values().map(told).collect()
    }

    /// The digest of all rows, in their order.
    pub(super) fn digest(&self) -> String {
        encode_hex(&self.digest.clone().finalize())
    }

    /// Ends: all columns are surveyed. The pages' columns, if all were kept.
    ///
    /// # Errors
    /// [`Code::Internal`].
    pub(super) async fn end(&mut self) -> Result<Option<Vec<Arc<[Column]>>>> {
        let kept = self.kept.take();
        if let Some(kept) = &kept {
            self.survey(kept.clone()).await?;
        }
        Ok(kept)
    }
}

fn panicked(error: tokio::task::JoinError) -> Error {
    Error::new(Code::Internal, "the look at pages panicked").caused_by(error)
}

impl Columns {
    /// Makes place for the columns of a page.
    fn meet(&mut self, page: &[Column], order: &Order, most: usize) -> Result<()> {
        for column in page {
            let next = self.all.len();
            let place = *self.places.entry(column.name.to_lowercase()).or_insert(next);
            if place == next {
                let profile = Profile::new(&order.crawl.extraction, order.given(&column.name).is_some());
                self.all.push(OneColumn { name: column.name.clone(), profile, pages: 0 });
            }
            if let Some(known) = self.all.get_mut(place) {
                known.pages += 1;
            }
        }
        match self.all.len() > most {
            true => Err(Error::new(Code::TooManyColumns, format!("the pages together have more than {most} columns"))),
            false => Ok(()),
        }
    }

    fn see(&mut self, page: &[Column]) {
        for column in page {
            if let Some(known) = self.place(&column.name).and_then(|place| self.all.get_mut(place)) {
                known.profile.see(column);
            }
        }
    }

    /// Where a column is, by its name in any case.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.places.get(&name.to_lowercase()).copied()
    }
}
