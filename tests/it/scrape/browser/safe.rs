//! Nothing that a page does leads inside: neither the page itself, nor what it asks for, nor past the proxy.
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use icehaul_jobs::{Code, crawl::Visits, http::Lookup};
use icehaul_tests::site::Site;
use serde_json::json;

use super::{Browsing, Rendering, Stand, config, manners, render, rows, url};

const INSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

#[tokio::test(flavor = "multi_thread")]
async fn slow_what_a_page_asks_for_stays_outside() {
    let (browsing, trap) = (Browsing::new().await, Site::start_on(INSIDE).await);
    let udp = tokio::net::UdpSocket::bind((INSIDE, 0)).await.expect("a port");
    let port = udp.local_addr().expect("its address").port();
    let path = format!("/script/inside?port={}&udp={port}", trap.port());
    assert_eq!(browsing.rows(&path, json!({"wait_for": "#t tbody tr"})).await, 3);
    // All that it has tried has had the time to fail.
    assert_eq!(browsing.rows(&path, json!({})).await, 3);
    assert!(trap.log().is_empty(), "{:?}", trap.paths());
    let datagram = tokio::time::timeout(Duration::from_millis(500), udp.recv(&mut [0; 1500])).await;
    assert!(datagram.is_err(), "WebRTC asks for an address past the proxy");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_no_page_lies_inside() {
    let (stand, trap) = (Stand::new().await, Site::start_on(INSIDE).await);
    let names: Lookup = Arc::new(|name| {
        Box::pin(
            async move { Ok(vec![if name == "inside.example" { INSIDE } else { IpAddr::V4(Ipv4Addr::LOCALHOST) }]) },
        )
    });
    let ctx = stand.worker_with(config(), Some(names)).await;
    let (site, port) = (stand.site.port(), trap.port());
    let first = |path: &str| url(&format!("http://outside.example:{site}{path}"));
    let visits = Visits::begin(&ctx, &manners(json!({})), &first("/")).await.expect("begun");
    let rendering = Rendering { render_seconds: Some(10.0), ..Rendering::default() };
    for target in [
        format!("http://127.0.0.2:{port}/pages/1"),
        format!("http://2130706434:{port}/pages/1"),
        format!("http://[::ffff:127.0.0.2]:{port}/pages/1"),
        format!("http://inside.example:{port}/pages/1"),
        format!("https://inside.example:{port}/pages/1"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://localhost:6379/".to_owned(),
    ] {
        let error = render(&ctx, &visits, &url(&target), &rendering, 1 << 20).await.expect_err("inside");
        assert_eq!(error.code(), Code::EgressBlocked, "{target}: {error}");
        let to: String = url::form_urlencoded::byte_serialize(target.as_bytes()).collect();
        for path in [format!("/redirect?to={to}"), format!("/script/moved?to={to}")] {
            let error = render(&ctx, &visits, &first(&path), &rendering, 1 << 20).await.expect_err("inside");
            assert_eq!(error.code(), Code::EgressBlocked, "{path}: {error}");
        }
    }
    assert!(trap.log().is_empty(), "{:?}", trap.paths());
    let page = render(&ctx, &visits, &first("/script/table"), &rendering, 1 << 20).await.expect("a page");
    assert_eq!(rows(&page), 3, "names that lead outside are found");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_a_page_cannot_go_where_there_is_no_web() {
    let browsing = Browsing::new().await;
    for target in [
        "file:///etc/passwd",
        "data:text/html,<table><tr><td>x</table>",
        "chrome://version",
        "view-source:http://127.0.0.1/",
    ] {
        let to: String = url::form_urlencoded::byte_serialize(target.as_bytes()).collect();
        // The browser refuses to go there, and the page stays.
        let page = browsing.page(&format!("/script/moved?to={to}&stay=1"), json!({})).await.expect("the page itself");
        assert_eq!((page.url.path(), rows(&page)), ("/script/moved", 3), "{target}");
    }
}
