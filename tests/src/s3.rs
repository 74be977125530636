//! An S3 server of one's own (`versitygw`), over a folder whose files are the objects.
use std::{
    collections::BTreeSet,
    env, fs, io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::machine::{free_port, signal};

/// The server's keys.
pub const ACCESS_KEY: &str = "icehaul-tests";
/// The secret one.
pub const SECRET_KEY: &str = "icehaul-tests-secret";

/// A server on a free port of this machine; it stops when this is dropped.
pub struct S3Server {
    port: u16,
    folder: TempDir,
    child: Child,
}

impl S3Server {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// The system's; `ICEHAUL_TEST_VERSITYGW` does not name the program (`test.sh` installs it).
    pub fn start() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let server = Self { port, child: spawn(port, folder.path())?, folder };
        server.wait()?;
        Ok(server)
    }

    /// Starts one with an empty bucket.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub fn with_bucket(name: &str) -> io::Result<Self> {
        let server = Self::start()?;
        server.make_bucket(name)?;
        Ok(server)
    }

    /// Where it is.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The same as `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Makes an empty bucket.
    ///
    /// # Errors
    /// The system's.
    pub fn make_bucket(&self, name: &str) -> io::Result<()> {
        fs::create_dir_all(self.bucket(name))
    }

    /// The folder of a bucket: its files are the objects, seen and written past the server.
    #[must_use]
    pub fn bucket(&self, name: &str) -> PathBuf {
        self.folder.path().join("data").join(name)
    }

    /// The keys of a bucket's objects.
    #[must_use]
    pub fn keys(&self, bucket: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let root = self.bucket(bucket);
        collect(&root, &root, &mut found);
        found.retain(|key| !key.starts_with(TEMPORARY));
        found
    }

    /// The parts of uploads that are neither done nor thrown away.
    #[must_use]
    pub fn open_parts(&self, bucket: &str) -> usize {
        let mut found = BTreeSet::new();
        let root = self.bucket(bucket);
        collect(&root.join(TEMPORARY), &root, &mut found);
        found.len()
    }

    /// The requests so far, such as `GetObject wh/raw/t/metadata/…`; the newest ones may not be there yet.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        let log = fs::read_to_string(self.folder.path().join("requests.log")).unwrap_or_default();
        let request = |line: &str| {
            let mut words = line.split(' ').skip_while(|word| !word.starts_with("s3_"));
            Some(format!("{} {}", words.next()?.strip_prefix("s3_")?, words.next()?))
        };
        log.lines().filter_map(request).collect()
    }

    /// Ends it at once (`kill -9`); its objects stay.
    ///
    /// # Errors
    /// The system's.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(|_| ())
    }

    /// Starts it again on the same port and folder.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub fn start_again(&mut self) -> io::Result<()> {
        self.child = spawn(self.port, self.folder.path())?;
        self.wait()
    }

    /// Sends a signal: `STOP` freezes it, `CONT` lets it go on.
    ///
    /// # Errors
    /// The system's.
    pub fn signal(&self, name: &str) -> io::Result<()> {
        signal(self.child.id(), name)
    }

    fn wait(&self) -> io::Result<()> {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            match std::net::TcpStream::connect(self.address()) {
                Err(_) if Instant::now() < until => sleep(Duration::from_millis(5)),
                answer => return answer.map(drop),
            }
        }
    }
}

/// Where the server keeps what is no object yet.
const TEMPORARY: &str = ".sgwtmp";

fn spawn(port: u16, folder: &Path) -> io::Result<Child> {
    let missing = || io::Error::other("ICEHAUL_TEST_VERSITYGW must name the program versitygw; ./test.sh installs it");
    let program = env::var_os("ICEHAUL_TEST_VERSITYGW").ok_or_else(missing)?;
    let data = folder.join("data");
    fs::create_dir_all(&data)?;
    Command::new(program)
        .env("ROOT_ACCESS_KEY", ACCESS_KEY)
        .env("ROOT_SECRET_KEY", SECRET_KEY)
        .args(["--quiet", "--port", &format!("127.0.0.1:{port}"), "--access-log"])
        .arg(folder.join("requests.log"))
        .arg("posix")
        .arg(data)
        // What is found when it was left behind: test.sh stops processes that work below its folder.
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

fn collect(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        match path.is_dir() {
            true => collect(&path, root, found),
            false => drop(found.insert(path.strip_prefix(root).unwrap_or(&path).display().to_string())),
        }
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        // It may be stopped or dead already; then there is nothing left to do.
        let _ = self.kill();
    }
}
