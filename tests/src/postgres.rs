//! A PostgreSQL server for the tests: `ICEHAUL_TEST_POSTGRES_ADMIN_URL` names one, else a private one is started once per
//! process and stopped when the process ends.
use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use tokio_postgres::{Client, Config, NoTls};

const ADMIN_URL: &str = "ICEHAUL_TEST_POSTGRES_ADMIN_URL";
/// The role that owns each test's database. It is no superuser.
pub const OWNER: &str = "icehaul_test";
/// Its password.
pub const OWNER_PASSWORD: &str = "owner-secret";

/// A running server.
pub struct Server {
    /// A superuser's way in.
    pub admin: Config,
    /// The certificate that signed the server's own, if it was started here.
    pub ca: Option<PathBuf>,
    /// Ends the server when its standard input is closed, that is, when this process ends.
    _keeper: Option<Child>,
}

/// A fresh database, dropped at the end of its test.
pub struct Database {
    /// The server's address.
    pub host: String,
    /// The server's port.
    pub port: u16,
    /// The database's name.
    pub name: String,
}

/// The server of this process.
///
/// # Panics
/// If there is none and none can be started.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| match std::env::var(ADMIN_URL) {
        Ok(url) => Server { admin: url.parse().expect(ADMIN_URL), ca: None, _keeper: None },
        Err(_) => start(),
    })
}

/// Both kinds of passwords: the superuser's is for SCRAM, those of later roles for MD5, which is quick in a debug build.
///
/// Makes the data directory with a certificate for `localhost`, starts the server, says `ready`, and undoes all of it when
/// its standard input ends.
const KEEP: &str = r#"
set -eu
cd "$DIR"
printf '%s' "$PASSWORD" > pw
"$BIN/initdb" -D data -U postgres --auth-host=md5 --auth-local=trust --pwfile=pw -E UTF8 --locale=C >log 2>&1
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=icehaul-test-ca -keyout ca.key -out ca.crt >>log 2>&1
openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout data/server.key -out server.csr >>log 2>&1
printf 'subjectAltName=DNS:localhost' > san
openssl x509 -req -days 2 -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile san -out data/server.crt >>log 2>&1
chmod 600 data/server.key
"$BIN/pg_ctl" -D data -w -l server.log -o "-p $PORT -k $DIR -c listen_addresses=localhost -c ssl=on -c fsync=off \
    -c max_connections=200 -c temp_file_limit=2GB -c password_encryption=md5" start >>log 2>&1
echo ready
cat >/dev/null || true
"$BIN/pg_ctl" -D data -m immediate stop >>log 2>&1 || true
rm -rf "$DIR"
"#;

fn start() -> Server {
    let bin = newest_bin().expect("PostgreSQL's programs below /usr/lib/postgresql");
    let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|l| l.local_addr()).expect("a free port").port();
    let root = std::process::Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    let dir = tempfile::Builder::new().prefix("icehaul-pg-").tempdir().expect("a directory").keep();
    let mut keeper = match root {
        true => {
            let given = Command::new("chown").arg("postgres").arg(&dir).status();
            assert!(given.is_ok_and(|s| s.success()), "the directory cannot be given to the user postgres");
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--", "sh", "-c", KEEP]);
            command
        }
        false => {
            let mut command = Command::new("sh");
            command.args(["-c", KEEP]);
            command
        }
    };
    keeper.env("DIR", &dir).env("BIN", &bin).env("PORT", port.to_string()).env("PASSWORD", "admin-secret");
    // A signal to the process group of the test must not keep it from tidying up.
    keeper.process_group(0);
    let mut keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the keeper of the server");
    let mut line = String::new();
    let stdout = keeper.stdout.take().expect("its output");
    BufReader::new(stdout).read_line(&mut line).expect("its output");
    assert_eq!(line, "ready\n", "PostgreSQL did not start; see {}", dir.join("log").display());
    let mut admin = Config::new();
    admin.host("localhost").port(port).user("postgres").password("admin-secret").dbname("postgres");
    Server { admin, ca: Some(dir.join("ca.crt")), _keeper: Some(keeper) }
}

fn newest_bin() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let found = versions.flatten().filter_map(|v| Some((v.file_name().to_str()?.parse::<u32>().ok()?, v.path())));
    found.max().map(|(_, path)| path.join("bin"))
}

/// Connects and lets the connection work in the background.
///
/// # Panics
/// If the server does not take the connection.
pub async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

impl Database {
    /// A fresh, empty database that [`OWNER`] owns.
    ///
    /// # Panics
    /// If it cannot be made.
    pub async fn new() -> Self {
        let admin = connect(&server().admin).await;
        let name = format!("t_{}", uuid::Uuid::now_v7().simple());
        let role = format!(
            "SELECT pg_advisory_xact_lock(1); DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{OWNER}') THEN \
             CREATE ROLE {OWNER} LOGIN PASSWORD '{OWNER_PASSWORD}'; END IF; END $$"
        );
        admin.batch_execute(&role).await.expect("the role");
        admin.batch_execute(&format!("CREATE DATABASE {name} OWNER {OWNER}")).await.expect("the database");
        let config = &server().admin;
        let host = match config.get_hosts().first() {
            Some(tokio_postgres::config::Host::Tcp(host)) => host.clone(),
            _ => "localhost".to_owned(),
        };
        Self { host, port: config.get_ports().first().copied().unwrap_or(5432), name }
    }

    /// Runs statements as the owner.
    ///
    /// # Panics
    /// If one of them fails.
    pub async fn run(&self, sql: &str) {
        self.owner().await.batch_execute(sql).await.expect("the test's own SQL");
    }

    /// A connection of the owner.
    pub async fn owner(&self) -> Client {
        let mut config = server().admin.clone();
        connect(config.user(OWNER).password(OWNER_PASSWORD).dbname(&self.name)).await
    }

    /// A superuser's connection to this database.
    pub async fn admin(&self) -> Client {
        connect(server().admin.clone().dbname(&self.name)).await
    }
}

impl Drop for Database {
    /// Best effort: a private server goes anyway.
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(async { connect(&server().admin).await.batch_execute(&drop).await.ok() })
        });
        let _ = dropping.join();
    }
}
