//! The `icehaul` binary: one program from a laptop to a cluster.
mod cli;
mod client;
mod config;
mod private_redis;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // With huge pages the allocator holds on to more of what is free. Where the system has none, nothing is lost.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    cli::main()
}
