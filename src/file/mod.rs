//! Documents of the standard that live off the chain, as far as a URI holds them itself: pure, without any I/O.
//!
//! [`UriKind`] tells what a URI points to, [`content_of`] gives the bytes that it carries (a `data:` URI in every form
//! seen on chain, or JSON in the URI's place), and [`RegistrationFile`] is what an agent's file says. All of it comes
//! from strangers: nothing here panics, and nothing grows beyond [`MAX_URI_BYTES`] and [`MAX_CONTENT_BYTES`].

mod data_uri;
mod registration;
mod uri;

use std::borrow::Cow;

pub use self::data_uri::{MAX_CONTENT_BYTES, MAX_URI_BYTES};
pub use self::registration::RegistrationFile;
pub use self::uri::UriKind;

use self::data_uri::DataUri;
use crate::event::Text;

/// The registration file that an agent's URI holds itself; nothing where the URI points elsewhere, or where what it
/// holds is no JSON object.
#[must_use]
pub fn registration_of(uri: &Text) -> Option<RegistrationFile> {
    if let Some(file) = content_of(uri).and_then(|content| RegistrationFile::parse(&content)) {
        return Some(file);
    }
    // JSON pasted into a data: URI without the encoding that the URI claims: percent signs in it are its own, and what
    // is called base64 is none.
    let data_uri = DataUri::parse(&uri.0)?;
    RegistrationFile::parse(data_uri.literal()?)
}

/// The content that a URI holds itself, decoded and inflated: at most [`MAX_CONTENT_BYTES`]. Nothing where the URI
/// points elsewhere, or cannot be decoded.
#[must_use]
pub fn content_of(uri: &Text) -> Option<Cow<'_, [u8]>> {
    match UriKind::of(uri) {
        UriKind::Data => DataUri::parse(&uri.0)?.content(),
        UriKind::Json if uri.0.len() <= MAX_CONTENT_BYTES => Some(Cow::Borrowed(&uri.0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
