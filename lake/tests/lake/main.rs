//! The lake against real catalogs and files: one binary, a file per capability.
mod commit;
mod doubt;
mod files;
mod help;
mod python;
mod race;
mod schema;
mod sql;
