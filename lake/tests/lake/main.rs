//! The lake against real catalogs and files: one binary, a file per capability.
mod commit;
mod help;
