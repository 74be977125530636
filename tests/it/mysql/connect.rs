//! Connections: encryption, refusals, and ends.
use std::time::Duration;

use futures::StreamExt;
use icehaul_jobs::{
    Code,
    config::{Connections, Limits},
};
use icehaul_tests::{
    attempt::ctx,
    mysql::{Database, OWNER, OWNER_PASSWORD, server},
    proxy::Proxy,
};
use mysql_async::prelude::Queryable;
use serde_json::{Value, json};

use super::{refusal, refusal_in, spec};
use crate::postgres::{ctx_with, load, types::cells};

/// Whether the connection of a request is encrypted: the cipher.
async fn cipher(db: &Database, fields: Value, connections: Connections) -> icehaul_jobs::Result<String> {
    let mut all = json!({"query": "select variable_value as v from information_schema.session_status where variable_name = 'Ssl_cipher'"});
    for (name, value) in fields.as_object().expect("fields") {
        all[name] = value.clone();
    }
    let loaded = load(&spec(db, all), &ctx_with(Limits::default(), connections), &Default::default()).await?;
    Ok(cells(loaded.only(), "v").remove(0))
}

#[tokio::test]
async fn sslmode_means_what_it_says() {
    let db = Database::new().await;
    let none = Connections::default;
    assert_eq!(cipher(&db, json!({"sslmode": "disable"}), none()).await.expect("rows"), "");
    for mode in ["prefer", "require"] {
        assert!(cipher(&db, json!({"sslmode": mode}), none()).await.expect("rows").starts_with("TLS_"), "{mode}");
    }
    for mode in ["verify-ca", "verify-full"] {
        let error = cipher(&db, json!({"sslmode": mode}), none()).await.expect_err("a foreign authority");
        assert_eq!(error.code(), Code::TlsError, "{mode}: {error}");
    }
    let named = |host: &str, mode: &str| -> Connections {
        serde_json::from_value(json!({"shop": {
            "kind": "mysql", "host": host, "port": db.port, "database": db.name, "user": OWNER,
            "password": OWNER_PASSWORD, "sslmode": mode, "sslrootcert": server().ca,
        }}))
        .expect("connections")
    };
    let by_name = async |host, mode| {
        let fields = json!({"connection": "shop", "namespace": "n", "table_name": "t", "query":
            "select variable_value as v from information_schema.session_status where variable_name = 'Ssl_cipher'"});
        let spec = icehaul_jobs::source::LoadSpec::from_request("load.mysql", fields).expect("a request");
        load(&spec, &ctx_with(Limits::default(), named(host, mode)), &Default::default()).await
    };
    for mode in ["require", "verify-ca", "verify-full"] {
        let loaded = by_name("localhost", mode).await.unwrap_or_else(|e| panic!("{mode}: {e}"));
        assert!(cells(loaded.only(), "v")[0].starts_with("TLS_"), "{mode}");
    }
    let Err(error) = by_name("127.0.0.1", "verify-full").await else { panic!("a name that the certificate has not") };
    assert_eq!(error.code(), Code::TlsError, "{error}");
}

#[tokio::test]
async fn refusals_have_codes_and_no_password() {
    let db = Database::new().await;
    let fields = |name: &str, value: Value| {
        let mut fields = json!({"query": "select 1 as n"});
        fields[name] = value;
        fields
    };
    for (fields, code) in [
        (fields("password", json!("wrong-secret")), Code::AuthFailed),
        (fields("user", json!("nobody")), Code::AuthFailed),
        (fields("database", json!("t_nowhere")), Code::DatabaseNotFound),
        (fields("database", json!("mysql")), Code::PermissionDenied),
        (fields("port", json!(icehaul_tests::free_port().expect("a port"))), Code::SourceUnreachable),
        (fields("host", json!("no-such-host.invalid")), Code::SourceUnreachable),
    ] {
        let error = refusal(&db, fields.clone()).await;
        assert_eq!(error.code(), code, "{fields}: {error}");
        assert!(!format!("{error:?}").contains(OWNER_PASSWORD) && !format!("{error:?}").contains("wrong-secret"));
    }
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let port = silent.local_addr().expect("an address").port();
    let ctx = ctx_with(Limits { connect_timeout_seconds: 0.3, ..Limits::default() }, Connections::default());
    let error = refusal_in(&ctx, &db, fields("port", json!(port))).await;
    assert_eq!(error.code(), Code::SourceUnreachable);
    assert!(error.message().contains("no answer within 0.3 s"), "{error}");
}

#[tokio::test]
async fn a_connection_that_ends_amid_the_rows_is_no_end_of_the_rows() {
    let db = Database::new().await;
    let numbers = json!({"query": "select seq, repeat('x', 500) as v from seq_1_to_500000"});
    // Killed by the server.
    let spec_here = spec(&db, numbers.clone());
    let plan = spec_here.plan(&ctx(), &Default::default()).await.expect("a plan");
    let mut batches = spec_here.read(&ctx(), &plan, &plan.splits[0]).await.expect("a stream");
    assert!(batches.stream.next().await.is_some_and(|rows| rows.is_ok()));
    let mut admin = db.admin().await;
    let find = "select id from information_schema.processlist where info like '%seq_1_to_500000%' and info not like '%processlist%'";
    let id: u64 = admin.query_first(find).await.expect("a list").expect("the connection");
    admin.query_drop(format!("kill connection {id}")).await.expect("killed");
    let end = loop {
        match batches.stream.next().await {
            Some(Ok(_)) => {}
            end => break end,
        }
    };
    let error = end.expect("an end that is told").expect_err("an error");
    assert_eq!(error.code(), Code::SourceInterrupted, "{error}");
    // Cut on the way.
    let proxy = Proxy::before(format!("127.0.0.1:{}", db.port)).await;
    let mut through = numbers;
    (through["host"], through["port"], through["sslmode"]) =
        (json!("127.0.0.1"), json!(proxy.address.port()), json!("disable"));
    let spec_through = spec(&db, through);
    let plan = spec_through.plan(&ctx(), &Default::default()).await.expect("a plan");
    let mut batches = spec_through.read(&ctx(), &plan, &plan.splits[0]).await.expect("a stream");
    assert!(batches.stream.next().await.is_some_and(|rows| rows.is_ok()));
    proxy.cut([]);
    let end = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            match batches.stream.next().await {
                Some(Ok(_)) => {}
                end => break end,
            }
        }
    });
    let error = end.await.expect("in time").expect("an end that is told").expect_err("an error");
    assert_eq!(error.code(), Code::SourceInterrupted, "{error}");
}
