//! Files of this machine, below the configured folders only.
//!
//! `find` turns a path or pattern into files, each pinned as it is now (`local`); every path is opened by `beneath`, so
//! that nothing outside of the folders is read whatever links there are.
mod beneath;
mod find;
mod local;

use std::sync::Arc;

use chrono::Utc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::{
    find::{find, pinned},
    local::blocking,
};
use super::{
    Names, Plan, Source, Split, Wish,
    many::{self, Found},
    pattern::Pattern,
};
use crate::{
    Batches, Code, Ctx, Error, FieldError, Result,
    config::Beneath,
    format::{Blob, Reading},
    transform::{Mark, MarkKind},
};

/// The lineage columns of files.
const LINEAGE: &[(&str, MarkKind)] = &[("source_file", MarkKind::Text), ("loaded_at", MarkKind::Time)];

/// Files on the machine of the worker.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Files {
    /// The file, below one of the configured `file_roots`, as the worker sees it; or a pattern of many: `*`, `?`, `[…]`
    /// and `{…,…}` within a name, `**` for any folders.
    #[schemars(example = &"/data/orders-*.csv.gz")]
    pub file_path: String,
    /// How the files are read.
    #[serde(flatten)]
    pub reading: Reading,
}

impl Source for Files {
    const TITLE: &'static str = "a file";

    fn check(&self) -> Vec<FieldError> {
        let is_pattern = Pattern::is_meant(&self.file_path);
        let mut faults = many::check(&self.reading, "file_path", &self.file_path, !is_pattern);
        if let (true, Err(detail)) = (is_pattern, Pattern::new(&self.file_path)) {
            faults.push(FieldError { field: "file_path".into(), code: Code::InvalidField, detail });
        }
        faults
    }

    fn check_names(&self, names: &Names<'_>) -> Vec<FieldError> {
        names.roots.place("file_path", &self.file_path).err().into_iter().collect()
    }

    fn old_keys(&self, result: &Value) -> Vec<(&'static str, Value)> {
        vec![("rows", result["rows_loaded"].clone())]
    }

    async fn plan(&self, ctx: &Ctx, wish: &Wish) -> Result<Plan> {
        let place = place("file_path", &self.file_path, ctx)?;
        let (origin, most) = (format!("file://{}", place.root.join(&place.rest).display()), ctx.limits.max_files);
        let files = ctx.stop.or(blocking(move || find(place, most))).await?;
        let at = Mark::Time(Utc::now());
        let found = files.into_iter().map(|blob| {
            let marks = [Mark::Text(blob.name().to_owned()), at.clone()].into();
            Found { blob: Arc::new(blob), marks }
        });
        many::plan(ctx, &self.reading, wish, origin, LINEAGE, found.collect()).await
    }

    async fn read(&self, ctx: &Ctx, plan: &Plan, split: &Split) -> Result<Batches> {
        many::read(ctx, plan, split)
    }
}

/// Where a path of the request lies.
///
/// # Errors
/// See [`FileRoots::place`].
fn place(field: &str, path: &str, ctx: &Ctx) -> Result<Beneath> {
    ctx.file_roots.place(field, path).map_err(|fault| Error::fields(vec![fault]))
}

/// One file, pinned as it is now, to be sent elsewhere.
///
/// # Errors
/// Those of finding it.
pub(crate) async fn one(field: &str, path: &str, ctx: &Ctx) -> Result<Arc<dyn Blob>> {
    let place = place(field, path, ctx)?;
    let file = ctx.stop.or(blocking(move || pinned(place))).await?;
    Ok(Arc::new(file))
}
