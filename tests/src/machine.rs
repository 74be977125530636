//! Ports and processes of this machine.
use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    process::Command,
};

/// A port that nobody listens on now.
///
/// # Errors
/// The system's.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Sends a signal (`STOP`, `CONT`, `TERM`, `KILL`) to a process that the caller has started.
///
/// # Errors
/// The system's, and that of a process that is not there.
pub fn signal(pid: u32, name: &str) -> io::Result<()> {
    // The shell's own `kill`: the program of that name is not on every machine.
    let status = Command::new("sh").args(["-c", "kill -\"$0\" \"$1\"", name, &pid.to_string()]).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("kill -{name} {pid}: {status}"))) }
}
