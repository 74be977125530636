//! The `icehaul` binary: one program from a laptop to a cluster.
mod cli;
mod client;
mod config;
mod private_redis;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
