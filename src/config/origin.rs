//! The origins whose pages may use the API from a browser.

use serde::Deserialize;

/// Origins as browsers send them: scheme, host, and the port where it is not the usual one. None: any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Origins(Vec<String>);

impl Origins {
    /// Whether any origin is taken.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this origin, as a browser sent it, is taken.
    #[must_use]
    pub fn takes(&self, origin: &[u8]) -> bool {
        self.is_any() || self.0.iter().any(|taken| taken.as_bytes() == origin)
    }
}

impl TryFrom<Vec<String>> for Origins {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, Self::Error> {
        let origin = |text: String| {
            let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
            let is_host = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b':' | b'[' | b']');
            match host {
                Some(host) if !host.is_empty() && host.bytes().all(is_host) => Ok(text),
                _ => Err(format!(
                    "{text:?} is no origin; write such as \"https://app.example\", in lower case and without a path"
                )),
            }
        };
        texts.into_iter().map(origin).collect::<Result<_, _>>().map(Self)
    }
}
