//! The browser's processes: found, started in a folder of their own, and ended with all that is theirs.
use std::{
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::{Child, Command};

use super::pipe::Pipe;
use crate::{Code, Error, Result, config::ScrapeConfig};

/// Starts the browser, watches its owner, clears away.
const START: &str = include_str!("start.sh");

/// Where a browser is looked for if none is configured. Debian's command is a script that adds extensions and keys of Google.
const KNOWN: [&str; 6] = [
    "/usr/lib/chromium/chromium",
    "chromium",
    "chromium-browser",
    "chromium-headless-shell",
    "google-chrome-stable",
    "google-chrome",
];

/// The longest path of a folder for temporary files: the browser makes sockets below, and breaks down if their paths have
/// more than 107 bytes.
const LONGEST_PLACE: usize = 44;

/// What every browser of ours is started with. Without the proxy of a tab nothing leads anywhere: names are not looked up,
/// and the proxy that is named here is none.
const FLAGS: [&str; 30] = [
    "--headless",
    "--remote-debugging-pipe",
    "--proxy-server=http://127.0.0.1:1",
    "--proxy-bypass-list=<-loopback>",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--disable-quic",
    "--dns-prefetch-disable",
    "--no-pings",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-client-side-phishing-detection",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-extensions",
    "--disable-breakpad",
    "--disable-crash-reporter",
    "--disable-features=AsyncDns,DnsOverHttps,InterestFeedContentSuggestions,MediaRouter,NetworkTimeServiceQuerying,OptimizationHints,Translate",
    "--deny-permission-prompts",
    "--block-new-web-contents",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--mute-audio",
    "--hide-scrollbars",
    "--password-store=basic",
    "--lang=en-US",
    "--window-size=1280,1600",
];

/// The processes of a browser. They end, and their folder goes, when this is dropped or its owner is killed.
pub(super) struct Process {
    /// Held only by us: its end is the signal.
    _lifeline: io::PipeWriter,
    folder: PathBuf,
    _watch: Child,
}

impl Process {
    /// Starts a browser.
    ///
    /// # Errors
    /// [`Code::BrowserUnavailable`].
    pub(super) fn start(config: &ScrapeConfig) -> Result<(Self, Pipe)> {
        let program = find(config)?;
        if config.browser_sandbox && is_root() {
            return Err(unavailable(
                "the browser's sandbox does not work for root: run the worker as another user, or switch the sandbox off by \
                 `scrape.browser_sandbox = false` in the worker's configuration",
            ));
        }
        let failed = |e| unavailable("the browser cannot be started; the worker's log says why").caused_by(e);
        let folder = private_folder().map_err(failed)?;
        let (watched, lifeline) = io::pipe().map_err(failed)?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", START, "sh"]).arg(&folder).arg(program).args(FLAGS);
        command.arg(format!("--user-data-dir={}", folder.join("profile").display()));
        command.arg(format!("--user-agent={}", config.user_agent));
        if !config.browser_sandbox {
            command.arg("--no-sandbox");
        }
        // Nothing of the worker's environment: there are secrets in it.
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C.UTF-8").env("TZ", "UTC");
        command.env("HOME", &folder).env("TMPDIR", &folder).current_dir(&folder).process_group(0);
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::from(watched)).spawn();
        let mut watch = pipes.map_err(|e| {
            let _ = std::fs::remove_dir(&folder);
            failed(e)
        })?;
        let (Some(to), Some(from)) = (watch.stdin.take(), watch.stdout.take()) else {
            return Err(Error::new(Code::Internal, "the browser has no pipes"));
        };
        Ok((Self { _lifeline: lifeline, folder, _watch: watch }, Pipe::new(to, from)))
    }

    /// Why it did not come up, by what it wrote.
    pub(super) fn why(&self) -> Error {
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let last = log.lines().rev().find(|line| line.contains("ERROR") || line.contains("FATAL"));
        let message = if ["sandbox", "Operation not permitted", "namespace"].iter().any(|word| log.contains(word)) {
            "the browser cannot sandbox its pages here: permit user namespaces to the worker (in containers by a seccomp \
             profile), or switch the sandbox off by `scrape.browser_sandbox = false` in the worker's configuration"
        } else {
            "the browser did not come up; the worker's log says why"
        };
        unavailable(message).caused_by(io::Error::other(last.unwrap_or("it wrote nothing").to_owned()))
    }
}

/// The browser that is configured, or the first known one.
///
/// # Errors
/// [`Code::BrowserUnavailable`], which says what to install.
pub(super) fn find(config: &ScrapeConfig) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let missing = || {
        unavailable(
            "this worker has no browser: install Chromium on its machine (`apt-get install chromium`), or say where one is by \
             `scrape.browser` in its configuration",
        )
    };
    if let Some(browser) = &config.browser {
        let gone = || unavailable(format!("there is no browser at `scrape.browser`, {}", browser.display()));
        return Some(browser.clone()).filter(|path| is_program(path)).ok_or_else(gone);
    }
    let mut places = KNOWN.iter().flat_map(|name| match name.starts_with('/') {
        true => vec![PathBuf::from(name)],
        false => folders.iter().map(|folder| folder.join(name)).collect(),
    });
    places.find(|path| is_program(path)).ok_or_else(missing)
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0)
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn private_folder() -> io::Result<PathBuf> {
    let place = Some(std::env::temp_dir()).filter(|place| place.as_os_str().len() <= LONGEST_PLACE);
    let place = place.unwrap_or_else(|| "/tmp".into());
    let folder = place.join(format!("icehaul-{:08x}", rand::random::<u32>()));
    std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
    Ok(folder)
}

fn unavailable(message: impl Into<String>) -> Error {
    Error::new(Code::BrowserUnavailable, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_that_is_not_there_is_told_before_anything_starts() {
        let missing = ScrapeConfig { browser: Some("/nowhere/chromium".into()), ..ScrapeConfig::default() };
        let error = find(&missing).expect_err("none");
        assert_eq!(error.code(), Code::BrowserUnavailable);
        assert!(error.message().contains("/nowhere/chromium"), "{error}");
        let file = ScrapeConfig { browser: Some("/etc/passwd".into()), ..ScrapeConfig::default() };
        assert!(find(&file).is_err(), "a file that is no program");
        let shell = ScrapeConfig { browser: Some("/bin/sh".into()), ..ScrapeConfig::default() };
        assert_eq!(find(&shell).ok(), Some("/bin/sh".into()));
    }

    #[tokio::test]
    async fn what_does_not_speak_the_protocol_is_told_and_leaves_nothing() {
        let config = ScrapeConfig { browser: Some("/bin/false".into()), browser_sandbox: false, ..Default::default() };
        let (process, pipe) = Process::start(&config).expect("started");
        assert!(pipe.call("", "Browser.getVersion", serde_json::json!({})).await.is_err());
        assert_eq!(process.why().code(), Code::BrowserUnavailable);
        let folder = process.folder.clone();
        let Process { _lifeline: lifeline, _watch: mut watch, .. } = process;
        drop(lifeline);
        watch.wait().await.expect("its end");
        assert!(!folder.exists());
    }
}
