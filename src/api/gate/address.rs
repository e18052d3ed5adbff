//! Whose request it is by IP address. Pure.
//!
//! What must always hold: what a client writes into `x-forwarded-for` changes nothing. The header is read from its end, which
//! the nearest proxy wrote, and only as far as the proxies are trusted.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};

use crate::config::TrustedProxies;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address: the peer's, or, where the peer is a trusted proxy, the nearest address that is none.
pub(super) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &TrustedProxies) -> IpAddr {
    let mut client = peer.to_canonical();
    let values: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
    let from_nearest = values.iter().rev().flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
    for written in from_nearest {
        if !trusted.contains(client) {
            break;
        }
        // What a trusted proxy wrote and is no address tells no more than that proxy's own.
        let Some(before) = std::str::from_utf8(written).ok().and_then(address) else { break };
        client = before;
    }
    client
}

/// An address as proxies write it, some of them with a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

/// What is counted together: one address of IPv4; of IPv6 the network of 64 bits, because a client has all of it.
pub(super) fn subject(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{}/64", Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use axum::http::HeaderMap;

    use super::{FORWARDED_FOR, client, subject};
    use crate::config::TrustedProxies;

    fn seen(peer: &str, forwarded: &[&str]) -> String {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(str::to_owned).to_vec();
        let trusted = TrustedProxies::try_from(trusted).expect("networks");
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().expect("a header's value"));
        }
        client(peer.parse().expect("an address"), &headers, &trusted).to_string()
    }

    #[test]
    fn who_is_no_trusted_proxy_is_the_client_whatever_it_writes() {
        assert_eq!(seen("192.0.2.1", &[]), "192.0.2.1");
        assert_eq!(seen("192.0.2.1", &["198.51.100.9"]), "192.0.2.1");
        assert_eq!(seen("::ffff:192.0.2.1", &["198.51.100.9"]), "192.0.2.1");
    }

    #[test]
    fn the_nearest_address_behind_trusted_proxies_is_the_client() {
        for (peer, forwarded, expected) in [
            ("10.0.0.1", &["198.51.100.9"][..], "198.51.100.9"),
            ("10.0.0.1", &["203.0.113.5, 198.51.100.9"], "198.51.100.9"),
            ("10.0.0.1", &["203.0.113.5, 198.51.100.9, 10.0.0.2"], "198.51.100.9"),
            ("10.0.0.1", &["203.0.113.5", "198.51.100.9,10.0.0.2"], "198.51.100.9"),
            ("fd00::1", &["[2001:db8::7]:4711, 10.3.2.1"], "2001:db8::7"),
            ("10.0.0.1", &["198.51.100.9:4711"], "198.51.100.9"),
            ("::ffff:10.0.0.1", &[" ::ffff:198.51.100.9 "], "198.51.100.9"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.9, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["198.51.100.9, é"], "10.0.0.1"),
        ] {
            assert_eq!(seen(peer, forwarded), expected, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let of = |text: &str| subject(text.parse::<IpAddr>().expect("an address"));
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(of("2001:db8:1:2:ffff::"), of("2001:db8:1:2::1"));
        assert_ne!(of("2001:db8:1:3::1"), of("2001:db8:1:2::1"));
    }
}
