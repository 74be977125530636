//! Who a job is at a site: headers, cookies, logins and tokens, told to nobody else.
use std::{net::Ipv4Addr, sync::Arc};

use icehaul_jobs::{Code, crawl::Visits, http::Lookup};
use icehaul_tests::site::{
    Site,
    session::{PASSWORD, TOKEN, USER},
};
use serde_json::{Value, json};

use super::{Stand, get, manners, text, url};

fn login(stand: &Stand, more: Value) -> Value {
    let mut login = json!({"url": stand.site.url("/login"), "fields": {"user": USER}, "password": PASSWORD});
    login.as_object_mut().expect("fields").extend(more.as_object().cloned().expect("fields"));
    json!({"auth": {"login": login}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_logs_in_with_its_hidden_fields() {
    let stand = Stand::new().await;
    for more in [json!({}), json!({"form": "form[method=post]", "check": "a.logout"})] {
        let visits = stand.visits(login(&stand, more)).await;
        let page = get(&visits, &stand.site.url("/members")).await.expect("a page");
        assert!(text(&page).contains("<td>members"), "{}", text(&page));
        assert_eq!(page.url.path(), "/members");
        let names: Vec<_> = visits.cookies_for(&page.url).into_iter().map(|(name, _)| name).collect();
        assert!(names.contains(&"sid".to_owned()) && names.contains(&"csrf".to_owned()), "{names:?}");
    }
    // A session is its job's own.
    let other = stand.visits(json!({})).await;
    assert_eq!(get(&other, &stand.site.url("/members")).await.expect("a page").url.path(), "/login");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_fails_says_so_and_no_secret() {
    let stand = Stand::new().await;
    let wrong = "canary-wrong-password";
    for fields in [
        login(&stand, json!({"password": wrong})),
        login(&stand, json!({"check": "a.no-such-link"})),
        login(&stand, json!({"fields": {"user": wrong}})),
        login(&stand, json!({"form": "form[action='/search']"})),
        login(&stand, json!({"form": "#none"})),
        login(&stand, json!({"url": stand.site.url("/pages/1")})),
    ] {
        let error = stand.begun(fields.clone()).await.map(|_| ()).expect_err("refused");
        assert_eq!(error.code(), Code::AuthFailed, "{fields} {error}");
        let said = format!("{error} {error:?}");
        assert!(!said.contains("canary") && said.contains("/"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_and_tokens_open_pages() {
    let stand = Stand::new().await;
    let basic = |password: &str| json!({"auth": {"basic": {"user": USER, "password": password}}});
    for (path, fields, code) in [
        ("/basic", basic(PASSWORD), None),
        ("/basic", basic("wrong"), Some(Code::Http401)),
        ("/basic", json!({}), Some(Code::Http401)),
        ("/bearer", json!({"auth": {"bearer": TOKEN}}), None),
        ("/bearer", json!({"headers": {"Authorization": format!("Bearer {TOKEN}")}}), None),
        ("/bearer", json!({"auth": {"bearer": "wrong"}}), Some(Code::Http401)),
    ] {
        let visits = stand.visits(fields.clone()).await;
        let answer = get(&visits, &stand.site.url(path)).await;
        assert_eq!(answer.err().map(|error| error.code()), code, "{path} {fields}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_fetched_and_renewed() {
    let stand = Stand::new().await;
    let oauth2 = |path: &str, secret: &str, in_body: bool| {
        json!({"auth": {"oauth2": {"token_url": stand.site.url(path), "client_id": USER, "client_secret": secret, "scope": "read",
            "in_body": in_body}}})
    };
    let tokens = || stand.site.paths().iter().filter(|path| path.starts_with("/oauth/token")).count();
    for in_body in [false, true] {
        stand.site.forget();
        let visits = stand.visits(oauth2("/oauth/token", PASSWORD, in_body)).await;
        for _ in 0..3 {
            get(&visits, &stand.site.url("/oauth/table")).await.expect("a page");
        }
        assert_eq!(tokens(), 1, "one token for three pages");
        stand.site.revoke_tokens();
        get(&visits, &stand.site.url("/oauth/table")).await.expect("a page, with a new token");
        assert_eq!(tokens(), 2);
    }
    stand.site.forget();
    let short = stand.visits(oauth2("/oauth/token?seconds=0", PASSWORD, false)).await;
    for _ in 0..2 {
        get(&short, &stand.site.url("/oauth/table")).await.expect("a page");
    }
    assert_eq!(tokens(), 2, "one that ends at once is fetched again");
    let wrong = stand.visits(oauth2("/oauth/token", "canary-wrong", false)).await;
    let error = get(&wrong, &stand.site.url("/oauth/table")).await.expect_err("refused");
    assert_eq!(error.code(), Code::AuthFailed);
    assert!(!format!("{error:?}").contains("canary"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_is_told_nothing() {
    let (stand, other) = (Stand::new().await, Site::start().await);
    let names: Lookup = Arc::new(|_| Box::pin(async { Ok(vec![Ipv4Addr::LOCALHOST.into()]) }));
    let ctx = stand.worker_by(Some(names)).await;
    let home = format!("http://home.example:{}", stand.site.port());
    let away = format!("http://away.example:{}", other.port());
    let fields = json!({
        "headers": {"X-Api-Key": "canary-key"}, "cookies": {"own": "canary-cookie"},
        "auth": {"basic": {"user": USER, "password": PASSWORD}},
    });
    let visits = Visits::begin(&ctx, &manners(fields), &url(&home)).await.expect("begun");
    get(&visits, &format!("{home}/echo")).await.expect("a page");
    get(&visits, &format!("{home}/redirect?to={away}/echo")).await.expect("a page");
    get(&visits, &format!("{away}/echo")).await.expect("a page");
    // The same name on another port is another site.
    get(&visits, &format!("http://home.example:{}/echo", other.port())).await.expect("a page");
    let told = |site: &Site, path: &str| {
        let hit = site.log().into_iter().find(|hit| hit.path.starts_with(path)).expect("asked");
        ["x-api-key", "authorization", "cookie"].map(|name| hit.header(name).is_some())
    };
    assert_eq!(told(&stand.site, "/echo"), [true; 3]);
    assert_eq!(told(&stand.site, "/redirect"), [true; 3]);
    assert_eq!(told(&stand.site, "/robots.txt"), [false; 3], "robots.txt is asked for as nobody");
    let away: Vec<_> =
        other.log().into_iter().filter(|hit| hit.header("host").is_some_and(|host| host.starts_with("away"))).collect();
    assert!(away.len() >= 3);
    for hit in away {
        assert!(
            hit.headers.iter().all(|(name, value)| !value.contains("canary") && name != "authorization"),
            "{hit:?}"
        );
        assert_eq!(hit.header("referer"), None);
    }
    let ports = other.log().into_iter().filter(|hit| hit.header("host").is_some_and(|host| host.starts_with("home")));
    for hit in ports {
        assert!(hit.header("x-api-key").is_none() && hit.header("authorization").is_none(), "{hit:?}");
    }
}
