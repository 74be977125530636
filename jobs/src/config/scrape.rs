//! How sites are asked (`scrape`).
use std::{net::IpAddr, path::PathBuf};

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::list;

/// How sites are asked (`scrape`).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScrapeConfig {
    /// Networks that may be asked although they are private, local or reserved.
    pub allow_networks: Networks,
    /// Who asks: a product's name, by which robots.txt may know us, its version, and where to reach whoever runs it, such
    /// as `acme-data/1.0 (+https://acme.example/bot)`.
    pub user_agent: String,
    /// The program of the browser, a Chromium; without it Debian's is looked for, then the usual names in `PATH`.
    pub browser: Option<PathBuf>,
    /// Whether the browser keeps its pages in a sandbox. It cannot as root, nor where user namespaces are forbidden.
    pub browser_sandbox: bool,
    /// After how many pages the browser is started anew.
    pub browser_pages: u32,
    /// The memory from which on the browser takes no more pages and is started anew, in MiB; at twice as much it is ended.
    pub browser_memory_mb: u64,
}

impl Default for ScrapeConfig {
    fn default() -> Self {
        Self {
            allow_networks: Networks::default(),
            user_agent: concat!("icehaul/", env!("CARGO_PKG_VERSION")).into(),
            browser: None,
            browser_sandbox: true,
            browser_pages: 200,
            browser_memory_mb: 1536,
        }
    }
}

impl ScrapeConfig {
    /// What is wrong with the user agent.
    ///
    /// # Errors
    /// A sentence that says what would be right.
    pub fn check_user_agent(&self) -> Result<(), &'static str> {
        let begins = self.user_agent.starts_with(|c: char| c.is_ascii_alphabetic());
        let plain = self.user_agent.chars().all(|c| c == ' ' || c.is_ascii_graphic());
        match begins && plain && self.user_agent.len() <= 300 {
            true => Ok(()),
            false => Err("must begin with a product's name and be plain text of at most 300 characters"),
        }
    }
}

/// Networks such as `10.1.0.0/16`; an address alone is a network of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(pub Vec<IpNet>);

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let network = |text: String| {
            let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| D::Error::custom(format!("`{text}` is no network such as 10.1.0.0/16")))
        };
        list(from)?.into_iter().map(network).collect::<Result<_, _>>().map(Self)
    }
}

impl Serialize for Networks {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(ToString::to_string))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_a_list_or_a_text() {
        let read = |json: &str| serde_json::from_str::<ScrapeConfig>(json).map(|config| config.allow_networks.0.len());
        assert_eq!(read("{}").ok(), Some(0));
        assert_eq!(read(r#"{"allow_networks": "10.0.0.0/8, 127.0.0.1"}"#).ok(), Some(2));
        assert_eq!(read(r#"{"allow_networks": ["fd00::/8"]}"#).ok(), Some(1));
        let wrong = read(r#"{"allow_networks": "localhost"}"#).expect_err("no network");
        assert!(wrong.to_string().contains("`localhost` is no network"), "{wrong}");
    }

    #[test]
    fn a_user_agent_names_a_product() {
        let fine =
            |text: &str| ScrapeConfig { user_agent: text.into(), ..Default::default() }.check_user_agent().is_ok();
        assert!(ScrapeConfig::default().check_user_agent().is_ok());
        assert!(fine("acme-data/1.0 (+https://acme.example/bot)"));
        assert!(!fine("") && !fine("/1.0") && !fine("acme\r\nx: y") && !fine(&"a".repeat(301)));
    }
}
