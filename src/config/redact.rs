//! URLs as they may be shown: endpoints and databases put secrets into them.

/// A URL as it may be shown: scheme, host, port; no user, password, path or query, because endpoints put keys there.
///
/// A database URL keeps its database's name, which is its whole path.
#[must_use]
pub fn redact(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "(not a URL)".into() };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let path = match scheme {
        "postgres" | "postgresql" => path.split(['?', '#']).next().unwrap_or_default(),
        _ if path.len() > 1 => "/…",
        _ => "",
    };
    format!("{scheme}://{host}{path}")
}

/// A text of somebody else's with every URL in it as it may be shown.
#[must_use]
pub fn redact_within(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let scheme = rest[..at].rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |end| {
            let width = rest[end..].chars().next().map_or(1, char::len_utf8);
            end + width
        });
        let end =
            rest[at..].find(|c: char| c.is_whitespace() || "\"'`<>\\".contains(c)).map_or(rest.len(), |end| at + end);
        shown.push_str(&rest[..scheme]);
        shown.push_str(&redact(&rest[scheme..end]));
        rest = &rest[end..];
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::{redact, redact_within};

    #[test]
    fn a_redacted_url_has_no_secret() {
        for (url, shown) in [
            ("https://user:secret@rpc.example:8545/v3/secret?key=secret#secret", "https://rpc.example:8545/…"),
            ("https://rpc.example", "https://rpc.example"),
            ("wss://rpc.example/", "wss://rpc.example"),
            ("postgres://me:secret@db.example/meikan?password=secret", "postgres://db.example/meikan"),
            ("https://a@b:secret@rpc.example", "https://rpc.example"),
            ("secret", "(not a URL)"),
        ] {
            assert_eq!(redact(url), shown);
        }
    }

    #[test]
    fn urls_within_a_text_are_redacted() {
        for (text, shown) in [
            ("nothing to hide", "nothing to hide"),
            (
                "invalid type: string \"https://u:secret@rpc/secret\", expected",
                "invalid type: string \"https://rpc/…\", expected",
            ),
            ("'postgres://u:secret@db/name' and wss://secret@rpc", "'postgres://db/name' and wss://rpc"),
            ("名://secret@host", "名://host"),
        ] {
            assert_eq!(redact_within(text), shown);
        }
    }
}
