//! What a site's robots.txt says is done, by all workers, and it is asked for once.
use futures::future::join_all;
use icehaul_jobs::{Code, Retry};
use icehaul_tests::site::Site;
use serde_json::json;

use super::{Stand, get};

fn asked_robots(site: &Site) -> usize {
    site.log().iter().filter(|hit| hit.path == "/robots.txt").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn forbidden_pages_are_not_asked_for_by_any_way() {
    let stand = Stand::new().await;
    let work = (0..4).map(|_| async {
        let visits = stand.visits(json!({})).await;
        let ways =
            ["/private/1", "/redirect?to=/private/2", "/redirect?to=/chain%3Fn=1%26to=x", "/%70rivate/3", "/private/"];
        for way in ways {
            let answer = get(&visits, &stand.site.url(way)).await;
            match way.contains("chain") {
                true => assert_eq!(answer.map(|page| page.status).map_err(|e| e.code()), Ok(200)),
                false => assert_eq!(answer.map(|_| ()).map_err(|e| e.code()), Err(Code::RobotsDisallowed), "{way}"),
            }
        }
        let turn = visits.turn(&super::url(&stand.site.url("/private/4"))).await;
        assert_eq!(turn.map(|_| ()).map_err(|e| e.code()), Err(Code::RobotsDisallowed));
    });
    join_all(work).await;
    let private: Vec<_> =
        stand.site.paths().into_iter().filter(|path| path.to_lowercase().contains("rivate")).collect();
    assert!(private.iter().all(|path| path.starts_with("/redirect?")), "{private:?}");
    assert_eq!(asked_robots(&stand.site), 1, "once for all workers");
    let robots = stand.site.log().into_iter().find(|hit| hit.path == "/robots.txt").expect("asked");
    assert!(robots.header("user-agent").is_some_and(|agent| agent.starts_with("icehaul/")));

    let consent = stand.visits(json!({"respect_robots": false})).await;
    assert_eq!(get(&consent, &stand.site.url("/private/5")).await.expect("a page").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_group_and_the_crawl_delay_count() {
    let stand = Stand::new().await;
    stand
        .site
        .set_robots(200, "User-agent: *\nDisallow: /\n\nUser-agent: Icehaul\nCrawl-delay: 0.4\nDisallow: /list\n");
    let visits = stand.visits(json!({"delay_seconds": 0.1})).await;
    for page in 1..=4 {
        get(&visits, &stand.site.url(&format!("/pages/{page}"))).await.expect("a page");
    }
    let error = get(&visits, &stand.site.url("/list?page=1")).await.expect_err("forbidden");
    assert_eq!((error.code(), error.retry()), (Code::RobotsDisallowed, Retry::Never));
    let times: Vec<_> = stand.site.log().iter().map(|hit| hit.at.as_secs_f64()).collect();
    assert_eq!(times.len(), 5);
    assert!(times.windows(2).all(|pair| (0.39..0.65).contains(&(pair[1] - pair[0]))), "{times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_cannot_say_is_left_alone_and_one_without_rules_is_free() {
    for (status, text, expected) in [
        (404, "", Ok(())),
        (403, "", Ok(())),
        (200, "<html>not found</html>", Ok(())),
        (500, "", Err(Code::RobotsDisallowed)),
        (503, "", Err(Code::RobotsDisallowed)),
        (429, "", Err(Code::RobotsDisallowed)),
    ] {
        let stand = Stand::new().await;
        stand.site.set_robots(status, text);
        let visits = stand.visits(json!({})).await;
        let answer = get(&visits, &stand.site.url("/pages/1")).await;
        if let Err(error) = &answer {
            assert_eq!(error.retry(), Retry::Backoff, "{status}: it may be back soon");
            // It holds for a minute, for other workers too.
            let other = stand.visits(json!({})).await;
            assert!(get(&other, &stand.site.url("/pages/2")).await.is_err());
            assert!(stand.site.paths().is_empty(), "{status}");
        }
        assert_eq!(answer.map(|_| ()).map_err(|e| e.code()), expected, "{status}");
        assert_eq!(asked_robots(&stand.site), 1, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_as_long_as_they_like_are_read_up_to_the_bound() {
    let stand = Stand::new().await;
    let many = format!("user-agent: *\ndisallow: /pages/1$\n{}", "disallow: /x\n".repeat(200_000));
    stand.site.set_robots(200, &many);
    let visits = stand.visits(json!({})).await;
    assert!(get(&visits, &stand.site.url("/pages/1")).await.is_err());
    assert_eq!(get(&visits, &stand.site.url("/pages/2")).await.expect("a page").status, 200);
}
