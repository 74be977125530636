//! Connections to Redis: they open on first use, heal by themselves, and their failures become ours.
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, Pipeline, RedisError, ScriptInvocation,
    aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
};

use crate::{Code, Error, Result};

/// How long a command may take before Redis counts as away.
pub(super) const RESPONSE: Duration = Duration::from_secs(5);
/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(2);
/// How often a command is given to Redis if the connection breaks under it.
const TRIES: u32 = 3;
/// How many idle blocking connections are kept.
const IDLE: usize = 8;

/// Calls again, a few times, if the connection breaks under the call.
macro_rules! repeat {
    ($call:expr) => {{
        let mut tries = 1;
        loop {
            match $call.await {
                Err(e) if tries < TRIES && e.is_connection_dropped() && !e.is_timeout() => {
                    tokio::time::sleep(Duration::from_millis(20) * tries).await;
                    tries += 1;
                }
                answer => return answer.map_err(unavailable),
            }
        }
    }};
}

/// One shared connection for commands, and a few for commands that block.
#[derive(Clone)]
pub(super) struct Connection {
    client: Client,
    commands: ConnectionManager,
    idle: Arc<Mutex<Vec<MultiplexedConnection>>>,
}

impl Connection {
    pub(super) fn new(url: &str) -> Result<Self> {
        // Another part of the process may have installed one already; both are ring's.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self::open(client(url)?)
    }

    /// The same server over connections of their own.
    pub(super) fn another(&self) -> Result<Self> {
        Self::open(self.client.clone())
    }

    fn open(client: Client) -> Result<Self> {
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(RESPONSE))
            .set_connection_timeout(Some(CONNECT))
            .set_number_of_retries(2)
            .set_max_delay(Duration::from_millis(200));
        let commands = ConnectionManager::new_lazy_with_config(client.clone(), config).map_err(unavailable)?;
        Ok(Self { client, commands, idle: Arc::default() })
    }

    /// Runs a script; it is repeated if the connection breaks, so it must be one that may be.
    pub(super) async fn script<T: FromRedisValue>(&self, call: &ScriptInvocation<'_>) -> Result<T> {
        repeat!(call.invoke_async(&mut self.commands.clone()))
    }

    /// Runs a command; repeated if the connection breaks.
    pub(super) async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        repeat!(command.query_async(&mut self.commands.clone()))
    }

    /// Runs several commands in one round trip; repeated if the connection breaks.
    pub(super) async fn pipeline<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T> {
        repeat!(pipeline.query_async(&mut self.commands.clone()))
    }

    /// Runs a command that waits inside Redis for at most `time`, on a connection that nobody else waits for.
    pub(super) async fn blocking<T: FromRedisValue>(&self, command: &Cmd, time: Duration) -> Result<T> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => {
                let config =
                    AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(None);
                self.client.get_multiplexed_async_connection_with_config(&config).await.map_err(unavailable)?
            }
        };
        let answer = tokio::time::timeout(time + RESPONSE, command.query_async(&mut connection)).await;
        let value = answer.map_err(|_| silent())?.map_err(unavailable)?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(connection);
        }
        Ok(value)
    }
}

/// Reads a URL. The cause of a failure is dropped: it may repeat the URL, and that may hold a password.
fn client(url: &str) -> Result<Client> {
    Client::open(url).map_err(|_| {
        let message = "the Redis URL is not understood: it must be redis://…, rediss://… or redis+unix:///…";
        Error::new(Code::QueueUnavailable, message)
    })
}

/// Whether this could be the URL of a Redis; nothing is reached.
///
/// # Errors
/// [`Code::QueueUnavailable`] with a sentence that does not repeat it.
pub fn check_url(url: &str) -> Result<()> {
    client(url).map(drop)
}

fn silent() -> Error {
    Error::new(Code::QueueUnavailable, "Redis does not answer in time; the call may be repeated")
}

/// Whether the command may have run although its answer did not come.
pub(super) fn may_have_run(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<RedisError>());
    cause.is_some_and(|cause| (cause.is_timeout() || cause.is_io_error()) && !cause.is_connection_refusal())
}

/// What the user can do about a failure of Redis. Its own words go to the log only.
pub(super) fn unavailable(error: RedisError) -> Error {
    let message = match error.code() {
        Some("OOM") => "Redis is out of memory and refuses writes: raise its maxmemory",
        Some("READONLY") => "this Redis is a replica and refuses writes: the URL must name the primary",
        Some("MISCONF") => "Redis cannot save to its disk and refuses writes: look at its log and free space",
        Some("WRONGTYPE") => "another program uses keys of this queue: give it a name of its own (queue.name)",
        Some("NOAUTH" | "WRONGPASS" | "NOPERM") => "Redis refuses the user or password in its URL",
        Some("LOADING" | "BUSY" | "MASTERDOWN" | "TRYAGAIN") => "Redis is starting or busy; it will answer soon",
        _ if error.kind() == ::redis::ErrorKind::AuthenticationFailed => {
            "Redis refuses the user or password in its URL"
        }
        _ if error.is_timeout() => return silent().caused_by(error),
        _ if error.is_io_error() => "Redis cannot be reached; the call may be repeated",
        _ => "Redis refuses a command of the queue; its log says more",
    };
    Error::new(Code::QueueUnavailable, message).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_url_is_not_repeated() {
        let error = Connection::new("http://user:hunter2@host").err().expect("refused");
        assert_eq!(error.code(), Code::QueueUnavailable);
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[test]
    fn failures_say_what_to_do() {
        let of = |code: &str| unavailable(::redis::make_extension_error(code.into(), Some("detail".into())));
        assert!(of("OOM").message().contains("maxmemory"));
        assert!(of("WRONGTYPE").message().contains("queue.name"));
        assert_eq!(of("READONLY").code(), Code::QueueUnavailable);
        assert!(of("ERR").message().contains("refuses"));
    }
}
