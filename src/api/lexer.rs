//! The tokens of a query, counted without reading it (GraphQL, section 2.1). Pure.
//!
//! A text is counted before it is parsed, in one pass without memory. What is no GraphQL is counted as something: that it is
//! wrong is the parser's to say.

/// Whether a text has more tokens than that; it is read no further than it takes to know.
pub(super) fn has_more_tokens_than(text: &str, most: usize) -> bool {
    let mut rest = text.as_bytes();
    for _ in 0..=most {
        match token(rest) {
            Some(behind) => rest = behind,
            None => return false,
        }
    }
    true
}

/// What is behind the next token; nothing when there is none.
fn token(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        rest = match rest {
            [b' ' | b'\t' | b'\r' | b'\n' | b',', behind @ ..] | [0xEF, 0xBB, 0xBF, behind @ ..] => behind,
            [b'#', ..] => skip(rest, |byte| !matches!(byte, b'\r' | b'\n')),
            _ => break,
        }
    }
    match rest {
        [] => None,
        [b'"', b'"', b'"', behind @ ..] => Some(behind_block(behind)),
        [b'"', behind @ ..] => Some(behind_string(behind)),
        [b'.', b'.', b'.', behind @ ..] => Some(behind),
        [first, behind @ ..] if is_of_word(*first) => Some(skip(behind, is_of_number)),
        [_, behind @ ..] => Some(behind),
    }
}

fn skip(text: &[u8], is_skipped: impl Fn(u8) -> bool) -> &[u8] {
    let end = text.iter().position(|byte| !is_skipped(*byte)).unwrap_or(text.len());
    &text[end..]
}

/// What names and numbers begin with.
fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// What they go on with: an exponent has a sign.
fn is_of_number(byte: u8) -> bool {
    is_of_word(byte) || matches!(byte, b'.' | b'+')
}

/// Behind the end of a text in quotes, which ends with its line at the latest.
fn behind_string(mut rest: &[u8]) -> &[u8] {
    loop {
        rest = match rest {
            [] => return rest,
            [b'"' | b'\r' | b'\n', behind @ ..] => return behind,
            [b'\\', b'"' | b'\\', behind @ ..] | [_, behind @ ..] => behind,
        }
    }
}

/// Behind the end of a text in three quotes.
fn behind_block(mut rest: &[u8]) -> &[u8] {
    loop {
        rest = match rest {
            [] => return rest,
            [b'"', b'"', b'"', behind @ ..] => return behind,
            [b'\\', b'"', b'"', b'"', behind @ ..] | [_, behind @ ..] => behind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::has_more_tokens_than;

    #[test]
    fn tokens_are_those_of_the_grammar() {
        for (text, tokens) in [
            ("", 0),
            (" ,\n\t# all { of } this\r\n\u{feff}", 0),
            ("{ agents { id } }", 6),
            ("{agents{id}}", 6),
            ("query($n:Int=-12){a(f:$n,g:[1.5e+3 2])@skip(if:true)}", 31),
            ("...F ... on X", 5),
            (r#""a text { of } \" one \\" b"#, 2),
            (r#""" x"#, 2),
            ("\"\"\"{ a \"b\" \\\"\"\" c }\"\"\" d", 2),
            ("\"never ended { }", 1),
            ("\"ended by its line\n{", 2),
            ("é", 2),
        ] {
            assert!(!has_more_tokens_than(text, tokens), "{text} has more than {tokens}");
            assert!(tokens == 0 || has_more_tokens_than(text, tokens - 1), "{text} has less than {tokens}");
        }
    }
}
