//! What an endpoint's refusal means, whatever its wording: the one classifier of RPC errors.
//!
//! Providers share no vocabulary: the same code stands for a rate limit here and for too many results there, and a
//! status of 200 may carry either. So "too large" is looked for first (it has an answer of its own: ask for less), then
//! rate limits and quotas, then the rest. Pure; the table of wordings in the tests is that of the failure paper (C, D).

use std::time::Duration;

use alloy::transports::{RpcError, TransportError, TransportErrorKind};
use serde_json::Value;

use super::transport::HttpFault;

/// Characters of an endpoint's own words that are kept in an error.
const MESSAGE_CHARS: usize = 300;

/// Characters of a web page that are looked at.
const PAGE_CHARS: usize = 2_000;

/// How far before a number the word may stand that makes it a limit, in bytes.
const KEYWORD_BYTES: usize = 45;

/// Longest wait an endpoint may ask for; more is taken as this.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(600);

/// What to do about a failed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The answer would be too large, or the range is too wide: ask for less.
    TooLarge(Option<RangeHint>),
    /// Too many requests: wait as told, or as long as experience says.
    Rate(Option<Duration>),
    /// The plan is used up: another endpoint, or an operator.
    Quota,
    /// The endpoint does not let us in: another endpoint, or an operator.
    Auth,
    /// No answer within the deadline.
    Timeout,
    /// No connection.
    Unreachable,
    /// Something passing at the endpoint.
    Transient,
    /// The endpoint does not have the block (yet, or any more).
    UnknownBlock,
    /// The endpoint does not know the method.
    Unsupported,
    /// The request itself is refused; asking again changes nothing.
    Permanent,
    /// The answer contradicts itself or another one.
    Inconsistent,
    /// The endpoint belongs to another chain.
    WrongChain,
}

impl Kind {
    /// Whether the failure tells against the endpoint: neither a chain that moves nor a question that it need not answer
    /// does.
    pub(super) fn is_of_the_endpoint(self) -> bool {
        !matches!(self, Self::TooLarge(_) | Self::UnknownBlock | Self::Unsupported | Self::Permanent)
    }

    /// The kind's name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TooLarge(_) => "too_large",
            Self::Rate(_) => "rate",
            Self::Quota => "quota",
            Self::Auth => "auth",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Transient => "transient",
            Self::UnknownBlock => "unknown_block",
            Self::Unsupported => "unsupported",
            Self::Permanent => "permanent",
            Self::Inconsistent => "inconsistent",
            Self::WrongChain => "wrong_chain",
        }
    }
}

/// What an endpoint suggests to ask for instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeHint {
    /// At most so many blocks.
    Blocks(u64),
    /// These blocks, both included.
    Range(u64, u64),
}

/// What failed in one line, and what it means.
pub(super) fn classify(error: &TransportError) -> (Kind, String) {
    match error {
        RpcError::ErrorResp(payload) => {
            let data = payload.data.as_ref().map_or("", |data| data.get());
            (answered(None, Some(payload.code), &payload.message, data), payload.message.to_string())
        }
        RpcError::Transport(kind) => transport(kind),
        RpcError::DeserError { err, text } => not_json_rpc(err, text),
        RpcError::NullResp => (Kind::Inconsistent, "null where an answer was due".into()),
        other => (Kind::Permanent, other.to_string()),
    }
}

/// An endpoint's words, short enough for a log line.
pub(super) fn shorten(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MESSAGE_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn transport(kind: &TransportErrorKind) -> (Kind, String) {
    if let Some(http) = kind.as_http_error() {
        let (code, message, data) = error_object(&http.body).unwrap_or((None, page(&http.body), String::new()));
        let verdict = match answered(Some(http.status), code, &message, &data) {
            Kind::Rate(None) => Kind::Rate(kind.retry_after().map(|wait| wait.min(MAX_RETRY_AFTER))),
            Kind::Transient if kind.retry_after().is_some() => Kind::Rate(kind.retry_after()),
            verdict => verdict,
        };
        return (verdict, format!("HTTP status {}: {message}", http.status));
    }
    match kind {
        TransportErrorKind::Custom(error) => match error.downcast_ref::<HttpFault>() {
            Some(fault @ HttpFault::Unreachable(_)) => (Kind::Unreachable, fault.to_string()),
            Some(fault @ (HttpFault::CutOff(_) | HttpFault::TooManyBytes)) => (Kind::TooLarge(None), fault.to_string()),
            Some(fault @ HttpFault::WrongId) => (Kind::Inconsistent, fault.to_string()),
            None => (Kind::Unreachable, error.to_string()),
        },
        TransportErrorKind::MissingBatchResponse(_) => {
            (Kind::Inconsistent, "the batch's answer lacks this request".into())
        }
        other => (Kind::Unreachable, other.to_string()),
    }
}

/// An answer that is not JSON-RPC: an error object without its frame, a web page, a text that broke off, or garbage.
fn not_json_rpc(error: &serde_json::Error, text: &str) -> (Kind, String) {
    if let Some((code, message, data)) = error_object(text) {
        return (answered(None, code, &message, &data), message);
    }
    if error.is_eof() && text.trim_start().starts_with(['{', '[']) {
        return (Kind::TooLarge(None), "the answer broke off".into());
    }
    let message = page(text);
    match answered(None, None, &message, "") {
        verdict @ (Kind::Rate(_) | Kind::Quota | Kind::Auth) => (verdict, message),
        _ => (Kind::Transient, format!("not JSON-RPC: {message}")),
    }
}

/// Code, message and data of a JSON-RPC error object, framed or bare.
fn error_object(body: &str) -> Option<(Option<i64>, String, String)> {
    let value: Value = serde_json::from_str(body).ok()?;
    let error = value.get("error").unwrap_or(&value);
    let message = match error {
        Value::String(message) => message.clone(),
        error => error.get("message")?.as_str()?.to_owned(),
    };
    let data = error.get("data").map(Value::to_string).unwrap_or_default();
    Some((error.get("code").and_then(Value::as_i64), message, data))
}

/// The readable part of a web page or any other text.
fn page(body: &str) -> String {
    let mut text = String::new();
    let mut tag = false;
    for letter in body.chars().take(PAGE_CHARS) {
        match letter {
            '<' => tag = true,
            '>' => {
                tag = false;
                text.push(' ');
            }
            letter if !tag => text.push(letter),
            _ => {}
        }
    }
    // A word that was cut in two may be half a secret, which nobody recognises; the rest is shortened once it is hidden.
    if body.chars().nth(PAGE_CHARS).is_some() {
        text.truncate(text.rfind(char::is_whitespace).unwrap_or_default());
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What an error in an answer means; `data` is the error's data as JSON.
fn answered(status: Option<u16>, code: Option<i64>, message: &str, data: &str) -> Kind {
    let text = format!("{message} {data}").to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    // Not about its width: the range reaches above the endpoint's head, or begins above its end.
    if text.contains("beyond") && text.contains("head") {
        return Kind::UnknownBlock;
    }
    if text.contains("invalid block range") {
        return Kind::Permanent;
    }
    if status == Some(413) || is_too_large(&text) {
        return Kind::TooLarge(hint(&text));
    }
    if has(&["quota", "monthly", "daily request", "credits", "payment required"]) || status == Some(402) {
        return Kind::Quota;
    }
    if matches!(status, Some(429))
        || matches!(code, Some(429 | -32029 | -32005 | -32007 | -32016))
        || has(RATE)
        || says_429(&text)
    {
        return Kind::Rate(try_again_in(&text));
    }
    if matches!(status, Some(401 | 403)) || has(AUTH) {
        return Kind::Auth;
    }
    if matches!(code, Some(-32601 | -32004)) || has(UNSUPPORTED) {
        return Kind::Unsupported;
    }
    if code == Some(-39001) || has(UNKNOWN_BLOCK) {
        return Kind::UnknownBlock;
    }
    if matches!(status, Some(408 | 504 | 524)) || has(&["timeout", "timed out", "deadline exceeded"]) {
        return Kind::Timeout;
    }
    match (status, code) {
        // A call that reverts does so again.
        (_, Some(3)) => Kind::Permanent,
        _ if text.contains("revert") => Kind::Permanent,
        (_, Some(-32600 | -32602 | -32700)) => Kind::Permanent,
        (Some(300..=499), _) => Kind::Permanent,
        _ => Kind::Transient,
    }
}

/// Whether the number 429 stands alone: block numbers and hashes may hold it, too.
fn says_429(text: &str) -> bool {
    text.split(|letter: char| !letter.is_ascii_alphanumeric()).any(|word| word == "429")
}

const RATE: &[&str] = &[
    "too many requests",
    "too many connections",
    "rate limit",
    "rate-limit",
    "ratelimit",
    "request limit",
    "per second",
    "throughput",
    "compute units",
];

const AUTH: &[&str] =
    &["unauthorized", "unauthenticated", "must be authenticated", "api key", "forbidden", "project id"];

const UNSUPPORTED: &[&str] = &[
    "method not found",
    "not supported",
    "unsupported method",
    "not whitelisted",
    "is not available",
    "method not allowed",
];

const UNKNOWN_BLOCK: &[&str] = &[
    "unknown block",
    "header not found",
    "block not found",
    "blocknotfound",
    "unknown hash",
    "header for hash not found",
    "could not find block",
    "block does not exist",
];

/// Whether the (lower-case) text says that a range or an answer is too large.
fn is_too_large(text: &str) -> bool {
    const MARKS: &[&str] = &[
        "block range",
        "max range",
        "too many blocks",
        "blocks distance",
        "number of requested blocks",
        "max results",
        "logs returned",
        "logs matched",
        "too many logs",
        "response too large",
        "response is too big",
        "response size",
        "exceeded max allowed",
        "range threshold",
        "range allowed",
        "ranges over",
        "query to at most",
        "query must be smaller",
        "range is too large",
        "range limit",
    ];
    MARKS.iter().any(|mark| text.contains(mark))
        || text.contains("more than") && text.contains("results")
        || text.contains("range") && text.contains("exceeds limit of")
        || text.contains("limited to") && (text.contains("range") || text.contains(" block"))
}

/// What the (lower-case) text suggests to ask for.
fn hint(text: &str) -> Option<RangeHint> {
    if let Some(range) = bracketed_range(text).or_else(|| range_after(text, "retry with the range ")) {
        return Some(range);
    }
    // A number of results or bytes says nothing about blocks.
    let about_results = ["results", "logs returned", "logs matched", "too many logs", "response"];
    if about_results.iter().any(|word| text.contains(word)) {
        return None;
    }
    let without_links: Vec<_> = text.split_whitespace().filter(|word| !word.contains("://")).collect();
    limit(&without_links.join(" ")).filter(|blocks| *blocks > 0).map(RangeHint::Blocks)
}

/// `[0x10, 0x20]`
fn bracketed_range(text: &str) -> Option<RangeHint> {
    text.split('[').skip(1).find_map(|rest| {
        let (first, last) = rest.split_once(']')?.0.split_once(',')?;
        Some(RangeHint::Range(number(first.trim())?, number(last.trim())?))
    })
}

/// `retry with the range 16-32`
fn range_after(text: &str, words: &str) -> Option<RangeHint> {
    let (first, rest) = text.split_once(words)?.1.trim_start_matches('[').split_once('-')?;
    let last = rest.split(|letter: char| !letter.is_ascii_alphanumeric()).next()?;
    Some(RangeHint::Range(number(first.trim())?, number(last)?))
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The last number with a word of limits between it and the number before it; others are what was asked, versions, or
/// codes.
fn limit(text: &str) -> Option<u64> {
    const KEYWORDS: &[&str] =
        &["max", "limit", "up to", "at most", "over", "than", "exceed", ">", "distance", "allowed", "works"];
    let bytes = text.as_bytes();
    let mut found = None;
    let mut since = 0;
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let end = at + bytes[at..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b',').count();
        let alone = at == 0 || !(bytes[at - 1].is_ascii_alphanumeric() || b"/-.#_".contains(&bytes[at - 1]));
        let before = String::from_utf8_lossy(&bytes[since.max(at.saturating_sub(KEYWORD_BYTES))..at]);
        if alone && KEYWORDS.iter().any(|keyword| before.contains(keyword)) {
            let digits: String = text[at..end].chars().filter(char::is_ascii_digit).collect();
            let unit = if bytes.get(end) == Some(&b'k') { 1_000 } else { 1 };
            found = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).or(found);
        }
        at = end;
        since = end;
    }
    found
}

/// `try again in 4ms`, or Infura's `"backoff_seconds": 30`.
fn try_again_in(text: &str) -> Option<Duration> {
    let leading = |text: &str| {
        let digits = text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        Some((text[..digits].parse::<u64>().ok()?, text[digits..].trim_start().to_owned()))
    };
    let wait = if let Some((_, rest)) = text.split_once("try again in ") {
        let (count, unit) = leading(rest)?;
        if unit.starts_with("ms") { Duration::from_millis(count) } else { Duration::from_secs(count) }
    } else {
        let (_, rest) = text.split_once("\"backoff_seconds\":")?;
        Duration::from_secs(leading(rest.trim_start())?.0 + 1)
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use alloy::rpc::json_rpc::ErrorPayload;
    use alloy::transports::{RpcError, TransportErrorKind};

    use super::{Kind, RangeHint, classify};

    fn error(code: i64, message: &str) -> Kind {
        classify(&RpcError::ErrorResp(ErrorPayload { code, message: message.to_owned().into(), data: None })).0
    }

    fn http(status: u16, body: &str, retry_after_s: Option<u64>) -> Kind {
        let wait = retry_after_s.map(Duration::from_secs);
        classify(&TransportErrorKind::http_error_with_retry_after(status, body.into(), wait)).0
    }

    fn not_json(text: &str) -> Kind {
        let err = serde_json::from_str::<serde_json::Value>(text).expect_err("the text is not JSON");
        classify(&RpcError::DeserError { err, text: text.into() }).0
    }

    const BLOCKS: Option<RangeHint> = Some(RangeHint::Blocks(5_000));

    #[test]
    fn f33_wordings_with_a_number_of_blocks() {
        let wordings = [
            "requested too many blocks from 4000000 to 4100000, maximum is set to 5000",
            "Max range: 5000",
            "maximum block range: 5000",
            "maximum [from, to] blocks distance: 5000",
            "Maximum allowed number of requested blocks is 5000",
            "You can make eth_getLogs requests with up to a 5000 block range.",
            "block range is too wide (maximum 5000)",
            "eth_getLogs is limited to a 5,000 range",
            "eth_getLogs is limited to 5000 block(s)",
            "exceeds the range allowed for your plan (100000 > 5000)",
            "ranges over 5000 blocks are not supported on freetier",
            "please limit the query to at most 5000 blocks",
            "query must be smaller than size 5000",
            "query exceeds max block range 5000",
            "block range greater than 5000 max",
            "block range exceeds 5000",
            "exceed max block range: 5000",
            "eth_getLogs range is too large, max is 5k blocks",
            "block range too large (100000), maximum allowed is 5000 blocks",
            "block range is larger than max block range, block range = 100000, max block range = 5000",
            "range 100000 exceeds limit of 5000",
            "range 100000 is bigger than range limit 5000",
            "block range exceeds 5000, see https://docs.example.com/v2/limits#4 (error 7-12)",
        ];
        for wording in wordings {
            for code in [-32000, -32005, -32600, -32602] {
                assert_eq!(error(code, wording), Kind::TooLarge(BLOCKS), "{wording}");
            }
        }
    }

    #[test]
    fn f33_wordings_with_a_range() {
        let range = Kind::TooLarge(Some(RangeHint::Range(16, 32)));
        let wordings = [
            "query returned more than 10000 results. Try with this block range [0x10, 0x20].",
            "Log response size exceeded. Based on your parameters, this block range should work: [0x10,0x20]",
            "up to a 10 block range; this block range should work: [0x10, 0x20]",
            "query exceeds max results 20000, retry with the range 16-32",
        ];
        for wording in wordings {
            assert_eq!(error(-32005, wording), range, "{wording}");
        }
    }

    #[test]
    fn f33_wordings_without_a_usable_number() {
        let wordings = [
            "block range is too wide",
            "Block range limit exceeded.",
            "block range too large",
            "block range too high",
            "query returned more than 10000 results",
            "More than 10000 logs returned",
            "logs matched by query exceeds limit of 10000",
            "too many logs",
            "backend response too large",
            "response is too big",
            "response size should not greater than 10000000 bytes",
            "exceeded max allowed",
            "range threshold exceeded",
            "allowed block range threshold exceeded",
            "Max range: 0",
        ];
        for wording in wordings {
            assert_eq!(error(-32005, wording), Kind::TooLarge(None), "{wording}");
        }
        assert_eq!(http(413, "", None), Kind::TooLarge(None));
        assert_eq!(not_json(r#"[{"jsonrpc":"2.0","id":1,"result":[{"addr"#), Kind::TooLarge(None));
    }

    #[test]
    fn f33_the_limit_may_be_in_the_data() {
        let data = serde_json::value::to_raw_value("range 100000 is bigger than range limit 5000").ok();
        let payload = ErrorPayload { code: -32602, message: "invalid params".into(), data };
        assert_eq!(classify(&RpcError::ErrorResp(payload)).0, Kind::TooLarge(BLOCKS));
    }

    #[test]
    fn f39_rate_limits_in_disguise() {
        let rate = Kind::Rate(None);
        for (code, message) in [
            (-32029, "over the limit"),
            (-32005, "limit exceeded"),
            (-32007, "100/second request limit reached - reduce calls per second"),
            (-32016, "over capacity"),
            (-32000, "upstream: 429 Too Many Requests"),
            (429, "Your app has exceeded its compute units per second capacity"),
        ] {
            assert_eq!(error(code, message), rate, "{message}");
        }
        assert_eq!(not_json("<html><title>429</title>Too many requests</html>"), rate);
        assert_eq!(http(429, "<html>slow down</html>", Some(7)), Kind::Rate(Some(Duration::from_secs(7))));
        assert_eq!(http(503, "", Some(2)), Kind::Rate(Some(Duration::from_secs(2))));
        assert_eq!(error(-32005, "rate limited, try again in 40ms"), Kind::Rate(Some(Duration::from_millis(40))));
    }

    #[test]
    fn f39_the_other_kinds() {
        assert_eq!(http(402, "", None), Kind::Quota);
        assert_eq!(error(-32005, "daily request count exceeded, request rate limited"), Kind::Quota);
        assert_eq!(http(401, r#"{"error":{"code":-32000,"message":"invalid api key"}}"#, None), Kind::Auth);
        assert_eq!(error(-32601, "the method taiko_headL1Origin does not exist/is not available"), Kind::Unsupported);
        assert_eq!(error(-32000, "header not found"), Kind::UnknownBlock);
        assert_eq!(error(-32000, "block not found: 0x4290"), Kind::UnknownBlock);
        assert_eq!(error(-32000, "block range extends beyond current head block"), Kind::UnknownBlock);
        assert_eq!(error(-32000, "invalid block range params"), Kind::Permanent);
        assert_eq!(error(-32000, "request timed out"), Kind::Timeout);
        assert_eq!(http(504, "", None), Kind::Timeout);
        assert_eq!(http(502, "<html>Bad gateway</html>", None), Kind::Transient);
        assert_eq!(not_json("<html>Welcome</html>"), Kind::Transient);
        assert_eq!(error(-32603, "internal error"), Kind::Transient);
        assert_eq!(error(-32602, "invalid argument 0"), Kind::Permanent);
        assert_eq!(error(3, "execution reverted"), Kind::Permanent);
        assert_eq!(error(-32000, "execution reverted: no such agent"), Kind::Permanent);
        assert_eq!(http(404, "", None), Kind::Permanent);
    }

    #[test]
    fn an_error_without_its_frame_is_still_read() {
        let text = r#"{"code":-32005,"message":"query returned more than 10000 results"}"#;
        let err = serde_json::from_str::<u8>(text).expect_err("an object is no number");
        assert_eq!(classify(&RpcError::DeserError { err, text: text.into() }).0, Kind::TooLarge(None));
    }

    proptest::proptest! {
        #[test]
        fn no_wording_panics(
            code in proptest::prelude::any::<i64>(),
            message in "(block range|max|0x|[0-9,\\[\\]é -]){0,12}.*",
        ) {
            error(code, &message);
            http(500, &message, None);
        }
    }
}
