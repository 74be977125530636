//! `DataFusion`'s errors as ours.
use datafusion::error::DataFusionError;

use crate::{Error, Kind};

/// Our own error if one came through `DataFusion`, else what the query did wrong.
pub fn ours(error: DataFusionError) -> Error {
    if let Some(own) = own(&error) {
        return Error::new(own.kind(), own.message()).caused_by(error);
    }
    let message = match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => {
            format!("the query needs more than {} MiB of memory: narrow it or sort less", super::MEMORY_BYTES >> 20)
        }
        root => plain(root),
    };
    let kind = match error.find_root() {
        DataFusionError::Internal(_) => Kind::Internal,
        _ => Kind::InvalidQuery,
    };
    Error::new(kind, message).caused_by(error)
}

fn own(error: &DataFusionError) -> Option<&Error> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if let Some(own) = cause.downcast_ref::<Error>() {
            return Some(own);
        }
        next = cause.source();
    }
    None
}

/// The message without `DataFusion`'s own layers.
fn plain(error: &DataFusionError) -> String {
    let text = error.strip_backtrace();
    let known = [
        "Error during planning: ",
        "Schema error: ",
        "Execution error: ",
        "This feature is not implemented: ",
        "Arrow error: ",
    ];
    known.iter().fold(text, |text, layer| text.strip_prefix(layer).map(str::to_owned).unwrap_or(text))
}
