//! Real servers for the tests, on private ports, gone when the test process is.
pub mod postgres;
