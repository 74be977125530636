//! The private Redis of `icehaul up`: reached by a socket in the data directory, kept when its parent is killed, taken up
//! again at the next start.
use std::{
    fs,
    io::{Read, Write},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::UnixStream,
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use icehaul_jobs::Secret;

/// A socket's path must fit into `sockaddr_un` (108 bytes with its NUL).
const LONGEST_SOCKET_PATH: usize = 100;

/// How long a Redis may take to load its append-only file and answer.
const START: Duration = Duration::from_secs(60);

/// How often is looked whether it lives.
const WATCH: Duration = Duration::from_secs(1);

/// A private Redis that answers.
pub struct PrivateRedis {
    socket: PathBuf,
    /// Whether it was running already.
    pub taken_up: bool,
    /// Set while it is to be kept running.
    kept: Arc<AtomicBool>,
}

impl PrivateRedis {
    /// Takes up the Redis of this data directory, or starts it.
    ///
    /// # Errors
    /// A sentence: no `redis-server` on the path, or it does not come up.
    pub fn start(data_dir: &Path) -> Result<Self, String> {
        let dir = data_dir.join("redis");
        make_private(&dir)?;
        let socket = socket_path(&dir)?;
        if answers(&socket) {
            return Ok(Self::keep(dir, socket, true));
        }
        launch(&dir, &socket)?;
        let begin = Instant::now();
        while !answers(&socket) {
            if begin.elapsed() > START {
                return Err(format!(
                    "the private Redis does not answer; its log is {}",
                    dir.join("redis.log").display()
                ));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Self::keep(dir, socket, false))
    }

    /// Starts it again whenever it has died: its append-only file has every job.
    fn keep(dir: PathBuf, socket: PathBuf, taken_up: bool) -> Self {
        let kept = Arc::new(AtomicBool::new(true));
        let (watched, keep) = (socket.clone(), kept.clone());
        std::thread::spawn(move || {
            while keep.load(Ordering::Relaxed) {
                std::thread::sleep(WATCH);
                // A Redis that is only busy still takes connections.
                if UnixStream::connect(&watched).is_err() && keep.load(Ordering::Relaxed) {
                    tracing::warn!("the private Redis has died; starting it again");
                    if let Err(error) = launch(&dir, &watched) {
                        tracing::error!(error, "the private Redis does not start");
                    }
                }
            }
        });
        Self { socket, taken_up, kept }
    }

    /// The URL that a client uses.
    pub fn url(&self) -> Secret {
        Secret::new(format!("redis+unix://{}", self.socket.display()))
    }

    /// Ends it after its data are on disk; for a stop in good order.
    pub fn stop(self) {
        self.kept.store(false, Ordering::Relaxed);
        let _ = ask(&self.socket, "SHUTDOWN SAVE");
        let begin = Instant::now();
        while answers(&self.socket) && begin.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The socket, in a folder that only we can enter: whoever answers there is ours.
fn socket_path(dir: &Path) -> Result<PathBuf, String> {
    let near = dir.join("redis.sock");
    if near.as_os_str().len() <= LONGEST_SOCKET_PATH {
        return Ok(near);
    }
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    dir.hash(&mut hasher);
    let folder = std::env::temp_dir().join(format!("icehaul-{:016x}", hasher.finish()));
    make_private(&folder)?;
    Ok(folder.join("redis.sock"))
}

/// Makes a folder that nobody else can enter. One that belongs to somebody else is refused.
fn make_private(dir: &Path) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("cannot use the folder {}: {e}", dir.display());
    fs::create_dir_all(dir).map_err(failed)?;
    let (found, mine) = (fs::symlink_metadata(dir).map_err(failed)?, fs::metadata("/proc/self").map_err(failed)?);
    if !found.is_dir() || found.uid() != mine.uid() {
        return Err(format!("the folder {} belongs to somebody else", dir.display()));
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(failed)
}

/// Starts it in a process group of its own, so that neither Ctrl-C nor the parent's death reaches it.
fn launch(dir: &Path, socket: &Path) -> Result<(), String> {
    let socket = socket.to_string_lossy();
    let path = dir.to_string_lossy();
    let settings: [(&str, &str); 9] = [
        ("--port", "0"),
        ("--unixsocket", &socket),
        ("--unixsocketperm", "700"),
        ("--dir", &path),
        ("--appendonly", "yes"),
        ("--appendfsync", "everysec"),
        ("--maxmemory-policy", "noeviction"),
        ("--save", ""),
        ("--logfile", "redis.log"),
    ];
    let started = Command::new("redis-server")
        .args(settings.iter().flat_map(|(name, value)| [*name, *value]))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir(dir)
        .process_group(0)
        .spawn();
    match started {
        Ok(mut child) => {
            // Reaped here if it ends while we live; it goes on if we end first.
            std::thread::spawn(move || child.wait());
            Ok(())
        }
        Err(e) => Err(format!(
            "cannot start redis-server ({e}): install it (Debian: `apt-get install redis-server`), or set ICEHAUL_REDIS_URL"
        )),
    }
}

fn answers(socket: &Path) -> bool {
    ask(socket, "PING").is_ok_and(|reply| reply.starts_with("+PONG"))
}

fn ask(socket: &Path, command: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(format!("{command}\r\n").as_bytes())?;
    let mut reply = [0; 64];
    let read = stream.read(&mut reply)?;
    Ok(String::from_utf8_lossy(&reply[..read]).into_owned())
}
