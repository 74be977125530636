//! Connections: encryption, roles, and everything that can go wrong on the way.
use std::error::Error as _;

use icehaul_jobs::{
    Code, Error, Result,
    config::{Connection, Connections, Limits},
    source::{LoadSpec, Wish},
};
use icehaul_tests::postgres::{Database, OWNER, OWNER_PASSWORD, server};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{Loaded, ctx, ctx_with, load, query, refusal, request, spec};

/// Waits for `bytes` of answers, then ends both sides.
async fn cutting_proxy(port: u16, bytes: u64) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("localhost", port)).await.expect("the server");
            let ((mut from_client, mut to_client), (from_server, mut to_server)) =
                (client.into_split(), server.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
            tokio::spawn(async move {
                let copied = tokio::io::copy(&mut from_server.take(bytes), &mut to_client).await;
                drop(to_client);
                copied
            });
        }
    });
    address.port()
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_of_the_rows_is_no_end_of_rows() {
    let db = Database::new().await;
    for bytes in [20_000, 300_000, 1_234_567] {
        let port = cutting_proxy(db.port, bytes).await;
        let fields = json!({"host": "127.0.0.1", "port": port, "sslmode": "disable",
                            "query": "select n, md5(n::text) from generate_series(1, 200000) n"});
        let error = refusal(&db, fields).await;
        assert_eq!(error.code(), Code::SourceInterrupted, "{bytes}: {error}");
    }
}

#[tokio::test]
async fn a_backend_that_is_ended_by_its_administrator_is_an_interruption() {
    let db = Database::new().await;
    let (spec, ctx) =
        (spec(&db, json!({"query": "select count(*) from (select generate_series(1, 100000000000)) n"})), ctx());
    let admin = db.admin().await;
    let name = format!("icehaul {}", ctx.job);
    let kill = async {
        let sql =
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1 and query like 'COPY%'
                   and state = 'active'";
        while admin.query(sql, &[&name]).await.expect("an answer").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let wish = Wish::default();
    let (ended, ()) = tokio::join!(load(&spec, &ctx, &wish), kill);
    assert_eq!(ended.err().map(|e| e.code()), Some(Code::SourceInterrupted));
}

/// A listener that answers nothing, or one byte.
async fn odd_server(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut client, _)) = listener.accept().await {
            if !answer.is_empty() {
                let mut request = [0; 8];
                let _ = client.read_exact(&mut request).await;
                let _ = client.write_all(answer).await;
            }
            open.push(client);
        }
    });
    port
}

#[tokio::test]
async fn failures_are_named_and_never_show_the_password() {
    const CANARY: &str = "canary-7f3a91";
    let db = Database::new().await;
    let closed = TcpListener::bind(("127.0.0.1", 0)).await.and_then(|l| l.local_addr()).expect("a port").port();
    let (silent, no_tls, garbage) = (odd_server(b"").await, odd_server(b"N").await, odd_server(b"HTTP/1.1 400").await);
    let ctx = ctx_with(Limits { connect_timeout_seconds: 1.0, ..Limits::default() }, Connections::default());
    let query = format!("select '{CANARY}x'");
    for (fields, code) in [
        (json!({"password": CANARY}), Code::AuthFailed),
        (json!({"password": CANARY, "sslmode": "disable"}), Code::AuthFailed),
        (json!({"password": CANARY, "user": "nobody-here"}), Code::AuthFailed),
        (json!({"database": "not_there"}), Code::DatabaseNotFound),
        (json!({"password": CANARY, "host": "127.0.0.1", "port": closed}), Code::SourceUnreachable),
        (json!({"password": CANARY, "host": "no-such-host.invalid"}), Code::SourceUnreachable),
        (json!({"password": CANARY, "host": "127.0.0.1", "port": silent}), Code::SourceUnreachable),
        (json!({"password": CANARY, "host": "127.0.0.1", "port": no_tls, "sslmode": "require"}), Code::TlsError),
        (
            json!({"password": CANARY, "host": "127.0.0.1", "port": garbage, "sslmode": "disable"}),
            Code::SourceUnreachable,
        ),
        (json!({"password": CANARY, "sslmode": "verify-full"}), Code::TlsError),
    ] {
        let mut fields = fields;
        fields["query"] = json!(query);
        let spec = spec(&db, fields.clone());
        let error = load(&spec, &ctx, &Wish::default()).await.err().unwrap_or_else(|| panic!("{fields}: no error"));
        assert_eq!(error.code(), code, "{fields}: {error}");
        let mut shown = format!("{spec:?} {error} {error:?}");
        let mut cause = error.source();
        while let Some(next) = cause {
            shown += &format!("{next} {next:?}");
            cause = next.source();
        }
        assert!(!shown.replace(&query, "").contains(CANARY), "{shown}");
    }
}

/// Loads through a named connection whether its backend's connection is encrypted.
async fn encrypted(db: &Database, host: &str, mode: &str, roots: bool) -> Result<Loaded> {
    let connection: Connection = serde_json::from_value(json!({
        "kind": "postgres", "host": host, "port": db.port, "database": db.name, "user": OWNER, "password": OWNER_PASSWORD,
        "sslmode": mode, "sslrootcert": server().ca.as_ref().filter(|_| roots),
    }))
    .expect("a connection");
    let ctx = ctx_with(Limits::default(), [("db".into(), connection)].into_iter().collect());
    let sql = "select case when ssl then 1 else 0 end as ssl from pg_stat_ssl where pid = pg_backend_pid()";
    let body = json!({"connection": "db", "query": sql, "namespace": "n", "table_name": "t"});
    load(&LoadSpec::from_request("load.postgres", body)?, &ctx, &Wish::default()).await
}

#[tokio::test]
async fn encryption_is_as_libpq_has_it() {
    if server().ca.is_none() {
        return; // A server that was started elsewhere has a certificate of its own.
    }
    let db = Database::new().await;
    for (host, mode, roots, ssl) in [
        ("localhost", "disable", false, 0),
        ("localhost", "prefer", false, 1),
        ("localhost", "require", false, 1),
        ("localhost", "require", true, 1),
        ("127.0.0.1", "verify-ca", true, 1),
        ("localhost", "verify-full", true, 1),
    ] {
        let loaded = encrypted(&db, host, mode, roots).await.unwrap_or_else(|e| panic!("{host} {mode}: {e}"));
        assert_eq!(super::numbers(&loaded, "ssl"), [ssl], "{host} {mode}");
    }
    for (host, mode, roots) in
        [("127.0.0.1", "verify-full", true), ("localhost", "verify-full", false), ("localhost", "verify-ca", false)]
    {
        let refused = encrypted(&db, host, mode, roots).await;
        assert_eq!(refused.err().map(|e| e.code()), Some(Code::TlsError), "{host} {mode}");
    }
}

#[tokio::test]
async fn many_rows_come_through_tls() {
    let db = Database::new().await;
    let sql = json!({"query": "select n from generate_series(1, 300000) n", "sslmode": "require"});
    let loaded = load(&spec(&db, sql), &ctx(), &Wish::default()).await.expect("rows");
    assert_eq!(super::numbers(&loaded, "n"), (1..=300_000).collect::<Vec<i64>>());
}

#[tokio::test]
async fn a_role_that_could_do_more_than_read_is_refused() {
    let db = Database::new().await;
    let admin = db.admin().await;
    let role = format!("files_{}", &db.name[2..]);
    // One that may become a superuser without being one.
    let (boss, sneaky) = (format!("boss_{role}"), format!("sneaky_{role}"));
    let make = format!(
        "create role {role} login password 'x'; grant pg_read_server_files to {role};
         create role {boss} superuser; create role {sneaky} login noinherit password 'x'; grant {boss} to {sneaky}"
    );
    admin.batch_execute(&make).await.expect("roles");
    let config = &server().admin;
    let superuser = config.get_user().expect("a user");
    let password = String::from_utf8_lossy(config.get_password().unwrap_or_default()).into_owned();
    for (user, password, why) in [
        (superuser, password.as_str(), "is a superuser"),
        (role.as_str(), "x", "is a member of pg_read_server_files"),
        (sneaky.as_str(), "x", &format!("is a member of {boss}")),
    ] {
        let fields = json!({"user": user, "password": password, "query": "select 1 as a"});
        let error = refusal(&db, fields.clone()).await;
        assert_eq!(error.code(), Code::RoleTooPowerful, "{user}: {error}");
        assert!(error.message().contains(why), "{error}");
        let mut allowed = fields;
        allowed["allow_superuser"] = json!(true);
        assert_eq!(load(&spec(&db, allowed), &ctx(), &Wish::default()).await.expect("rows").rows(), 1);
    }
    admin.batch_execute(&format!("drop role {role}, {sneaky}, {boss}")).await.expect("no roles");
}

#[tokio::test]
async fn no_session_is_left_behind() {
    let db = Database::new().await;
    drop(query(&db, "select 1 as a").await.expect("a row"));
    let admin = db.admin().await;
    let sql = "select count(*) from pg_stat_activity where datname = current_database() and application_name like 'icehaul %'";
    for _ in 0..500 {
        if admin.query_one(sql, &[]).await.expect("a count").get::<_, i64>(0) == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("a session is still there");
}

fn faults(fields: Value) -> Vec<(String, Code)> {
    let error = LoadSpec::from_request("load.postgres", fields).err();
    let faults = error.iter().flat_map(Error::field_errors);
    faults.map(|fault| (fault.field.clone(), fault.code)).collect()
}

#[tokio::test]
async fn wrong_requests_are_refused_field_by_field() {
    let db = Database { host: "h".into(), port: 1, name: "d".into() };
    let bare = json!({"namespace": "n", "table_name": "t"});
    let missing = |fields: &[&str]| fields.iter().map(|f| ((*f).to_owned(), Code::MissingField)).collect::<Vec<_>>();
    assert_eq!(faults(bare), missing(&["host", "database", "user", "query"]));
    for (fields, field, code) in [
        (json!({"query": "select 1", "table": "t"}), "table", Code::ConflictingFields),
        (json!({"query": "select 1; drop table t"}), "query", Code::QueryNotAllowed),
        (json!({"query": "select 1) to stdout; drop table t; --"}), "query", Code::QueryNotAllowed),
        (json!({"query": "selec 1"}), "query", Code::QueryNotAllowed),
        (json!({"query": "insert into t values (1) returning a"}), "query", Code::QueryNotAllowed),
        (json!({"query": "explain select 1"}), "query", Code::QueryNotAllowed),
        (json!({"query": "set work_mem = '1MB'"}), "query", Code::QueryNotAllowed),
        (json!({"query": "copy t to stdout"}), "query", Code::QueryNotAllowed),
        (json!({"query": "commit"}), "query", Code::QueryNotAllowed),
        (json!({"query": "-- nothing\n1"}), "query", Code::QueryNotAllowed),
        (json!({"query": " "}), "query", Code::InvalidField),
        (json!({"query": "select 1", "where": "a = 1"}), "where", Code::ConflictingFields),
        (json!({"query": "select 1", "columns": ["a"]}), "columns", Code::ConflictingFields),
        (json!({"query": "select 1", "parallelism": 2}), "parallelism", Code::ConflictingFields),
        (json!({"table": "a.b.c"}), "table", Code::InvalidField),
        (json!({"table": "t", "columns": ["a", "a"]}), "columns.1", Code::DuplicateColumn),
        (json!({"table": "t", "columns": [""]}), "columns.0", Code::InvalidField),
        (json!({"table": "t", "parallelism": 0}), "parallelism", Code::InvalidField),
        (json!({"table": "t", "parallelism": 17}), "parallelism", Code::InvalidField),
        (json!({"table": "t", "statement_timeout_seconds": 0}), "statement_timeout_seconds", Code::InvalidField),
        (json!({"table": "t", "port": 0}), "port", Code::InvalidField),
        (json!({"table": "t", "port": 70000}), "port", Code::InvalidField),
        (json!({"table": "t", "host": "http://h"}), "host", Code::InvalidField),
        (json!({"table": "t", "host": "h".repeat(300)}), "host", Code::InvalidField),
        (json!({"table": "t", "sslmode": "maybe"}), "sslmode", Code::InvalidField),
        (json!({"table": "t", "database": "postgres://u:p@h/d"}), "database", Code::InvalidField),
        (json!({"table": "t", "user": "u PassWord=p"}), "user", Code::InvalidField),
        (json!({"table": "t", "connection": "c"}), "host", Code::ConflictingFields),
    ] {
        let found = faults(request(&db, fields.clone()));
        assert!(found.contains(&(field.to_owned(), code)), "{fields}: {found:?}");
    }
    let many: Vec<_> = (0..120_000).map(|n| format!("c{n}")).collect();
    let found = faults(request(&db, json!({"table": "t", "columns": many})));
    assert_eq!(found, [("columns".to_owned(), Code::TooManyColumns)]);
    std::mem::forget(db); // There is nothing to drop on any server.
}

#[tokio::test]
async fn an_unknown_connection_is_named() {
    let body = json!({"connection": "nope", "query": "select 1", "namespace": "n", "table_name": "t"});
    let spec = LoadSpec::from_request("load.postgres", body).expect("a request");
    let error = load(&spec, &ctx(), &Wish::default()).await.err().expect("an error");
    assert_eq!(error.code(), Code::ConnectionNotFound);
    assert!(error.message().contains("`nope`"), "{error}");
}
