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

/// The processes that a process has started and that still run; none where there is no `/proc`.
#[must_use]
pub fn children(pid: u32) -> Vec<u32> {
    let is_child = |id: &u32| {
        // `pid (name) state ppid …`; a name may hold anything.
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        after_name.split_whitespace().nth(1) == Some(pid.to_string().as_str())
    };
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_child).collect()
}
