//! Jobs that do nothing but behave in a certain way, and a file that tells what they did.
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::future::BoxFuture;
use icehaul_jobs::{Code, Error, Result};
use icehaul_worker::{Attempt, Runner};
use serde_json::{Value, json};
use tokio::time::sleep;

/// A runner whose payloads say how to behave: `{"do": "sleep", "ms": 100}` and so on. Each start and end is a line of
/// the marker file: `start|end|committed|refused <job> <attempt> <process>`.
pub struct Behaviour {
    marker: PathBuf,
}

impl Behaviour {
    /// Writes to this file.
    #[must_use]
    pub fn new(marker: &Path) -> Self {
        Self { marker: marker.to_owned() }
    }
}

/// The lines of a marker file that begin with this word, without it.
#[must_use]
pub fn marks(marker: &Path, word: &str) -> Vec<String> {
    let text = fs::read_to_string(marker).unwrap_or_default();
    text.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' ').map(str::to_owned)).collect()
}

impl Runner for Behaviour {
    fn run(&self, attempt: Attempt) -> BoxFuture<'static, Result<Value>> {
        let marker = self.marker.clone();
        Box::pin(async move {
            let job = &attempt.claimed;
            let line = format!("{} {} {}", job.id, job.attempt, std::process::id());
            let mark = |word: &str| mark(&marker, &format!("{word} {line}\n"));
            let order: Value = serde_json::from_str(&job.payload)
                .map_err(|e| Error::new(Code::UnreadablePayload, format!("the payload is unreadable: {e}")))?;
            let time = Duration::from_millis(order["ms"].as_u64().unwrap_or(0));
            mark("start")?;
            match order["do"].as_str().unwrap_or_default() {
                "sleep" => {
                    attempt
                        .stop
                        .or(async {
                            sleep(time).await;
                            Ok(())
                        })
                        .await?;
                }
                "ignore_stop" => sleep(time).await,
                "block" => std::thread::sleep(time),
                "fail" => return Err(Error::new(Code::SourceUnreachable, "the source does not answer")),
                "panic" => panic!("a job that panics, as it should in this test"),
                "abort" => std::process::abort(),
                "commit" => {
                    let gate = PathBuf::from(order["gate"].as_str().unwrap_or_default());
                    while !gate.exists() {
                        sleep(Duration::from_millis(5)).await;
                    }
                    if !(attempt.permission)().await {
                        mark("refused")?;
                        return Err(Error::new(Code::LeaseLost, "the commit was not permitted"));
                    }
                    mark("committed")?;
                }
                _ => {}
            }
            mark("end")?;
            Ok(json!({"rows_loaded": 1}))
        })
    }
}

/// One write to a file that is open for appending: lines of several processes do not mix.
fn mark(marker: &Path, line: &str) -> Result<()> {
    let write = || File::options().create(true).append(true).open(marker)?.write_all(line.as_bytes());
    write().map_err(|e| Error::new(Code::Internal, format!("the marker file: {e}")))
}
