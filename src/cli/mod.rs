//! The command line: one file per subcommand.
#![expect(clippy::print_stdout, reason = "the command line speaks on the terminal")]
mod audit;
mod bulk;
mod config;
mod fingerprint;
mod follow;
mod jobs;
mod migrate;
mod print;
mod query;
mod scrape;
mod serve;
mod submit;
mod tables;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::client::{Client, DEFAULT_URL, Failure};

/// What the end of the program tells.
const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed, or the job has; 2 wrong usage, request or configuration; \
    3 no answer any more, the job may go on; 130 Ctrl-C, the job goes on";

/// Moves data into Apache Iceberg and proves that all of it arrived.
#[derive(Parser)]
#[command(name = "icehaul", version, subcommand_required = true, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Cli {
    /// The configuration file; default: the working directory's `icehaul.toml` if it is there.
    #[arg(long, global = true, env = "ICEHAUL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run API and worker in one process, with a private Redis if none is configured.
    Up(serve::Up),
    /// Run the API only.
    Api(serve::Up),
    /// Run a worker only.
    Worker(serve::Worker),
    /// List, show, watch, cancel and retry jobs.
    Jobs(jobs::Jobs),
    /// List tables; show one, its snapshots or its first rows.
    Tables(tables::Tables),
    /// Run a read-only SQL query.
    Query(query::Query),
    /// Compute the fingerprint of a table.
    Fingerprint(fingerprint::Fingerprint),
    /// Show the audit trail, or check its chain of hashes.
    Audit(audit::Audit),
    /// Look at the configuration.
    Config(config::Config),
}

/// What every client command takes.
#[derive(Args)]
struct Connect {
    /// The running Icehaul.
    #[arg(long, global = true, env = "ICEHAUL_URL", default_value = DEFAULT_URL)]
    url: String,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

impl Connect {
    fn client(&self) -> Result<Client, Failure> {
        Client::new(&self.url)
    }
}

/// Runs the program; gives one of the [`EXIT_CODES`].
pub fn main() -> ExitCode {
    let matches = Cli::command().subcommands(submit::commands()).subcommands(migrate::commands());
    let matches = matches.subcommand(scrape::command()).get_matches();
    let done = match matches.subcommand() {
        Some((verb, rest)) if submit::is_verb(verb) => block_on(submit::run(verb, rest)),
        Some((name, rest)) if migrate::is_pair(name) => block_on(migrate::run(name, rest)),
        Some((scrape::NAME, rest)) => block_on(scrape::run(rest)),
        _ => match Cli::from_arg_matches(&matches) {
            Ok(cli) => run(cli),
            Err(e) => e.exit(),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            print::note(format_args!("icehaul: {}", failure.message));
            ExitCode::from(failure.exit)
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let file = cli.config.as_deref();
    match cli.command {
        Command::Up(up) => up.run(file),
        Command::Api(api) => api.run_api(file),
        Command::Worker(worker) => worker.run(file),
        Command::Jobs(jobs) => block_on(jobs.run()),
        Command::Tables(tables) => block_on(tables.run()),
        Command::Query(query) => block_on(query.run()),
        Command::Fingerprint(fingerprint) => block_on(fingerprint.run()),
        Command::Audit(audit) => block_on(audit.run()),
        Command::Config(config) => config.run(file),
    }
}

/// Client commands need no more than one thread.
fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|e| Failure::new(format!("cannot start: {e}")))?.block_on(work)
}
