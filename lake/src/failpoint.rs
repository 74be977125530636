//! Named places where the process-level crash tests stop, kill or fail us.
//!
//! `ICEHAUL_FAILPOINTS="commit.before_swap=stop;write.file_closed=pause:500"` is read once, at the first point reached.
//! Actions: `exit` (end the process at once, like a crash), `stop` (SIGSTOP to ourselves), `pause:<ms>`, `error`. Without
//! the variable a point costs one load of a static. It is never set in production; whoever can set the environment of
//! the process can do worse than this.
use std::{sync::OnceLock, time::Duration};

use crate::{Error, Kind, Result};

/// On Linux, whatever the processor.
const SIGCONT: i32 = 18;

/// Passes the named point, doing what the environment says for it.
///
/// # Errors
/// [`Kind::Internal`] where the environment says `error`.
pub async fn hit(point: &'static str) -> Result<()> {
    static POINTS: OnceLock<Vec<(String, String)>> = OnceLock::new();
    let points = POINTS.get_or_init(|| parse(&std::env::var("ICEHAUL_FAILPOINTS").unwrap_or_default()));
    match points.iter().find(|(name, _)| name == point) {
        None => Ok(()),
        Some((_, action)) => act(point, action).await,
    }
}

fn parse(text: &str) -> Vec<(String, String)> {
    let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, action)| (name.trim().to_owned(), action.trim().to_owned())).collect()
}

async fn act(point: &str, action: &str) -> Result<()> {
    tracing::warn!(point, action, "fail point reached");
    match action.split_once(':').unwrap_or((action, "")) {
        ("exit", _) => std::process::abort(),
        ("stop", _) => stop().await,
        ("pause", ms) => tokio::time::sleep(Duration::from_millis(ms.parse().unwrap_or(1000))).await,
        _ => return Err(Error::new(Kind::Internal, format!("fail point {point}"))),
    }
    Ok(())
}

/// Stops the whole process until it gets SIGCONT. By the shell's `kill`: the crate has no unsafe code and needs no libc.
async fn stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let id = std::process::id().to_string();
    let woken = signal(SignalKind::from_raw(SIGCONT));
    let sent = std::process::Command::new("sh").args(["-c", "kill -STOP \"$0\"", &id]).status();
    match (woken, sent) {
        // The signal stops one thread after the other: this one must not go on before it was its turn.
        (Ok(mut woken), Ok(_)) => drop(woken.recv().await),
        (Err(error), _) | (_, Err(error)) => tracing::warn!(%error, "cannot stop at a fail point"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn actions_are_read_by_name() {
        let points = super::parse("commit.before_swap=stop; write.file_closed=pause:5");
        assert_eq!(points[0], ("commit.before_swap".into(), "stop".into()));
        assert_eq!(points[1], ("write.file_closed".into(), "pause:5".into()));
    }
}
