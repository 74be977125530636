//! Tests against real servers: one binary, a folder or file per capability.
mod queue;
