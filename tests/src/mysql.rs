//! A MariaDB server for the tests: a private one, started once per process and stopped when the process ends.
use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use mysql_async::{Conn, OptsBuilder, prelude::Queryable};

/// The user of the tests, who may do everything in the databases of the tests, and nothing beyond them.
pub const OWNER: &str = "icehaul_test";
/// Its password.
pub const OWNER_PASSWORD: &str = "owner-secret";
const ADMIN_PASSWORD: &str = "admin-secret";

/// A running server.
pub struct Server {
    /// Its port on the loopback interface.
    pub port: u16,
    /// The certificate that signed the server's own, which is for `localhost`.
    pub ca: PathBuf,
    /// Ends the server when its standard input is closed, that is, when this process ends.
    _keeper: Child,
}

/// A fresh database. It goes with the server.
pub struct Database {
    /// The server's address.
    pub host: String,
    /// The server's port.
    pub port: u16,
    /// The database's name.
    pub name: String,
}

/// Makes the data directory with a certificate for `localhost`, starts the server, says `ready`, and undoes all of it when
/// its standard input ends.
const KEEP: &str = r#"
set -eu
cd "$DIR"
[ "$(id -u)" != 0 ] || AS=--user=root
mariadb-install-db --no-defaults --datadir="$DIR/data" --auth-root-authentication-method=normal --skip-test-db ${AS:-} >log 2>&1
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=icehaul-test-ca -keyout ca.key -out ca.crt >>log 2>&1
openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr >>log 2>&1
printf 'subjectAltName=DNS:localhost' > san
openssl x509 -req -days 2 -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile san -out server.crt >>log 2>&1
cat >init.sql <<SQL
DELETE FROM mysql.global_priv WHERE User = '';
FLUSH PRIVILEGES;
CREATE USER '$OWNER'@'%' IDENTIFIED BY '$OWNER_PASSWORD';
GRANT ALL PRIVILEGES ON \`t\_%\`.* TO '$OWNER'@'%';
CREATE USER 'admin'@'%' IDENTIFIED BY '$ADMIN_PASSWORD';
GRANT ALL PRIVILEGES ON *.* TO 'admin'@'%' WITH GRANT OPTION;
SQL
PATH=$PATH:/usr/sbin:/usr/local/sbin
mariadbd --no-defaults ${AS:-} --datadir="$DIR/data" --socket="$DIR/socket" --pid-file="$DIR/pid" --port="$PORT" \
    --bind-address=127.0.0.1 --skip-name-resolve --init-file="$DIR/init.sql" --max-connections=200 --innodb-buffer-pool-size=64M \
    --innodb-flush-log-at-trx-commit=0 --sync-binlog=0 --character-set-server=latin1 --sql-mode= \
    --ssl-ca=ca.crt --ssl-cert="$DIR/server.crt" --ssl-key="$DIR/server.key" --ssl-ca="$DIR/ca.crt" >>log 2>&1 &
server=$!
until mariadb-admin --no-defaults -h 127.0.0.1 -P "$PORT" -u admin -p"$ADMIN_PASSWORD" ping >/dev/null 2>&1; do
    kill -0 $server
    sleep 0.1
done
echo ready
cat >/dev/null || true
kill -KILL $server
wait $server 2>/dev/null || true
rm -rf "$DIR"
"#;

/// The server of this process.
///
/// # Panics
/// If it cannot be started.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|l| l.local_addr()).expect("a free port").port();
        let dir = tempfile::Builder::new().prefix("icehaul-mysql-").tempdir().expect("a directory").keep();
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEP]).env("DIR", &dir).env("PORT", port.to_string());
        keeper.env("OWNER", OWNER).env("OWNER_PASSWORD", OWNER_PASSWORD).env("ADMIN_PASSWORD", ADMIN_PASSWORD);
        // A signal to the process group of the test must not keep it from tidying up.
        keeper.process_group(0);
        let mut keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the keeper of the server");
        let mut line = String::new();
        let stdout = keeper.stdout.take().expect("its output");
        BufReader::new(stdout).read_line(&mut line).expect("its output");
        assert_eq!(line, "ready\n", "MariaDB did not start; see {}", dir.join("log").display());
        Server { port, ca: dir.join("ca.crt"), _keeper: keeper }
    })
}

async fn connect(user: &str, password: &str, database: Option<&str>) -> Conn {
    let options = OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(server().port).prefer_socket(false);
    let options = options.user(Some(user)).pass(Some(password)).db_name(database);
    Conn::new(options).await.expect("a connection")
}

impl Database {
    /// A fresh, empty database.
    ///
    /// # Panics
    /// If it cannot be made.
    pub async fn new() -> Self {
        let name = format!("t_{}", uuid::Uuid::now_v7().simple());
        let mut admin = connect("admin", ADMIN_PASSWORD, None).await;
        admin.query_drop(format!("CREATE DATABASE {name}")).await.expect("the database");
        Self { host: "localhost".to_owned(), port: server().port, name }
    }

    /// Runs statements as the owner.
    ///
    /// # Panics
    /// If one of them fails.
    pub async fn run(&self, sql: &str) {
        self.owner().await.query_drop(sql).await.expect("the test's own SQL");
    }

    /// A connection of the owner.
    pub async fn owner(&self) -> Conn {
        connect(OWNER, OWNER_PASSWORD, Some(&self.name)).await
    }

    /// A connection of one who may do everything.
    pub async fn admin(&self) -> Conn {
        connect("admin", ADMIN_PASSWORD, Some(&self.name)).await
    }

    /// The fields of a request that say where it is.
    #[must_use]
    pub fn connection(&self) -> serde_json::Value {
        serde_json::json!({
            "host": self.host, "port": self.port, "database": self.name, "user": OWNER, "password": OWNER_PASSWORD,
        })
    }
}
