//! The `icehaul` binary: one program from a laptop to a cluster.
mod cli;
mod client;
mod config;
mod private_redis;

use std::os::unix::process::CommandExt;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the allocator holds on to memory that is free, in milliseconds: a second by default, which is as much again as
/// a service of many jobs needs at its peak.
const PURGE_DELAY: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "10");

fn main() -> std::process::ExitCode {
    // With huge pages the allocator holds on to more of what is free. Where the system has none, nothing is lost.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    purge_soon();
    cli::main()
}

/// Starts the program anew with the allocator's setting, which it reads before anything of ours runs. Only where jobs run;
/// if it cannot be, more memory is held.
fn purge_soon() {
    let mut arguments = std::env::args_os().skip(1);
    let runs_jobs = arguments.next().is_some_and(|command| command == "up" || command == "worker");
    if let (true, None, Ok(program)) = (runs_jobs, std::env::var_os(PURGE_DELAY.0), std::env::current_exe()) {
        let mut again = std::process::Command::new(program);
        let _ = again.args(std::env::args_os().skip(1)).env(PURGE_DELAY.0, PURGE_DELAY.1).exec();
    }
}
