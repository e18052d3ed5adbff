//! The reader of the kind of document that `KIND` names, given whatever bytes.
//!
//! It must end, without a panic. What it takes must be written out as what is read as the same again, and both must be
//! signed alike: else somebody could sign one thing and have another one taken.

#![no_main]

use std::env;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use meikan::document::{AnyDocument, Kind, Scheme};
use meikan::sign::{Payload, Shown};

static KIND: LazyLock<Kind> = LazyLock::new(|| {
    let name = env::var("KIND").expect("KIND names a kind of document");
    Kind::named(&name).unwrap_or_else(|| panic!("{name} is no kind of document"))
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(document) = AnyDocument::read(*KIND, text) else { return };
    let written = document.canonical().expect("what was read can be written");
    let again = AnyDocument::read(*KIND, &written).expect("what was written can be read");
    // A card is kept as JSON, in which 1e3 and 1000 are two spellings of one number: the canonical form is what counts.
    assert_eq!(again.canonical().as_ref(), Ok(&written));
    let chain_id = document.chain_id().unwrap_or(1);
    let payload = Payload::of_any(&document, chain_id);
    assert_eq!(payload, Payload::of_any(&again, chain_id));
    if document.scheme() == Scheme::Text {
        assert_eq!(payload.expect("a text is signed as it is").shown, Shown::Text(text.to_owned()));
    }
});
