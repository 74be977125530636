//! How pages are asked for: where a request may go, what a site permits, when to come again, which page is next. No I/O:
//! the HTTP client asks here before each connection, each redirect and each page.
pub mod egress;
pub mod pages;
pub mod retry_after;
pub mod robots;
