//! Where messages may go: the guard against being used to reach the inside of a network.
//!
//! The checked address is the connected address: the check sits in the resolver that the HTTP
//! client itself uses, so no second resolution can answer differently. A literal address never
//! reaches a resolver and is checked on the parsed URL. Redirects are off in every client here.
//! An endpoint of the daemon's own configuration may say `allow_private = true`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Why a URL or address is not called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// Not http or https.
    #[error("only http and https URLs are called, not `{0}`")]
    Scheme(String),
    /// No host.
    #[error("the URL has no host")]
    NoHost,
    /// User and password in the URL end up in logs of proxies and receivers.
    #[error("credentials in the URL are not accepted; use a header")]
    Credentials,
    /// Private or special.
    #[error(
        "{0} is a private or special address; set `allow_private = true` on this endpoint if it \
         is meant"
    )]
    Private(String),
}

/// Parses and checks the parts of a URL that need no resolution.
pub fn check_url(text: &str, allow_private: bool) -> Result<Url, EgressError> {
    let url = Url::parse(text).map_err(|_| EgressError::NoHost)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(EgressError::Scheme(url.scheme().to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(EgressError::Credentials);
    }
    let literal = match url.host() {
        None => return Err(EgressError::NoHost),
        Some(Host::Domain(_)) => None,
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
    };
    match literal {
        Some(address) if !allow_private && !is_public(address) => {
            Err(EgressError::Private(address.to_string()))
        }
        _ => Ok(url),
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
    const SPECIAL: [(u128, u32); 12] = [
        (0, 96),                      // unspecified, loopback, v4-compatible
        (0x0064_ff9b << 96, 96),      // NAT64
        (0x0064_ff9b_0001 << 80, 48), // local NAT64
        (0x0100 << 112, 64),          // discard
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

/// A resolver that gives only addresses that may be called.
#[derive(Debug, Clone, Copy)]
pub(super) struct GuardedResolver {
    /// Whether private and special addresses are meant for this endpoint.
    pub allow_private: bool,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed = allowed(name.as_str(), found, allow_private)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Addresses of a host that may be called, for what does not speak HTTP: connect to these, never
/// to the name.
pub(super) async fn addresses(
    host: &str,
    port: u16,
    allow_private: bool,
) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
    let found = tokio::net::lookup_host((host, port)).await?;
    Ok(allowed(host, found, allow_private)?)
}

/// Keeps what may be called; an error if nothing is left of something.
fn allowed(
    name: &str,
    found: impl Iterator<Item = SocketAddr>,
    allow_private: bool,
) -> Result<Vec<SocketAddr>, EgressError> {
    let all: Vec<_> = found.collect();
    let kept: Vec<_> =
        all.iter().copied().filter(|found| allow_private || is_public(found.ip())).collect();
    if kept.is_empty() && !all.is_empty() {
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
            fc00::1 fdff::1 fec0::1 ff02::1 2001:db8::1 3fff::1 3fff:0fff::1 100::1 2002::1 \
            2002:7f00:1:: 64:ff9b::7f00:1 64:ff9b:1::1 5f00::1";
        for text in special.split_whitespace() {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        let public = "1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 \
            128.0.0.1 169.253.0.1 172.15.255.255 172.32.0.0 192.0.1.1 192.167.0.1 198.17.0.1 \
            198.20.0.1 223.255.255.255 2606:4700::1111 ::ffff:1.1.1.1 fbff::1 3ffe::1 \
            3fff:1000::1 2003::1 100:0:0:1::1";
        for text in public.split_whitespace() {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn literals_are_checked_in_every_spelling() {
        for text in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "https://169.254.169.254/latest",
        ] {
            assert!(matches!(check_url(text, false), Err(EgressError::Private(_))), "{text}");
            assert!(check_url(text, true).is_ok(), "{text}");
        }
        assert!(check_url("https://hooks.example.com/x", false).is_ok());
        assert_eq!(
            check_url("file:///etc/passwd", true),
            Err(EgressError::Scheme("file".to_owned()))
        );
        assert_eq!(check_url("https://u:p@example.com/", true), Err(EgressError::Credentials));
        assert_eq!(check_url("no url", true), Err(EgressError::NoHost));
    }

    #[test]
    fn a_name_is_judged_by_its_addresses() {
        let addresses = |list: &[&str]| {
            list.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>().into_iter()
        };
        let mixed = ["10.0.0.1:0", "1.1.1.1:0"];
        assert_eq!(allowed("x", addresses(&mixed), false).unwrap().len(), 1);
        assert_eq!(allowed("x", addresses(&mixed), true).unwrap().len(), 2);
        assert_eq!(
            allowed("x", addresses(&mixed[..1]), false),
            Err(EgressError::Private("x".to_owned()))
        );
    }

    #[test]
    fn a_redacted_url_shows_neither_path_nor_query() {
        let url = Url::parse("https://hooks.example.com:8443/services/T0/B0/secret?k=v").unwrap();
        assert_eq!(redacted(&url), "https://hooks.example.com:8443/…");
    }
}
