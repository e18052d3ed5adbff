//! What a URI points to, told by its looks alone.
//!
//! The names are served as `agentURIType` and `feedbackURIType`: where agent0's subgraph has a name for a kind, it is
//! the same one (`determineUriType` in its `src/utils/ipfs.ts`).

use crate::event::Text;

/// What kind of URI it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UriKind {
    /// A `data:` URI: the content is in it.
    Data,
    /// A JSON object in the URI's place.
    Json,
    /// `ipfs://`, a bare CID, or a well-known gateway's URL of one.
    Ipfs,
    /// `ar://`: Arweave.
    Arweave,
    /// `https://`.
    Https,
    /// `http://`.
    Http,
    /// Empty, or anything else.
    Unknown,
}

/// Ends of a gateway's URL where the CID is the host's first label. A path behind it makes it an https URL, as for
/// agent0.
const GATEWAY_HOSTS: [&str; 5] =
    [".ipfs.w3s.link", ".ipfs.dweb.link", ".ipfs.gateway.pinata.cloud", ".ipfs.ipfs.io", ".ipfs.cloudflare-ipfs.com"];

/// Starts of a gateway's URL where the CID is in the path.
const GATEWAY_PATHS: [&str; 3] =
    ["https://gateway.pinata.cloud/ipfs/", "https://ipfs.io/ipfs/", "https://cloudflare-ipfs.com/ipfs/"];

impl UriKind {
    /// The kind of a URI; white space around it and the case of its scheme do not matter.
    #[must_use]
    pub fn of(uri: &Text) -> Self {
        let uri = uri.0.trim_ascii();
        let has_scheme = |scheme: &str| starts_with(uri, scheme);
        if has_scheme("data:") {
            Self::Data
        } else if has_scheme("ipfs://") || is_gateway(uri) || is_cid(uri) {
            Self::Ipfs
        } else if has_scheme("https://") {
            Self::Https
        } else if has_scheme("http://") {
            Self::Http
        } else if has_scheme("ar://") {
            Self::Arweave
        } else if uri.starts_with(b"{") {
            Self::Json
        } else {
            Self::Unknown
        }
    }

    /// The name as served.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Json => "json",
            Self::Ipfs => "ipfs",
            Self::Arweave => "ar",
            Self::Https => "https",
            Self::Http => "http",
            Self::Unknown => "unknown",
        }
    }
}

/// Whether the bytes start with this ASCII text in any case.
pub(super) fn starts_with(bytes: &[u8], text: &str) -> bool {
    bytes.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text.as_bytes()))
}

fn is_gateway(uri: &[u8]) -> bool {
    GATEWAY_HOSTS.iter().any(|host| uri.ends_with(host.as_bytes()))
        || GATEWAY_PATHS.iter().any(|path| starts_with(uri, path))
}

/// Whether the whole URI looks like a CID: version 0 has 46 characters from `Qm`, version 1 begins with `baf`.
fn is_cid(uri: &[u8]) -> bool {
    (uri.starts_with(b"Qm") && uri.len() == 46) || (uri.starts_with(b"baf") && uri.len() >= 8)
}

#[cfg(test)]
mod tests {
    use super::UriKind;
    use crate::event::Text;

    #[test]
    fn kinds_are_named_as_agent0_names_them() {
        for (uri, name) in [
            ("data:application/json;base64,e30=", "data"),
            ("ipfs://bafkreidky4zbb4jya5cysj5iljpjjqa3xehrz3otwz3i2itqe4bw5rx3ji", "ipfs"),
            ("QmRkM7e5AeKBe6BvKgTw2ktmMxH9p8X7k8dPSFwvyaKptG", "ipfs"),
            ("bafkreidky4zbb4jya5cysj5iljpjjqa3xehrz3otwz3i2itqe4bw5rx3ji", "ipfs"),
            ("https://ipfs.io/ipfs/bafkreieb6ywiqzm4nbtqdmtu3cabeup5f73euva6bywlu7ts7yklqi2roq", "ipfs"),
            ("https://bafkreieb6ywiqzm4nbtqdmtu3cabeup5f73euva6bywlu7ts7yklqi2roq.ipfs.dweb.link", "ipfs"),
            ("https://bafkreieb6ywiqzm4nbtqdmtu3cabeup5f73euva6bywlu7ts7yklqi2roq.ipfs.dweb.link/a.json", "https"),
            ("https://ag0.xyz", "https"),
            ("http://ag0.xyz", "http"),
            ("", "unknown"),
            ("tinybanana", "unknown"),
            ("baf", "unknown"),
        ] {
            assert_eq!(UriKind::of(&Text::from(uri)).name(), name, "{uri}");
        }
    }

    #[test]
    fn kinds_that_agent0_does_not_know_have_their_own_names() {
        assert_eq!(UriKind::of(&"ar://b2xkLXRpbWVz".into()).name(), "ar");
        assert_eq!(UriKind::of(&r#"{"name":"PhantomAgent"}"#.into()).name(), "json");
    }

    #[test]
    fn the_case_of_a_scheme_and_white_space_do_not_matter() {
        assert_eq!(UriKind::of(&" DATA:,{}".into()), UriKind::Data);
        assert_eq!(UriKind::of(&"IPFS://x\n".into()), UriKind::Ipfs);
        assert_eq!(UriKind::of(&"\tHttps://x".into()), UriKind::Https);
    }

    #[test]
    fn bytes_that_are_no_text_are_unknown() {
        assert_eq!(UriKind::of(&vec![0xff, 0x00, 0xfe].into()), UriKind::Unknown);
    }
}
