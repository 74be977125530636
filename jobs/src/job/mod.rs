//! How each kind of job runs. Adding a kind: one new file here, and its name in `spec/mod.rs`.
mod load;
mod upload;

pub(crate) use load::run as run_load;
pub use load::source_columns;
pub use upload::UploadS3;
