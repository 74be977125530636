//! The parts of `crawl` that ask nobody.
#[path = "../../jobs/src/crawl/pages.rs"]
pub mod pages;
#[path = "../../jobs/src/crawl/retry_after.rs"]
pub mod retry_after;
#[path = "../../jobs/src/crawl/robots.rs"]
pub mod robots;
