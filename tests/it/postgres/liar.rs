//! A server that speaks just enough of PostgreSQL's protocol to lie, and what becomes of its lies.
use std::{error::Error as _, sync::Arc, time::Duration};

use icehaul_jobs::{
    Code, Error,
    config::{Connections, Limits},
    source::{LoadSpec, Wish},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{Loaded, ctx_with, load};

const PASSWORD: &str = "canary-7f3a91";

/// What is asked of the liar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask<'a> {
    Login,
    Describe(&'a str),
    Run(&'a str),
}

/// An answer, and whether the liar then goes silent.
struct Answer(Vec<u8>, bool);

/// A message of the protocol.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
}

/// The head of a message of 2 GiB.
fn endless(kind: u8) -> Vec<u8> {
    [&[kind][..], &i32::MAX.to_be_bytes()].concat()
}

fn column(name: &str, oid: u32) -> Vec<u8> {
    let body = [&1_i16.to_be_bytes()[..], name.as_bytes(), &[0; 7], &oid.to_be_bytes(), &[0, 4, 0, 0, 0, 0, 0, 0]];
    message(b'T', &body.concat())
}

fn row(cells: &[&str]) -> Vec<u8> {
    let mut body = (cells.len() as i16).to_be_bytes().to_vec();
    for cell in cells {
        body.extend((cell.len() as i32).to_be_bytes());
        body.extend(cell.as_bytes());
    }
    message(b'D', &body)
}

fn failure(text: &str) -> Vec<u8> {
    message(b'E', format!("SERROR\0C42000\0M{text}\0\0").as_bytes())
}

/// An honest answer: one column of integers, no rows.
fn honest(ask: Ask<'_>) -> Answer {
    Answer(
        match ask {
            Ask::Login => [message(b'R', &[0; 4]), message(b'K', &[0; 8])].concat(),
            Ask::Describe(sql) if !sql.starts_with("COPY") => column("a", 23),
            _ => Vec::new(),
        },
        false,
    )
}

/// Starts the liar; `lie` answers what it does not answer honestly.
async fn liar(lie: impl Fn(Ask<'_>) -> Option<Answer> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let lie = Arc::new(lie);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let lie = lie.clone();
            tokio::spawn(async move { talk(client, &*lie).await });
        }
    });
    port
}

/// One connection, until the client has had enough.
async fn talk(mut client: TcpStream, lie: &(impl Fn(Ask<'_>) -> Option<Answer> + Sync)) -> std::io::Result<()> {
    let length = client.read_u32().await?;
    let mut startup = vec![0; length as usize - 4];
    client.read_exact(&mut startup).await?;
    if !say(&mut client, lie, Ask::Login).await? {
        return hold(client).await;
    }
    let (mut sql, mut described) = (String::new(), false);
    loop {
        let kind = client.read_u8().await?;
        let mut body = vec![0; client.read_u32().await? as usize - 4];
        client.read_exact(&mut body).await?;
        let text = String::from_utf8_lossy(&body).into_owned();
        match kind {
            b'Q' => sql = text,
            b'P' => sql = text.split('\0').nth(1).unwrap_or_default().to_owned(),
            b'D' => described = true,
            _ => {}
        }
        if matches!(kind, b'Q' | b'S') {
            let ask = if std::mem::take(&mut described) { Ask::Describe(&sql) } else { Ask::Run(&sql) };
            if !say(&mut client, lie, ask).await? {
                return hold(client).await;
            }
        }
    }
}

/// Answers; whether the talk goes on.
async fn say(
    client: &mut TcpStream,
    lie: &(impl Fn(Ask<'_>) -> Option<Answer> + Sync),
    ask: Ask<'_>,
) -> std::io::Result<bool> {
    let Answer(said, silent) = lie(ask).unwrap_or_else(|| honest(ask));
    client.write_all(&said).await?;
    if !silent {
        client.write_all(&message(b'Z', b"T")).await?;
    }
    Ok(!silent)
}

/// Says nothing more until the client goes.
async fn hold(mut client: TcpStream) -> std::io::Result<()> {
    let mut rest = [0; 1024];
    while client.read(&mut rest).await? > 0 {}
    Ok(())
}

async fn read(port: u16) -> Result<Loaded, Error> {
    let limits = Limits { connect_timeout_seconds: 5.0, ..Limits::default() };
    read_with(port, limits, "select 1 as a").await
}

async fn read_with(port: u16, limits: Limits, query: &str) -> Result<Loaded, Error> {
    let body = json!({"host": "127.0.0.1", "port": port, "database": "d", "user": "u", "password": PASSWORD,
                      "sslmode": "disable", "query": query, "namespace": "n", "table_name": "t"});
    let spec = LoadSpec::from_request("load.postgres", body).expect("a request");
    let (ctx, wish) = (ctx_with(limits, Connections::default()), Wish::default());
    // A liar that is believed would keep the test for ever.
    let loading = tokio::time::timeout(Duration::from_secs(60), load(&spec, &ctx, &wish));
    loading.await.expect("an end of the load")
}

async fn refused(port: u16) -> Error {
    read(port).await.err().expect("an error")
}

#[tokio::test]
async fn types_within_types_without_end_are_refused() {
    for next in [|oid: u32| oid + 1, |oid: u32| 100_000 + (oid + 1) % 3, |oid| oid] {
        let port = liar(move |ask| {
            let said = match ask {
                Ask::Describe(sql) if !sql.starts_with("COPY") => column("deep", 100_000),
                // The one id that is asked for stands in braces; the liar knows it from the bind message only, so it
                // explains all that could be meant.
                Ask::Run(sql) if sql.contains("pg_type") => (100_000..101_000)
                    .flat_map(|oid| row(&[&oid.to_string(), "t", "b", &next(oid).to_string()]))
                    .collect(),
                _ => return None,
            };
            Some(Answer(said, false))
        })
        .await;
        let error = refused(port).await;
        assert_eq!(error.code(), Code::UnsupportedType, "{error}");
        assert!(error.message().starts_with("the column `deep` is of a type that is nested too deep"), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_goes_silent_holds_nobody_for_ever() {
    for silent in ["select 1", "COPY", "pg_roles"] {
        let port = liar(move |ask| match ask {
            Ask::Describe(sql) | Ask::Run(sql)
                if sql.contains(silent) && !(silent == "COPY" && ask == Ask::Describe(sql)) =>
            {
                Some(Answer(Vec::new(), true))
            }
            _ => None,
        })
        .await;
        let limits = Limits { connect_timeout_seconds: 1.0, statement_timeout_seconds: 0.2, ..Limits::default() };
        let begun = std::time::Instant::now();
        let error = read_with(port, limits, "select 1 as a").await.err().expect("an error");
        assert_eq!(error.code(), Code::SourceInterrupted, "{silent}: {error}");
        assert!(error.message().contains("gone silent"), "{silent}: {error}");
        assert!(begun.elapsed() >= Duration::from_millis(1200), "the server had the time that it was given");
    }
}

#[tokio::test]
async fn answers_of_any_size_are_not_kept() {
    for (kind, at) in [(b'T', "select 1"), (b'D', "pg_roles"), (b'E', "pg_roles"), (b'N', "pg_roles")] {
        let port = liar(move |ask| match ask {
            Ask::Describe(sql) | Ask::Run(sql) if sql.contains(at) => Some(Answer(endless(kind), true)),
            _ => None,
        })
        .await;
        let error = refused(port).await;
        assert_eq!(error.code(), Code::QueryError, "{error}");
        assert_eq!(error.message(), "PostgreSQL described the statement in more than 1048576 bytes");
    }
    let many = liar(|ask| match ask {
        Ask::Run(sql) if sql.contains("pg_roles") => Some(Answer(row(&["x"]).repeat(100_000), false)),
        _ => None,
    });
    assert_eq!(refused(many.await).await.code(), Code::QueryError);
    let login = liar(|ask| match ask {
        Ask::Login => Some(Answer([endless(b'R'), vec![0; 8 << 20]].concat(), true)),
        _ => None,
    });
    let error = refused(login.await).await;
    assert_eq!(error.code(), Code::SourceUnreachable);
    assert!(error.message().ends_with("broke off while the connection was made"), "{error}");
}

#[tokio::test]
async fn what_the_server_says_is_cut_and_gives_no_password_away() {
    let echo = |at: &'static str| {
        liar(move |ask| match ask {
            Ask::Login if at == "login" => {
                Some(Answer([message(b'R', &[0; 4]), failure(&format!("{PASSWORD}\x1b[2J"))].concat(), true))
            }
            Ask::Describe(sql) | Ask::Run(sql) if sql.contains(at) && sql.contains("COPY") == (at == "COPY") => {
                Some(Answer(failure(&format!("I am told {PASSWORD}\x1b[2J{}", "x".repeat(100_000))), false))
            }
            Ask::Describe(sql) if at == "void" && !sql.contains("COPY") => Some(Answer(column(PASSWORD, 2278), false)),
            _ => None,
        })
    };
    for at in ["login", "BEGIN", "pg_roles", "select 1", "COPY", "void"] {
        let error = refused(echo(at).await).await;
        let mut told = format!("{error} {error:?}");
        let mut cause = error.source();
        while let Some(next) = cause {
            told += &format!("{next} {next:?}");
            cause = next.source();
        }
        assert!(!told.contains(PASSWORD) && told.contains("***"), "{at}: {told}");
        assert!(!told.contains('\x1b'), "{at}: {told:?}");
        assert!(error.message().len() < 1200, "{at}: {}", error.message().len());
    }
}
