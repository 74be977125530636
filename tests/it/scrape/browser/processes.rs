//! The browser's processes: none outlives its worker, a crash is made up for, and the sandbox is on unless switched off.
use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path, process::Stdio, time::Duration};

use icehaul_jobs::{
    Code,
    config::{Networks, ScrapeConfig},
    crawl::Visits,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::{sleep, timeout},
};

use super::{Rendering, Stand, config, manners, render, url};

const RENDERER: &str = env!("CARGO_BIN_EXE_renderer");

/// A process with a browser, and the folder in which they have all that is theirs.
struct Renderer {
    folder: TempDir,
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Renderer {
    fn start(stand: &Stand, command: &[&str], config: &ScrapeConfig) -> Self {
        let allow_networks = Networks(vec!["127.0.0.1/32".parse().expect("a network")]);
        let config = ScrapeConfig { allow_networks, ..config.clone() };
        let folder = TempDir::new().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("a folder for all");
        let mut words = command.iter().copied();
        let mut process = Command::new(words.next().expect("a program"));
        let mut child = process
            .args(words)
            .arg(stand.redis.url())
            .env("RENDERER_SCRAPE", serde_json::to_string(&config).expect("JSON"))
            .env("TMPDIR", folder.path())
            .env("HOME", folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a process");
        let (input, output) = (child.stdin.take(), child.stdout.take().expect("piped"));
        Self { folder, child, input, output: BufReader::new(output).lines() }
    }

    async fn ask(&mut self, address: &str, rendering: Value) {
        let line = json!({"url": address, "manners": {"delay_seconds": 0}, "rendering": rendering});
        let input = self.input.as_mut().expect("open");
        input.write_all(format!("{line}\n").as_bytes()).await.expect("written");
    }

    async fn answer(&mut self) -> Value {
        let line = timeout(Duration::from_secs(60), self.output.next_line()).await.expect("in time");
        serde_json::from_str(&line.expect("output").expect("a line")).expect("JSON")
    }

    /// The processes of its browser, by their command lines: all of them name the folder, or belong to one that does.
    fn browsers(&self) -> BTreeMap<u32, String> {
        let place = self.folder.path().display().to_string();
        let mut found = BTreeMap::new();
        for entry in fs::read_dir("/proc").expect("processes").flatten() {
            let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            let read = |file: &str| fs::read(entry.path().join(file)).unwrap_or_default();
            let line = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
            let environment = String::from_utf8_lossy(&read("environ")).into_owned();
            let is_renderer = self.child.id() == Some(id);
            if !is_renderer
                && (line.contains(&place) || environment.contains(&place))
                && !line.contains("renderer redis")
            {
                found.insert(id, line);
            }
        }
        found
    }

    /// The browsers' own processes, of which the others are helpers.
    fn mains(&self) -> Vec<u32> {
        let is_main = |line: &&String| {
            line.contains("--remote-debugging-pipe") && !line.contains("--type=") && !line.starts_with("/bin/sh")
        };
        self.browsers().iter().filter(|(_, line)| is_main(line)).map(|(id, _)| *id).collect()
    }

    /// Waits until no process and no file of a browser is left.
    async fn gone(&self) {
        let left = || {
            fs::read_dir(self.folder.path())
                .expect("the folder")
                .flatten()
                .map(|entry| entry.path())
                .collect::<Vec<_>>()
        };
        for _ in 0..200 {
            if self.browsers().is_empty() && left().is_empty() {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("after 10 s there are still {:#?} and {:?}", self.browsers(), left());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_no_browser_outlives_its_worker() {
    let stand = Stand::new().await;
    for kill in [false, true] {
        let mut renderer = Renderer::start(&stand, &[RENDERER], &config());
        renderer.ask(&stand.site.url("/script/table?ms=10"), json!({})).await;
        let answer = renderer.answer().await;
        assert!(answer["html"].as_str().is_some_and(|html| html.contains("name 3")), "{answer}");
        assert!(renderer.browsers().len() >= 4 && renderer.mains().len() == 1, "{:#?}", renderer.browsers());
        if kill {
            // While it waits for a page, at that.
            renderer.ask(&stand.site.url("/script/never"), json!({"wait_for": "#t"})).await;
            while !stand.site.paths().iter().any(|path| path == "/script/never") {
                tokio::task::yield_now().await;
            }
            renderer.child.kill().await.expect("killed");
        } else {
            renderer.input = None;
            timeout(Duration::from_secs(20), renderer.child.wait()).await.expect("in time").expect("its end");
        }
        renderer.gone().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_a_browser_that_breaks_down_is_made_up_for_once() {
    let stand = Stand::new().await;
    let mut renderer = Renderer::start(&stand, &[RENDERER], &config());
    let asked = |path: &str| stand.site.paths().iter().filter(|asked| *asked == path).count();
    for (times, path) in [(1, "/script/table?ms=1500"), (2, "/script/table?ms=1600")] {
        renderer.ask(&stand.site.url(path), json!({"wait_for": "#t"})).await;
        for time in 1..=times {
            while asked(path) < time {
                sleep(Duration::from_millis(10)).await;
            }
            for id in renderer.mains() {
                icehaul_tests::signal(id, "KILL").expect("killed");
            }
        }
        let answer = renderer.answer().await;
        match times {
            1 => assert!(answer["html"].as_str().is_some_and(|html| html.contains("name 3")), "{answer}"),
            _ => assert_eq!(answer["code"], "browser_crashed", "{answer}"),
        }
        assert_eq!(asked(path), 2, "asked for once more, and no more");
    }
    renderer.ask(&stand.site.url("/script/table?ms=10"), json!({})).await;
    assert!(renderer.answer().await["html"].is_string());
    assert_eq!(renderer.mains().len(), 1, "{:#?}", renderer.browsers());
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_a_browser_is_renewed_after_some_pages() {
    let stand = Stand::new().await;
    let mut renderer = Renderer::start(&stand, &[RENDERER], &ScrapeConfig { browser_pages: 2, ..config() });
    let mut mains = Vec::new();
    for _ in 0..5 {
        renderer.ask(&stand.site.url("/pages/1"), json!({})).await;
        let answer = renderer.answer().await;
        assert!(answer["html"].is_string(), "{answer}");
        mains.extend(renderer.mains().last().copied());
    }
    mains.dedup();
    assert_eq!(mains.len(), 3, "five pages, two each");
    renderer.input = None;
    renderer.gone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_a_browser_that_takes_too_much_memory_is_renewed() {
    let stand = Stand::new().await;
    let mut renderer = Renderer::start(&stand, &[RENDERER], &ScrapeConfig { browser_memory_mb: 1, ..config() });
    renderer.ask(&stand.site.url("/script/never"), json!({"wait_for": "#t", "render_seconds": 20})).await;
    let answer = renderer.answer().await;
    assert_eq!(answer["code"], "browser_crashed", "it is ended, twice: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_a_browser_says_what_to_do() {
    let stand = Stand::new().await;
    let missing = ScrapeConfig { browser: Some("/no/such/chromium".into()), ..config() };
    let ctx = stand.worker_with(missing, None).await;
    let first = url(&stand.site.url("/pages/1"));
    let visits = Visits::begin(&ctx, &manners(json!({})), &first).await.expect("begun");
    let error = render(&ctx, &visits, &first, &Rendering::default(), 1 << 20).await.expect_err("no browser");
    assert_eq!(error.code(), Code::BrowserUnavailable);
    assert!(error.message().contains("/no/such/chromium"), "{error}");
    assert!(stand.site.paths().is_empty(), "the site is not asked for nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_the_sandbox_is_on_unless_it_is_switched_off() {
    let stand = Stand::new().await;
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let sandboxed = ScrapeConfig::default();
    if is_root {
        let mut renderer = Renderer::start(&stand, &[RENDERER], &sandboxed);
        renderer.ask(&stand.site.url("/pages/1"), json!({})).await;
        let answer = renderer.answer().await;
        assert_eq!(answer["code"], "browser_unavailable");
        let message = answer["message"].as_str().expect("a message");
        assert!(message.contains("another user") && message.contains("scrape.browser_sandbox = false"), "{message}");
    }
    // As nobody in particular it is there, where the kernel gives user namespaces to everybody.
    let programs = TempDir::new().expect("a folder");
    fs::set_permissions(programs.path(), fs::Permissions::from_mode(0o755)).expect("a folder for all");
    let copy = programs.path().join("renderer");
    fs::copy(Path::new(RENDERER), &copy).expect("a copy");
    let copy = copy.display().to_string();
    let command = if is_root { vec!["runuser", "-u", "nobody", "--", copy.as_str()] } else { vec![copy.as_str()] };
    let mut renderer = Renderer::start(&stand, &command, &sandboxed);
    renderer.ask(&stand.site.url("/script/table?ms=10"), json!({})).await;
    let answer = renderer.answer().await;
    let namespaces = std::process::Command::new("unshare").args(["-U", "true"]).status().is_ok_and(|end| end.success());
    if !namespaces {
        assert_eq!(answer["code"], "browser_unavailable", "{answer}");
        assert!(answer["message"].as_str().is_some_and(|message| message.contains("user namespaces")), "{answer}");
        return;
    }
    assert!(answer["html"].as_str().is_some_and(|html| html.contains("name 3")), "{answer}");
    let browsers = renderer.browsers();
    assert!(!browsers.is_empty() && browsers.values().all(|line| !line.contains("--no-sandbox")), "{browsers:#?}");
    renderer.input = None;
    renderer.gone().await;
}
