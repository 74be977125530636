//! No way leads inside, and no answer is larger, slower or odder than allowed.
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use icehaul_jobs::{Code, Ctx, crawl::Visits, http::Lookup};
use icehaul_tests::site::Site;
use serde_json::{Value, json};

use super::{Stand, get, manners, text, url};

const INSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

async fn begun(ctx: &Ctx, fields: Value, first: &str) -> icehaul_jobs::Result<Visits> {
    Visits::begin(ctx, &manners(fields), &url(first)).await
}

/// Every spelling of the address at which the trap listens, and others that are nobody's business.
pub fn ways(port: u16) -> Vec<String> {
    let hosts = [
        "127.0.0.2",
        "127.2",
        "127.0.2",
        "2130706434",
        "0x7f000002",
        "0x7f.2",
        "0x7f.0x0.0x0.0x2",
        "0177.0.0.2",
        "017700000002",
        "127.0.0.2.",
        "①②⑦.⓪.⓪.②",
        "127。0。0。2",
        "[::ffff:127.0.0.2]",
        "[::ffff:7f00:2]",
        "[::127.0.0.2]",
        "[::ffff:0:127.0.0.2]",
        "[64:ff9b::7f00:2]",
        "[2002:7f00:2::]",
        "[::1]",
        "[::]",
        "0.0.0.0",
        "0",
        "169.254.169.254",
        "[::ffff:a9fe:a9fe]",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "[fe80::1]",
        "[fc00::1]",
        "224.0.0.1",
        "255.255.255.255",
        "127.0.0.3",
        "127.255.255.254",
    ];
    hosts.iter().map(|host| format!("http://{host}:{port}/inside")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_way_leads_inside() {
    let (stand, trap) = (Stand::new().await, Site::start_on(INSIDE).await);
    let six = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let free = format!("127.0.0.2:{}", trap.port());
    assert!(tokio::net::TcpStream::connect(&free).await.is_ok(), "the trap is open");
    let names: Lookup = Arc::new(move |name| {
        Box::pin(async move {
            Ok(match name.as_str() {
                "inside.example" => vec![INSIDE],
                "six.example" => vec![six],
                "cloud.example" => vec!["169.254.169.254".parse().expect("an address")],
                "mixed.example" => vec![INSIDE, OUTSIDE],
                _ => vec![OUTSIDE],
            })
        })
    });
    let ctx = stand.worker_by(Some(names)).await;
    let site = stand.site.port();
    let visits = begun(&ctx, json!({}), &format!("http://outside.example:{site}/")).await.expect("begun");
    let mut ways = ways(trap.port());
    ways.extend(["inside", "six", "cloud"].map(|name| format!("http://{name}.example:{}/inside", trap.port())));
    assert!(ways.len() >= 30);
    for way in &ways {
        let code =
            |answer: icehaul_jobs::Result<icehaul_jobs::crawl::Page>| answer.map(|_| ()).map_err(|error| error.code());
        assert_eq!(code(get(&visits, way).await), Err(Code::EgressBlocked), "{way}");
        for status in [302, 307] {
            let to: String = url::form_urlencoded::byte_serialize(way.as_bytes()).collect();
            let redirect = stand.site.url(&format!("/redirect?status={status}&to={to}"));
            assert_eq!(code(get(&visits, &redirect).await), Err(Code::EgressBlocked), "redirect to {way}");
        }
    }
    for scheme in ["file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/", "data:text/html,x"] {
        let error = get(&visits, scheme).await.expect_err("no web");
        assert_eq!(error.code(), Code::EgressBlocked, "{scheme}");
    }
    // Of several answers the permitted one is taken.
    assert_eq!(get(&visits, &format!("http://mixed.example:{site}/pages/1")).await.expect("a page").status, 200);
    assert!(trap.log().is_empty(), "{:?}", trap.paths());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_changes_its_address_leads_nowhere_else() {
    let (stand, trap) = (Stand::new().await, Site::start_on(INSIDE).await);
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    // First outside, ever after inside.
    let rebinding: Lookup = Arc::new(move |_| {
        let first = counter.fetch_add(1, SeqCst) == 0;
        Box::pin(async move { Ok(vec![if first { OUTSIDE } else { INSIDE }]) })
    });
    let ctx = stand.worker_by(Some(rebinding)).await;
    let base = format!("http://rebind.example:{}", stand.site.port());
    let visits = begun(&ctx, json!({"respect_robots": false}), &base).await.expect("begun");
    // It breaks its connection, so that the name must be looked up again.
    let error = get(&visits, &format!("{base}/broken")).await.expect_err("broken, then blocked");
    assert_eq!(error.code(), Code::EgressBlocked, "{error}");
    assert!(asked.load(SeqCst) >= 2);
    assert!(trap.log().is_empty() && stand.site.paths().len() == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_detour_leads_inside_either() {
    let (stand, trap) = (Stand::new().await, Site::start_on(INSIDE).await);
    let ctx = stand.worker().await;
    let first = stand.site.url("/");
    let login = json!({"auth": {"login": {"url": trap.url("/login"), "password": "p"}}});
    let refused = begun(&ctx, login, &first).await.map(|_| ()).map_err(|error| error.code());
    assert_eq!(refused, Err(Code::EgressBlocked), "a login page");
    let oauth2 =
        json!({"auth": {"oauth2": {"token_url": trap.url("/oauth/token"), "client_id": "c", "client_secret": "s"}}});
    let visits = begun(&ctx, oauth2, &first).await.expect("begun");
    let refused = get(&visits, &stand.site.url("/pages/1")).await.map(|_| ()).map_err(|error| error.code());
    assert_eq!(refused, Err(Code::EgressBlocked), "a token's address");
    let refused = begun(&ctx, json!({}), &trap.url("/")).await.map(|_| ()).map_err(|error| error.code());
    assert_eq!(refused, Err(Code::EgressBlocked), "the first page");
    assert!(trap.log().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_few() {
    let stand = Stand::new().await;
    let visits = stand.visits(json!({})).await;
    let page = get(&visits, &stand.site.url("/chain?n=4")).await.expect("five redirects at most");
    assert_eq!(page.url.as_str(), stand.site.url("/chain?n=0"));
    for path in ["/loop", "/chain?n=6"] {
        let error = get(&visits, &stand.site.url(path)).await.expect_err("too many");
        assert_eq!(error.code(), Code::TooManyRedirects, "{path}");
    }
    let error = get(&visits, &stand.site.url("/redirect")).await.map(|page| page.status);
    assert!(error.is_ok() || error.is_err(), "an empty address is the page itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_and_times_are_bounded() {
    let stand = Stand::new().await;
    let visits = stand.visits(json!({"max_bytes": 5_000_000})).await;
    let hasty = stand.visits(json!({"page_seconds": 1})).await;
    for (path, code) in [
        ("/bomb?mb=50", Code::DecompressedTooLarge),
        ("/endless", Code::ResponseTooLarge),
        ("/large?mb=6", Code::ResponseTooLarge),
        ("/drip?ms=50", Code::SourceTimeout),
        ("/hang", Code::SourceTimeout),
    ] {
        let began = Instant::now();
        let asking = if code == Code::SourceTimeout { &hasty } else { &visits };
        let error = get(asking, &stand.site.url(path)).await.expect_err(path);
        assert_eq!(error.code(), code, "{path} {error}");
        // The others end by their sizes, however slow the machine is.
        let in_time = code != Code::SourceTimeout || began.elapsed() < Duration::from_secs(30);
        assert!(in_time, "{path} {:?}", began.elapsed());
    }
    let page = get(&visits, &stand.site.url("/large?mb=4")).await.expect("a page");
    assert_eq!(page.body.len(), 4 << 20);
    let page = get(&visits, &stand.site.url("/zipped/3")).await.expect("a page");
    assert!(text(&page).contains("<td>101</td>") && text(&page).ends_with("</html>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_say_what_happened_and_no_parameter() {
    let stand = Stand::new().await;
    let visits = stand.visits(json!({"respect_robots": false, "page_seconds": 1})).await;
    let port = icehaul_tests::free_port().expect("a port");
    let closed = format!("http://127.0.0.1:{port}/x?token=canary-1");
    let secure = format!("https://127.0.0.1:{}/x?token=canary-1", stand.site.port());
    let cases = [
        (closed, Code::SourceUnreachable),
        (secure, Code::TlsError),
        ("http://no-such-host.invalid/x?token=canary-1".to_owned(), Code::SourceUnreachable),
        (stand.site.url("/status/404?token=canary-1"), Code::Http404),
        (stand.site.url("/hang?token=canary-1"), Code::SourceTimeout),
        (stand.site.url("/redirect?token=canary-1&to=http://10.0.0.1/%3Ftoken=canary-1"), Code::EgressBlocked),
    ];
    for (address, code) in cases {
        let error = get(&visits, &address).await.expect_err(&address);
        assert_eq!(error.code(), code, "{address} {error}");
        let mut all = format!("{error} {error:?}");
        let mut cause = std::error::Error::source(&error);
        while let Some(next) = cause {
            all.push_str(&format!(" {next} {next:?}"));
            cause = next.source();
        }
        assert!(!all.contains("canary"), "{address} {all}");
    }
}
