//! How pages are asked for: where a request may go, what a site permits, whose turn it is, when to come again, which page
//! is next. [`Manners`] are the request's wishes.
mod auth;
pub mod browser;
pub mod egress;
mod lease;
mod login;
mod manners;
mod oauth;
mod page;
pub mod pages;
mod retries;
pub mod retry_after;
pub mod robots;
mod rules;
mod session;
mod sites;
mod turn;
mod visit;

pub use auth::{Auth, Basic, Login, OAuth2};
pub use manners::Manners;
pub use page::{Ask, Page, Validators, judge};
pub use sites::Sites;
pub use turn::Turn;
pub use visit::Visits;
