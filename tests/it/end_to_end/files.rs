//! Registration files in URIs, read the plain way: what the node's own reading is compared with.

use std::io::Read;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

/// The JSON object that a URI holds itself.
pub(super) fn document(uri: &str) -> Option<Value> {
    let content = if let Some(rest) = uri.strip_prefix("data:") {
        let (kind, content) = rest.split_once(',')?;
        if kind.ends_with(";base64") {
            let bytes = base64(content)?;
            if kind.contains("enc=gzip") { gunzip(&bytes)? } else { bytes }
        } else {
            percent_encoding::percent_decode_str(content).collect()
        }
    } else {
        uri.as_bytes().to_vec()
    };
    serde_json::from_slice(&content).ok().filter(Value::is_object)
}

/// Either alphabet, with or without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if text.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    GeneralPurpose::new(alphabet, config).decode(text.trim()).ok()
}

fn gunzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut content).ok()?;
    Some(content)
}

/// What kind of URI it is, as `agentURIType` names it: of the kinds that the traffic draws.
pub(super) fn uri_type(uri: &str) -> &'static str {
    let kinds = [("data:", "data"), ("ipfs://", "ipfs"), ("https://", "https"), ("http://", "http"), ("ar://", "ar")];
    let of_scheme = kinds.into_iter().find(|(scheme, _)| uri.starts_with(scheme)).map(|(_, kind)| kind);
    of_scheme.unwrap_or(if uri.starts_with('{') { "json" } else { "unknown" })
}
