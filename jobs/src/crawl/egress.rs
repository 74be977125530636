//! Where requests may go: public addresses over HTTP, and what the operator lists.
//!
//! An address is checked four times: as a literal in the URL ([`Egress::check`]), as an answer of DNS ([`Egress::filter`],
//! which pins the answers, so that a second one cannot differ), at the connection ([`Egress::permits`]), and again for each
//! redirect. The client must have no proxy from its environment: a proxy would resolve names past all of this.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use url::{Host, Url};

use crate::{Code, Error, Result};

/// The longest address, in bytes.
const LONGEST_URL: usize = 8000;
/// How many redirects are followed.
pub const MOST_REDIRECTS: usize = 5;

/// Ports of other protocols, which browsers refuse too (Fetch, "bad port").
const BAD_PORTS: [u16; 82] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
    110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531,
    532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060,
    5061, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6697,
];

/// What requests may reach.
#[derive(Clone, Debug, Default)]
pub struct Egress {
    /// Networks that are reached although they are not public: `scrape.allow_networks`.
    allowed: Vec<IpNet>,
}

impl Egress {
    /// Public addresses, and those in `allowed`.
    #[must_use]
    pub const fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    /// Whether a connection may be made to an address.
    #[must_use]
    pub fn permits(&self, address: IpAddr) -> bool {
        let listed = |address: IpAddr| self.allowed.iter().any(|network| network.contains(&address));
        is_public(address) || listed(address) || listed(address.to_canonical())
    }

    /// Checks a URL before it is asked for, and each that a redirect names: everything that can be said without DNS.
    ///
    /// # Errors
    /// [`Code::EgressBlocked`]; the message does not tell what is at the address.
    pub fn check(&self, url: &Url) -> Result<()> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(blocked(format!("`{}` addresses are not asked for; only http and https are", url.scheme())));
        }
        if url.as_str().len() > LONGEST_URL {
            return Err(blocked(format!("the address has more than {LONGEST_URL} bytes")));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(blocked("the address carries a user or a password; give them as `auth`"));
        }
        if url.port().is_some_and(|port| BAD_PORTS.contains(&port)) {
            return Err(blocked("the address has a port of another protocol"));
        }
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.');
                let is_local = name == "localhost" || name.ends_with(".localhost");
                is_local.then_some(IpAddr::V4(Ipv4Addr::LOCALHOST))
            }
            None => return Err(blocked("the address has no host")),
        };
        match literal {
            Some(address) if !self.permits(address) => Err(not_public()),
            _ => Ok(()),
        }
    }

    /// The answers of DNS that may be connected to.
    ///
    /// # Errors
    /// [`Code::EgressBlocked`] if none is left.
    pub fn filter(&self, answers: impl IntoIterator<Item = IpAddr>) -> Result<Vec<IpAddr>> {
        let permitted: Vec<_> = answers.into_iter().filter(|address| self.permits(*address)).collect();
        if permitted.is_empty() { Err(not_public()) } else { Ok(permitted) }
    }

    /// Checks the next hop of a redirect, after `followed` others.
    ///
    /// # Errors
    /// [`Code::TooManyRedirects`], and those of [`Egress::check`].
    pub fn check_redirect(&self, to: &Url, followed: usize) -> Result<()> {
        if followed >= MOST_REDIRECTS {
            let message = format!("the site redirects more than {MOST_REDIRECTS} times");
            return Err(Error::new(Code::TooManyRedirects, message));
        }
        self.check(to)
    }
}

fn blocked(message: impl Into<String>) -> Error {
    Error::new(Code::EgressBlocked, message)
}

fn not_public() -> Error {
    blocked("the address is private, local or reserved; an operator can list its network in `scrape.allow_networks`")
}

/// Whether an address is of the public internet: what IANA's special-purpose registries mark as globally reachable, less
/// what cloud hosts answer on. Addresses that carry another in them are as public as that.
#[must_use]
pub const fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

const fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127, ..]
            | [100, 64..=127, ..]
            | [168, 63, 129, 16] // Azure's host
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            | [224..=255, ..]
    )
}

const fn is_public_v6(address: Ipv6Addr) -> bool {
    let s = address.segments();
    let embedded = match s {
        // Mapped, NAT64, 6to4; Teredo holds the client's address inverted.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some([high, low]),
        [0x2001, 0, _, _, _, _, high, low] => Some([!high, !low]),
        _ => None,
    };
    if let Some([high, low]) = embedded {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    // All else that is public lies in 2000::/3.
    s[0] & 0xe000 == 0x2000
        && !(s[0] == 0x2001 && s[1] < 0x200) // protocol assignments, benchmarking, ORCHID
        && !(s[0] == 0x2001 && s[1] == 0xdb8)
        && !(s[0] == 0x3fff && s[1] < 0x1000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(egress: &Egress, url: &str) -> Option<Code> {
        let url = Url::parse(url).unwrap_or_else(|e| panic!("{url}: {e}"));
        egress.check(&url).err().map(|e| e.code())
    }

    #[test]
    fn no_way_leads_inside() {
        let hosts = [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0x7f000001",
            "0177.0.0.1",
            "017700000001",
            "127.0.0.1.",
            "0.0.0.0",
            "0",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[::ffff:0:127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b:1::1]",
            "[2002:7f00:1::]",
            "[2002:a9fe:a9fe::1]",
            "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "a.localhost",
            "①②⑦.⓪.⓪.①",
            "127。0。0。1",
            "169.254.169.254",
            "[::ffff:169.254.169.254]",
            "[fd00:ec2::254]",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "192.0.2.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "[fe80::1]",
            "[fec0::1]",
            "[fc00::1]",
            "[ff02::1]",
            "[100::1]",
            "[2001:db8::1]",
            "[3fff::1]",
            "[2001:2::1]",
            "[2001:10::1]",
            "[5f00::1]",
        ];
        for host in hosts {
            for scheme in ["http", "https"] {
                let url = format!("{scheme}://{host}/latest/meta-data");
                assert_eq!(code(&Egress::default(), &url), Some(Code::EgressBlocked), "{url}");
            }
        }
        let urls = [
            "file:///etc/passwd",
            "gopher://example.org/",
            "ftp://example.org/",
            "data:text/html,x",
            "http://example.org:25/",
            "http://example.org:6379/",
            "http://user@example.org/",
            "http://user:secret@example.org/",
            "http://:secret@example.org/",
        ];
        for url in urls {
            assert_eq!(code(&Egress::default(), url), Some(Code::EgressBlocked), "{url}");
        }
        let long = format!("http://example.org/{}", "a".repeat(10_000));
        assert_eq!(code(&Egress::default(), &long), Some(Code::EgressBlocked));
    }

    #[test]
    fn the_public_internet_is_reached() {
        let hosts = [
            "example.org",
            "8.8.8.8",
            "1.1.1.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "223.255.255.255",
            "[2606:4700::1111]",
            "[2001:4860:4860::8888]",
            "[2a00:1450::1]",
            "[64:ff9b::808:808]",
            "[::ffff:8.8.8.8]",
            "[2002:808:808::1]",
            "notlocalhost",
            "localhost.example.org",
        ];
        for host in hosts {
            assert_eq!(code(&Egress::default(), &format!("http://{host}:8080/")), None, "{host}");
        }
    }

    #[test]
    fn answers_of_names_are_filtered() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let egress = Egress::default();
        let mixed = [ip("10.0.0.1"), ip("93.184.216.34"), ip("::1")];
        assert_eq!(egress.filter(mixed).ok(), Some(vec![ip("93.184.216.34")]));
        assert_eq!(egress.filter([ip("127.0.0.1")]).map_err(|e| e.code()), Err(Code::EgressBlocked));
        assert_eq!(egress.filter([]).map_err(|e| e.code()), Err(Code::EgressBlocked));
    }

    #[test]
    fn operators_may_list_networks() {
        let egress =
            Egress::new(vec!["127.0.0.0/8".parse().expect("a network"), "10.1.0.0/16".parse().expect("a network")]);
        for host in ["127.0.0.1", "localhost", "10.1.2.3", "[::ffff:10.1.2.3]"] {
            assert_eq!(code(&egress, &format!("http://{host}/")), None, "{host}");
        }
        for host in ["10.2.0.1", "[::1]", "169.254.169.254"] {
            assert_eq!(code(&egress, &format!("http://{host}/")), Some(Code::EgressBlocked), "{host}");
        }
    }

    #[test]
    fn redirects_are_few_and_checked() {
        let egress = Egress::default();
        let url = |text: &str| Url::parse(text).expect("an address");
        assert!(egress.check_redirect(&url("https://example.org/"), 4).is_ok());
        let many = egress.check_redirect(&url("https://example.org/"), 5);
        assert_eq!(many.map_err(|e| e.code()), Err(Code::TooManyRedirects));
        let inside = egress.check_redirect(&url("http://169.254.169.254/"), 0);
        assert_eq!(inside.map_err(|e| e.code()), Err(Code::EgressBlocked));
    }

    proptest! {
        #[test]
        fn an_address_within_another_is_as_public(bits in any::<u32>()) {
            let v4 = Ipv4Addr::from(bits);
            prop_assert_eq!(is_public(v4.to_ipv6_mapped().into()), is_public(v4.into()));
            let nat64 = Ipv6Addr::from((0x0064_ff9b_u128 << 96) | u128::from(bits));
            prop_assert_eq!(is_public(nat64.into()), is_public(v4.into()));
            let known = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast() || v4.is_broadcast()
                || v4.is_documentation() || v4.is_unspecified();
            prop_assert!(!(known && is_public(v4.into())));
        }
    }
}
