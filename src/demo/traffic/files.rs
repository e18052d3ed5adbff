//! Agents' files and URIs, in every form that is seen on public networks.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use flate2::Compression;
use flate2::write::GzEncoder;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use serde_json::{Value, json};

use super::draw::Draw;

/// How an agent's URI gives its file, or fails to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A data: URI in base64.
    Base64,
    /// The same in the URL's alphabet, without padding.
    Base64Url,
    /// A data: URI of the gzipped file.
    Gzip,
    /// A data: URI with the percent-encoded file.
    Percent,
    /// A data: URI with the file as it is.
    Plain,
    /// The file in the URI's place.
    RawJson,
    /// A data: URI of 100 kB.
    Large,
    /// On the web.
    Https,
    /// On IPFS.
    Ipfs,
    /// On Arweave.
    Arweave,
    /// No URI.
    Empty,
    /// A word.
    Junk,
    /// A data: URI that holds no file.
    Broken,
    /// NUL and bytes that are no text.
    Hostile,
}

impl Form {
    /// Every form.
    pub(super) const ALL: [Self; 14] = [
        Self::Base64,
        Self::Gzip,
        Self::Plain,
        Self::RawJson,
        Self::Percent,
        Self::Base64Url,
        Self::Ipfs,
        Self::Https,
        Self::Empty,
        Self::Large,
        Self::Arweave,
        Self::Junk,
        Self::Broken,
        Self::Hostile,
    ];

    /// Mostly a form whose file is in the URI. A large one is rare: the chain holds its state in memory.
    pub(super) fn draw(draw: &mut Draw) -> Self {
        let forms = if draw.one_in(4) { &Self::ALL[6..] } else { &Self::ALL[..6] };
        let form = draw.pick(forms).unwrap_or(Self::Base64);
        if form == Self::Large && !draw.one_in(20) { Self::Gzip } else { form }
    }

    /// A URI of this form.
    pub(super) fn uri(self, draw: &mut Draw) -> Vec<u8> {
        let uri = match self {
            Self::Base64 => format!("data:application/json;base64,{}", STANDARD.encode(file(draw))),
            Self::Base64Url => format!("data:application/json;base64,{}", URL_SAFE_NO_PAD.encode(file(draw))),
            Self::Gzip => {
                format!("data:application/json;enc=gzip;level=6;base64,{}", STANDARD.encode(gzip(&file(draw))))
            }
            Self::Percent => format!("data:application/json,{}", percent_encode(&file(draw), NON_ALPHANUMERIC)),
            Self::Plain => return [b"data:application/json;charset=utf-8,".as_slice(), &file(draw)].concat(),
            Self::RawJson => return file(draw),
            Self::Large => format!("data:application/json;base64,{}", STANDARD.encode(large_file(draw))),
            Self::Https => format!("https://{}.example/.well-known/agent-registration.json", word(draw)),
            Self::Ipfs => format!("ipfs://{}", cid(draw)),
            Self::Arweave => format!("ar://{}", URL_SAFE_NO_PAD.encode(draw.hash())),
            Self::Empty => String::new(),
            Self::Junk => "tinybanana".into(),
            Self::Broken => "data:application/json;base64,bm90IGpzb24".into(),
            Self::Hostile => return b"https://nul\0.example/\xff\xfe'; DROP TABLE agent; --".to_vec(),
        };
        uri.into_bytes()
    }
}

/// What looks like a CID of version 1 (sha2-256, raw).
pub(super) fn cid(draw: &mut Draw) -> String {
    const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let letters = (0..52).map(|_| draw.pick(BASE32).map_or('a', char::from));
    format!("bafkrei{}", letters.collect::<String>())
}

fn word(draw: &mut Draw) -> String {
    let first = ["quiet", "amber", "north", "swift", "lunar", "paper", "silver", "tidal"];
    let second = ["heron", "ledger", "beacon", "scribe", "weaver", "otter", "harbor", "lantern"];
    format!("{}-{}-{}", draw.text(&first), draw.text(&second), draw.below(1_000))
}

/// A registration file (EIP-8004) with a draw of services.
fn file(draw: &mut Draw) -> Vec<u8> {
    document(draw, None).to_string().into_bytes()
}

/// A file whose URI is just above 100 kB once it is in base64.
fn large_file(draw: &mut Draw) -> Vec<u8> {
    let sentence = "This agent explains at length what it does, and then explains it once more. ";
    document(draw, Some(sentence.repeat(1_000))).to_string().into_bytes()
}

fn document(draw: &mut Draw, description: Option<String>) -> Value {
    let name = word(draw);
    let description = description.unwrap_or_else(|| {
        let work = [
            "translates invoices",
            "checks proofs",
            "books freight",
            "名鑑を編む",
            "answers \"why?\" & more",
            "rates oracles",
        ];
        format!("{name} {} for other agents", draw.text(&work))
    });
    let mut file = json!({
        "type": "https://eips.ethereum.org/EIPS/eip-8004#registration-v1",
        "name": name,
        "description": description,
        "image": format!("https://{name}.example/picture.png"),
        "active": !draw.one_in(8),
        "x402Support": draw.one_in(2),
        "supportedTrust": draw.pick(&[&["reputation"][..], &["reputation", "tee-attestation"], &["crypto-economic"]]),
    });
    // Older files have the same list under another name.
    let key = if draw.one_in(6) { "endpoints" } else { "services" };
    file[key] = services(&name, draw);
    file
}

fn services(name: &str, draw: &mut Draw) -> Value {
    let all = [
        json!({"name": "web", "endpoint": format!("https://{name}.example")}),
        json!({"name": "MCP", "endpoint": format!("https://{name}.example/mcp"), "version": "2025-06-18",
               "mcpTools": ["search", "summarise"], "mcpPrompts": ["brief"], "mcpResources": ["catalogue"]}),
        json!({"name": "A2A", "endpoint": format!("https://{name}.example/.well-known/agent-card.json"),
               "version": "0.3.0", "a2aSkills": ["negotiation", "translation"]}),
        json!({"name": "OASF", "endpoint": "https://github.com/agntcy/oasf/", "version": "v0.8.0",
               "skills": ["natural_language_processing/summarization"], "domains": ["finance_and_business/finance"]}),
        json!({"name": "ENS", "endpoint": format!("{name}.eth"), "version": "v1"}),
        json!({"name": "DID", "endpoint": format!("did:web:{name}.example"), "version": "v1"}),
        json!({"name": "email", "endpoint": format!("hello@{name}.example")}),
        json!({"name": "MCP", "endpoint": format!("https://{name}.example/mcp/beta"), "mcpTools": ["search", "draft"]}),
    ];
    Value::Array(all.into_iter().filter(|_| !draw.one_in(3)).collect())
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(content).and_then(|()| encoder.finish()).expect("writing to memory does not fail")
}

#[cfg(test)]
mod tests {
    use super::{Draw, Form};
    use crate::file::{UriKind, registration_of};

    #[test]
    fn forms_are_what_they_say() {
        let mut draw = Draw::new(7);
        for form in Form::ALL {
            let uri = form.uri(&mut draw).into();
            let holds_file = matches!(UriKind::of(&uri), UriKind::Data | UriKind::Json) && form != Form::Broken;
            assert_eq!(registration_of(&uri).is_some(), holds_file, "{form:?}");
            assert_eq!(uri.is_clean(), form != Form::Hostile, "{form:?}");
        }
    }

    #[test]
    fn a_large_uri_is_above_100_kb() {
        assert!(Form::Large.uri(&mut Draw::new(7)).len() > 100_000);
    }
}
