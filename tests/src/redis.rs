//! A Redis of one's own, with an append-only file, that can die and come back.
use std::{
    io,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use redis::{Client, Connection};
use tempfile::TempDir;

use crate::{free_port, signal};

/// A `redis-server` on a free port of this machine; it stops when this is dropped.
pub struct RedisServer {
    port: u16,
    folder: TempDir,
    child: Child,
    options: Vec<String>,
}

impl RedisServer {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// The system's; `redis-server` is not there or does not start.
    pub fn start() -> io::Result<Self> {
        Self::start_with(&[])
    }

    /// Starts one with more options, such as `["--maxmemory", "1mb"]`.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub fn start_with(options: &[&str]) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        let child = spawn(port, &folder, &options)?;
        let server = Self { port, folder, child, options };
        server.wait()?;
        Ok(server)
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A connection for the test itself.
    ///
    /// # Errors
    /// It does not answer.
    pub fn connection(&self) -> io::Result<Connection> {
        Client::open(self.url()).and_then(|client| client.get_connection()).map_err(io::Error::other)
    }

    /// Ends it at once (`kill -9`); its append-only file stays.
    ///
    /// # Errors
    /// The system's.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(|_| ())
    }

    /// Starts it again on the same port and files.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub fn start_again(&mut self) -> io::Result<()> {
        self.child = spawn(self.port, &self.folder, &self.options)?;
        self.wait()
    }

    /// Sends a signal: `STOP` freezes it, `CONT` lets it go on.
    ///
    /// # Errors
    /// The system's.
    pub fn signal(&self, name: &str) -> io::Result<()> {
        signal(self.child.id(), name)
    }

    /// Cuts every connection but the one that says so.
    ///
    /// # Errors
    /// It does not answer.
    pub fn cut_connections(&self) -> io::Result<()> {
        let mut connection = self.connection()?;
        let kill = redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").exec(&mut connection);
        kill.map_err(io::Error::other)
    }

    /// How many bytes it holds.
    ///
    /// # Errors
    /// It does not answer.
    pub fn used_memory(&self) -> io::Result<u64> {
        let info: String = redis::cmd("INFO").arg("memory").query(&mut self.connection()?).map_err(io::Error::other)?;
        let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
        line.and_then(|bytes| bytes.trim().parse().ok()).ok_or_else(|| io::Error::other("INFO has no used_memory"))
    }

    fn wait(&self) -> io::Result<()> {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let ping = self.connection().and_then(|mut to| redis::cmd("PING").exec(&mut to).map_err(io::Error::other));
            match ping {
                Err(_) if Instant::now() < until => sleep(Duration::from_millis(5)),
                answer => return answer,
            }
        }
    }
}

fn spawn(port: u16, folder: &TempDir, options: &[String]) -> io::Result<Child> {
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--port", &port.to_string(), "--dir"])
        .arg(folder.path())
        .args(options)
        .stdout(Stdio::null())
        .spawn()
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may be stopped or dead already; then there is nothing left to do.
        let _ = self.kill();
    }
}
