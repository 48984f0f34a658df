//! Where messages may go: the guard against being used to reach the inside of a network.
//!
//! The checked address is the connected address: the check sits in the resolver that the HTTP
//! client itself uses, so no second resolution can answer differently. A literal address never
//! reaches a resolver and is checked on the parsed URL. Redirects are off in every client here.
//! An endpoint of the daemon's own configuration may say `allow_private = true`, or name in
//! `allow` the networks that are meant.
//!
//! Behind a proxy that resolves names itself (`http`, `https`, `socks5h`) only literals can be
//! checked; behind `socks5` names are resolved here, and judged as ever. The proxy's own address is
//! meant, whatever it is: it stands in the configuration.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::BoxFuture;
use super::cidr::Cidr;

/// Why a URL or address is not called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// Not http or https.
    #[error("only http and https URLs are called, not `{0}`")]
    Scheme(String),
    /// Not https, where only that is allowed.
    #[error("only https URLs are called here (`https_only`)")]
    NotHttps,
    /// No host.
    #[error("the URL has no host")]
    NoHost,
    /// User and password in the URL end up in logs of proxies and receivers.
    #[error("credentials in the URL are not accepted; use a header")]
    Credentials,
    /// Private or special.
    #[error(
        "{0} is a private or special address; set `allow_private = true` on this endpoint if it \
         is meant, or list its network in `allow`"
    )]
    Private(String),
}

/// What one endpoint may call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Whether private and special addresses are meant, all of them.
    pub allow_private: bool,
    /// Networks that are meant although they are private or special.
    pub allow: Vec<Cidr>,
    /// Whether plain http is refused.
    pub https_only: bool,
    /// The proxy's own name, which may lead anywhere.
    pub proxy_host: Option<String>,
}

impl Policy {
    /// Parses a URL and checks what needs no resolution.
    pub fn check(&self, text: &str) -> Result<Url, EgressError> {
        let url = Url::parse(text).map_err(|_| EgressError::NoHost)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(EgressError::Scheme(url.scheme().to_owned()));
        }
        if self.https_only && url.scheme() != "https" {
            return Err(EgressError::NotHttps);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EgressError::Credentials);
        }
        let is_allowed = match url.host() {
            None => return Err(EgressError::NoHost),
            // The resolver lets the proxy's name pass; as a destination it is a name like others.
            Some(Host::Domain(name)) => {
                self.allow_private || self.proxy_host.as_deref() != Some(name)
            }
            Some(Host::Ipv4(address)) => self.allows(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => self.allows(IpAddr::V6(address)),
        };
        if is_allowed {
            return Ok(url);
        }
        Err(EgressError::Private(url.host_str().unwrap_or_default().to_owned()))
    }

    /// Whether that address may be called.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allow_private
            || is_public(address)
            || self.allow.iter().any(|network| network.contains(address))
    }
}

/// A URL without what may be secret: scheme, host and port only.
pub fn redacted(url: &Url) -> String {
    let host = url.host_str().unwrap_or("?");
    match url.port() {
        Some(port) => format!("{}://{host}:{port}/…", url.scheme()),
        None => format!("{}://{host}/…", url.scheme()),
    }
}

/// Whether an address is neither private nor special (delivery 1.3.14).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    const SPECIAL: [(u32, u32); 15] = [
        (0x0000_0000, 8),  // this network
        (0x0a00_0000, 8),  // private
        (0x6440_0000, 10), // carrier-grade NAT
        (0x7f00_0000, 8),  // loopback
        (0xa9fe_0000, 16), // link local, cloud metadata
        (0xac10_0000, 12), // private
        (0xc000_0000, 24), // protocol assignments
        (0xc000_0200, 24), // documentation
        (0xc058_6300, 24), // 6to4 relay
        (0xc0a8_0000, 16), // private
        (0xc612_0000, 15), // benchmarking
        (0xc633_6400, 24), // documentation
        (0xcb00_7100, 24), // documentation
        (0xe000_0000, 4),  // multicast
        (0xf000_0000, 4),  // reserved, broadcast
    ];
    let bits = address.to_bits();
    !SPECIAL.iter().any(|&(network, length)| (bits ^ network) >> (32 - length) == 0)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    const SPECIAL: [(u128, u32); 13] = [
        (0, 96),                      // unspecified, loopback, v4-compatible
        (0x0064_ff9b << 96, 96),      // NAT64
        (0x0064_ff9b_0001 << 80, 48), // local NAT64
        (0x0100 << 112, 64),          // discard
        (0x2001 << 112, 23),          // protocol assignments, Teredo
        (0x2001_0db8 << 96, 32),      // documentation
        (0x2002 << 112, 16),          // 6to4
        (0x3fff << 112, 20),          // documentation
        (0x5f00 << 112, 16),          // segment routing
        (0xfc00 << 112, 7),           // unique local
        (0xfe80 << 112, 10),          // link local
        (0xfec0 << 112, 10),          // former site local
        (0xff00 << 112, 8),           // multicast
    ];
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    let bits = address.to_bits();
    !SPECIAL.iter().any(|&(network, length)| (bits ^ network) >> (128 - length) == 0)
}

/// How a name becomes addresses.
pub(super) type Lookup =
    Arc<dyn Fn(String) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// The system's own resolution.
pub(super) fn system_lookup() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
    })
}

/// A resolver that gives only addresses that may be called.
#[derive(Clone)]
pub(super) struct GuardedResolver {
    pub(super) policy: Arc<Policy>,
    pub(super) lookup: Lookup,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { policy, lookup } = self.clone();
        Box::pin(async move {
            let found = lookup(name.as_str().to_owned()).await?;
            let allowed = allowed(name.as_str(), found, &policy)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Addresses of a host that may be called, for what does not speak HTTP: connect to these, never
/// to the name.
pub(super) async fn addresses(
    host: &str,
    port: u16,
    policy: &Policy,
) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
    let found = tokio::net::lookup_host((host, port)).await?;
    Ok(allowed(host, found.collect(), policy)?)
}

/// Keeps what may be called; an error if nothing is left of something.
fn allowed(
    name: &str,
    found: Vec<SocketAddr>,
    policy: &Policy,
) -> Result<Vec<SocketAddr>, EgressError> {
    let is_proxy = policy.proxy_host.as_deref() == Some(name);
    let is_allowed = |address: &SocketAddr| is_proxy || policy.allows(address.ip());
    let kept: Vec<_> = found.iter().copied().filter(is_allowed).collect();
    if kept.is_empty() && !found.is_empty() {
        return Err(EgressError::Private(name.to_owned()));
    }
    Ok(kept)
}

/// Finds the guard's own refusal in a chain of errors, by type and not by its words.
pub(super) fn refusal<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a EgressError> {
    let mut next = Some(error);
    while let Some(current) = next {
        if let Some(refused) = current.downcast_ref() {
            return Some(refused);
        }
        next = current.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_not_public_and_their_neighbours_are() {
        let special = "0.0.0.0 0.255.255.255 10.0.0.1 100.64.0.1 100.127.255.255 127.0.0.1 \
            169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.8 192.0.2.1 192.88.99.1 192.168.1.1 \
            198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 \
            255.255.255.255 :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 fe80::1 febf::1 \
            fc00::1 fdff::1 fec0::1 ff02::1 2001:db8::1 2001::1 2001:1ff::1 3fff::1 \
            3fff:0fff::1 100::1 2002::1 2002:7f00:1:: 64:ff9b::7f00:1 64:ff9b:1::1 5f00::1";
        for text in special.split_whitespace() {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        let public = "1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 \
            128.0.0.1 169.253.0.1 172.15.255.255 172.32.0.0 192.0.1.1 192.167.0.1 198.17.0.1 \
            198.20.0.1 223.255.255.255 2606:4700::1111 ::ffff:1.1.1.1 fbff::1 3ffe::1 \
            3fff:1000::1 2001:200::1 2003::1 100:0:0:1::1";
        for text in public.split_whitespace() {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    fn policy(allow: &[&str]) -> Policy {
        Policy { allow: allow.iter().map(|it| it.parse().unwrap()).collect(), ..Policy::default() }
    }

    #[test]
    fn literals_are_checked_in_every_spelling() {
        let any = Policy { allow_private: true, ..Policy::default() };
        for text in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://017700000001/",
            "http://0x7f000001/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://127.0.0.1./",
            "http://１２７.0.0.1/",
            "http://%31%32%37.0.0.1/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[64:ff9b::127.0.0.1]/",
            "http://[2002:7f00:1::]/",
            "http://[2001:0:7f00:1::]/",
            "https://169.254.169.254/latest",
            "http://0/",
        ] {
            let refused = policy(&[]).check(text);
            assert!(matches!(refused, Err(EgressError::Private(_))), "{text}: {refused:?}");
            assert!(any.check(text).is_ok(), "{text}");
        }
        assert!(policy(&[]).check("https://hooks.example.com/x").is_ok());
        let refused = |text: &str| any.check(text).unwrap_err();
        assert_eq!(refused("file:///etc/passwd"), EgressError::Scheme("file".to_owned()));
        assert_eq!(refused("https://u:p@example.com/"), EgressError::Credentials);
        assert_eq!(refused("no url"), EgressError::NoHost);
    }

    #[test]
    fn a_network_on_the_list_is_allowed_and_its_neighbours_are_not() {
        let list = policy(&["10.1.0.0/16", "fd00:1::/32", "127.0.0.1"]);
        for (text, is_ok) in [
            ("http://10.1.2.3/", true),
            ("http://[::ffff:10.1.2.3]/", true),
            ("http://10.2.0.0/", false),
            ("http://[64:ff9b::10.1.2.3]/", false),
            ("http://[fd00:1::5]/", true),
            ("http://[fd00:2::5]/", false),
            ("http://127.0.0.1/", true),
            ("http://127.0.0.2/", false),
            ("http://1.1.1.1/", true),
        ] {
            assert_eq!(list.check(text).is_ok(), is_ok, "{text}");
        }
    }

    #[test]
    fn https_only_means_it() {
        let strict = Policy { https_only: true, ..Policy::default() };
        assert_eq!(strict.check("http://example.com/"), Err(EgressError::NotHttps));
        assert!(strict.check("https://example.com/").is_ok());
    }

    #[test]
    fn a_name_is_judged_by_its_addresses() {
        let addresses = |list: &[&str]| -> Vec<SocketAddr> {
            list.iter().map(|text| text.parse().unwrap()).collect()
        };
        let mixed = ["10.0.0.1:0", "1.1.1.1:0", "[::ffff:10.0.0.2]:0"];
        assert_eq!(allowed("x", addresses(&mixed), &policy(&[])).unwrap(), addresses(&mixed[1..2]));
        let some = allowed("x", addresses(&mixed), &policy(&["10.0.0.2"])).unwrap();
        assert_eq!(some, addresses(&mixed[1..]));
        let refused = Err(EgressError::Private("x".to_owned()));
        assert_eq!(allowed("x", addresses(&mixed[..1]), &policy(&[])), refused);
        let proxied = Policy { proxy_host: Some("x".to_owned()), ..Policy::default() };
        assert_eq!(allowed("x", addresses(&mixed), &proxied).unwrap().len(), 3);
        assert_eq!(proxied.check("http://x/"), Err(EgressError::Private("x".to_owned())));
    }

    #[test]
    fn a_redacted_url_shows_neither_path_nor_query() {
        let url = Url::parse("https://hooks.example.com:8443/services/T0/B0/secret?k=v").unwrap();
        assert_eq!(redacted(&url), "https://hooks.example.com:8443/…");
    }
}
