//! Pages and APIs of the web.
//!
//! The plan is the crawl: page after page is fetched (or taken from the `spool`, if an earlier attempt had it), read into
//! columns of text on a thread of its own (`take`), and kept or surveyed (`gather`). When all pages are there their
//! cells decide on types (`plan`), and the splits give batches (`read`).
mod address;
mod check;
mod content;
mod crawl;
mod fetch;
mod fetched;
mod gather;
mod newest;
mod order;
mod plan;
mod read;
mod request;
mod spool;
mod take;
mod unchanged;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::order::Order;
pub use self::request::{Content, Crawl, Nested, OnBadValue, OnEmpty, Partial, Render, Scalar, Since};
use super::{Names, Place, Plan, Source, Split, Wish};
use crate::{Batches, Ctx, FieldError, Result, Secret, crawl::browser::Rendering};

/// A page, or pages, of the web.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Page {
    /// What is read.
    #[serde(flatten)]
    pub crawl: Crawl,
    /// How a page is read.
    #[serde(default)]
    pub render: Render,
    /// What the browser does before the page is read.
    #[serde(flatten)]
    pub rendering: Rendering,
}

/// An API that answers in JSON or XML.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Api {
    /// What is read.
    #[serde(flatten)]
    pub crawl: Crawl,
    /// Parameters that are added to the address.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Scalar>,
    /// With `mode` `incremental`: how the API is asked for what is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Since>,
}

impl Source for Page {
    const TITLE: &'static str = "a web page";

    fn check(&self) -> Vec<FieldError> {
        check::page(self)
    }

    fn check_names(&self, names: &Names<'_>) -> Vec<FieldError> {
        check::names(&self.crawl, names)
    }

    fn secrets(&mut self) -> Vec<&mut Secret> {
        self.crawl.manners.secrets()
    }

    fn old_keys(&self, result: &Value) -> Vec<(&'static str, Value)> {
        vec![("rows_scraped", result["rows_loaded"].clone()), ("source_url", self.crawl.url.clone().into())]
    }

    async fn plan(&self, ctx: &Ctx, wish: &Wish) -> Result<Plan> {
        Box::pin(plan::plan(ctx, Order::of_page(self)?, wish)).await
    }

    async fn read(&self, ctx: &Ctx, plan: &Plan, split: &Split) -> Result<Batches> {
        read::read(ctx, plan, split)
    }

    async fn forget(&self, ctx: &Ctx, place: &Place, done: bool) {
        spool::forget(ctx, place, self.crawl.keep_raw, done).await;
    }
}

impl Source for Api {
    const TITLE: &'static str = "a web API";
    const INCREMENTAL: bool = true;
    const LAGS: bool = false;

    fn check(&self) -> Vec<FieldError> {
        check::api(self)
    }

    fn check_names(&self, names: &Names<'_>) -> Vec<FieldError> {
        check::names(&self.crawl, names)
    }

    fn secrets(&mut self) -> Vec<&mut Secret> {
        self.crawl.manners.secrets()
    }

    fn cursor_source(&self, _: &Ctx) -> Result<String> {
        let order = Order::of_api(self, None)?;
        Ok(format!("{}#{}", order.origin(), &order.key()[..16]))
    }

    fn old_keys(&self, result: &Value) -> Vec<(&'static str, Value)> {
        vec![("records", result["rows_loaded"].clone()), ("source_url", self.crawl.url.clone().into())]
    }

    async fn plan(&self, ctx: &Ctx, wish: &Wish) -> Result<Plan> {
        let after = wish.cursor.as_ref().and_then(|cursor| cursor.after.as_deref());
        Box::pin(plan::plan(ctx, Order::of_api(self, after)?, wish)).await
    }

    async fn read(&self, ctx: &Ctx, plan: &Plan, split: &Split) -> Result<Batches> {
        read::read(ctx, plan, split)
    }

    async fn forget(&self, ctx: &Ctx, place: &Place, done: bool) {
        spool::forget(ctx, place, self.crawl.keep_raw, done).await;
    }
}
