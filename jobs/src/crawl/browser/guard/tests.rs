//! The guard as a program of its own: raw requests, as a browser would send them and as others might.
use std::collections::BTreeMap;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// A site that answers everything with the head that it got, and counts its callers.
async fn site() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let heads = Arc::<Mutex<Vec<String>>>::default();
    let seen = heads.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
            seen.lock().expect("heads").push(String::from_utf8_lossy(&head).into_owned());
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nKeep-Alive: x\r\nContent-Length: 5\r\n\r\nhello").await;
        }
    });
    (address, heads)
}

async fn guard(allowed: &str, names: &[(&str, &str)], bytes: u64) -> Guard {
    let allowed = allowed.split_whitespace().map(|network| network.parse().expect("a network")).collect();
    let names: BTreeMap<String, IpAddr> =
        names.iter().map(|(name, address)| ((*name).to_owned(), address.parse().expect("an address"))).collect();
    let lookup: Lookup = Arc::new(move |name| {
        let found = names.get(&name).copied();
        Box::pin(async move { found.map(|address| vec![address]).ok_or_else(|| io::Error::other("unknown")) })
    });
    Guard::start(Arc::new(Egress::new(allowed)), lookup, Duration::from_secs(2), bytes).await.expect("a guard")
}

/// Sends a head (with the secret in place of `AUTH`) and gives what comes back within the connection.
async fn ask(guard: &Guard, head: &str) -> String {
    let secret = BASE64_STANDARD.encode(format!("{USER}:{}", guard.secret()));
    let head = head.replace("AUTH", &format!("Proxy-Authorization: Basic {secret}\r\nConnection: close"));
    let mut stream = TcpStream::connect(guard.address).await.expect("connected");
    stream.write_all(head.as_bytes()).await.expect("written");
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn requests_are_handed_on_without_the_secret() {
    let (site, heads) = site().await;
    let guard = guard("127.0.0.1/32", &[("site.example", "127.0.0.1")], 1 << 20).await;
    let head = format!(
        "GET http://site.example:{0}/a?b=c HTTP/1.1\r\nHost: site.example:{0}\r\nX-A: 1\r\nAUTH\r\n\r\n",
        site.port()
    );
    let answer = ask(&guard, &head).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
    assert!(!answer.to_lowercase().contains("keep-alive"), "{answer}");
    let seen = heads.lock().expect("heads").join("");
    assert!(seen.starts_with("GET /a?b=c HTTP/1.1\r\n") && seen.contains("X-A: 1\r\n"), "{seen}");
    assert!(!seen.to_lowercase().contains("proxy"), "{seen}");
}

#[tokio::test]
async fn tunnels_go_to_permitted_places() {
    let (site, heads) = site().await;
    let guard = guard("127.0.0.1/32", &[], 1 << 20).await;
    let head = format!("CONNECT {site} HTTP/1.1\r\nHost: {site}\r\nAUTH\r\n\r\nGET /inside HTTP/1.1\r\n\r\n");
    let answer = ask(&guard, &head).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
    assert_eq!(heads.lock().expect("heads").concat(), "GET /inside HTTP/1.1\r\n\r\n");
}

#[tokio::test]
async fn strangers_and_forbidden_places_get_nothing() {
    let (site, heads) = site().await;
    let port = site.port();
    let guard = guard("", &[("rebound.example", "127.0.0.1"), ("mapped.example", "::ffff:127.0.0.1")], 1 << 20).await;
    for host in ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]", "rebound.example", "mapped.example", "0"]
    {
        for head in [
            format!("GET http://{host}:{port}/ HTTP/1.1\r\nHost: public.example\r\nAUTH\r\n\r\n"),
            format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: public.example\r\nAUTH\r\n\r\n"),
        ] {
            let answer = ask(&guard, &head).await;
            assert!(answer.starts_with("HTTP/1.1 502"), "{head}: {answer}");
        }
        let url = Url::parse(&format!("http://{host}:{port}/")).expect("an address");
        assert_eq!(guard.refusal(&url).map(|error| error.code()), Some(Code::EgressBlocked), "{host}");
    }
    let stranger =
        ask(&guard, &format!("GET http://{site}/ HTTP/1.1\r\nHost: {site}\r\nConnection: close\r\n\r\n")).await;
    assert!(stranger.starts_with("HTTP/1.1 407"), "{stranger}");
    for head in [
        "GET / HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n",
        "GET ftp://x/ HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n",
        "CONNECT x:25 HTTP/1.1\r\nAUTH\r\n\r\n",
    ] {
        let answer = ask(&guard, head).await;
        assert!(answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 502"), "{head}: {answer}");
    }
    assert_eq!(*heads.lock().expect("heads"), Vec::<String>::new());
}

#[tokio::test]
async fn bytes_are_counted() {
    let (site, _) = site().await;
    let guard = guard("127.0.0.0/8", &[], 4).await;
    let head = format!("GET http://{site}/ HTTP/1.1\r\nHost: {site}\r\nAUTH\r\n\r\n");
    let answer = ask(&guard, &head).await;
    assert!(!answer.ends_with("hello") && guard.is_spent(), "{answer}");
    assert!(ask(&guard, &head).await.starts_with("HTTP/1.1 502"));
    let url = Url::parse(&format!("http://{site}/")).expect("an address");
    assert_eq!(guard.refusal(&url).map(|error| error.code()), Some(Code::ResponseTooLarge));
}
