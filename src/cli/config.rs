//! `icehaul config check`.
use std::path::Path;

use super::print;
use crate::{client::Failure, config};

#[derive(clap::Args)]
pub struct Config {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Read the configuration and print it, secrets blanked.
    Check,
}

impl Config {
    pub fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let Action::Check = self.action;
        let config = config::Config::load(file, None).map_err(Failure::usage)?;
        print::json(&config.redacted());
        match &config.file {
            Some(file) => print::note(format_args!("(read from {})", file.display())),
            None => print::note("(no configuration file was read)"),
        }
        Ok(())
    }
}
