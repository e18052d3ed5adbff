//! The GraphiQL page and the files that it loads, embedded in the binary.
//!
//! The bundle comes from `web/` (npm) and is listed by `build.rs`; every file is stored as gzip only and is unpacked for
//! the rare client that does not take gzip. What must always hold: the page works without the internet, and every answer
//! carries [`POLICY`], under which the page loads code from this node alone and sends what its user types to this node
//! alone. A build without the bundle serves a page that says how to get it.

use std::io::Read;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flate2::read::GzDecoder;

/// What a browser lets the page do: code, styles, fonts, workers and connections from the node's own origin, which
/// includes its WebSocket (CSP level 3). The two exceptions are for Monaco, the editor: it writes style elements of its
/// own, and draws with `data:` images that its style sheet holds.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; worker-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Whether this build holds the GraphiQL bundle; it does not if it was built before `make web`.
pub fn is_bundled() -> bool {
    !FILES.is_empty()
}

/// The files behind the page, at `/graphiql/{file}`.
pub fn routes<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    Router::new().route("/graphiql/{file}", get(asset))
}

/// Answers a GET of `/graphql` or `/graphql/{chainId}` that is no WebSocket handshake. The page finds its endpoint in its
/// own address, so both paths are served the same bytes. A client that takes no HTML gets 406 and is told to use POST.
pub async fn page(headers: HeaderMap) -> Response {
    if !takes_html(&headers) {
        return refusal(
            StatusCode::NOT_ACCEPTABLE,
            "A GET answers with a page for browsers: send the query by POST.\n",
        );
    }
    match FILES.iter().find(|file| file.name == PAGE) {
        Some(file) => file.answer(&headers, REVALIDATED),
        None => unbundled_page(),
    }
}

/// Answers `/graphiql/{file}`. The names hold a hash of the content, so a browser asks for each file once.
async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match FILES.iter().find(|file| file.name == name && name != PAGE) {
        Some(file) => file.answer(&headers, IMMUTABLE),
        None => refusal(StatusCode::NOT_FOUND, "No such file belongs to this build's GraphiQL: load the page again.\n"),
    }
}

const PAGE: &str = "index.html";
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const REVALIDATED: &str = "no-cache";
const NOT_STORED: &str = "no-store";

/// The bundle, in the order of names; empty in a build without it.
static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/graphiql_files.rs"));

/// One embedded file.
struct File {
    name: &'static str,
    /// Hash of the packed content, in hex; equal content has an equal hash within one toolchain, which is all that an
    /// ETag needs.
    hash: &'static str,
    gzip: &'static [u8],
}

impl File {
    fn answer(&self, headers: &HeaderMap, cache: &'static str) -> Response {
        let packed = takes_gzip(headers);
        let etag = if packed { format!("\"{}-gzip\"", self.hash) } else { format!("\"{}\"", self.hash) };
        let about = [(VARY, "accept-encoding"), (CACHE_CONTROL, cache), (CONTENT_TYPE, self.content_type())];
        if is_known(headers, &etag) {
            return (StatusCode::NOT_MODIFIED, guards(), about, [(ETAG, etag)]).into_response();
        }
        if packed {
            return (guards(), about, [(ETAG, etag)], [(CONTENT_ENCODING, "gzip")], self.gzip).into_response();
        }
        (guards(), about, [(ETAG, etag)], self.unpacked()).into_response()
    }

    fn unpacked(&self) -> Vec<u8> {
        let mut content = Vec::new();
        GzDecoder::new(self.gzip).read_to_end(&mut content).expect("web/build.mjs packed it with gzip");
        content
    }

    fn content_type(&self) -> &'static str {
        match self.name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("html") => "text/html; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("txt") => "text/plain; charset=utf-8",
            Some("svg") => "image/svg+xml",
            Some("ttf") => "font/ttf",
            Some("woff2") => "font/woff2",
            _ => "application/octet-stream",
        }
    }
}

/// The headers of every answer: the policy, no guessing of types, no frames, no address told to others.
fn guards() -> [(HeaderName, &'static str); 4] {
    [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
    ]
}

fn refusal(status: StatusCode, sentence: &'static str) -> Response {
    (status, guards(), [(CACHE_CONTROL, NOT_STORED)], sentence).into_response()
}

/// What a build without the bundle shows in the page's place.
fn unbundled_page() -> Response {
    const HTML: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Meikan</title>\n\
        <style>body { font: 16px/1.5 sans-serif; margin: 15vh auto; max-width: 36em; padding: 0 1em }</style>\n\
        <p>This build has no GraphiQL: run <code>make web</code> and build again to get it; \
        queries are answered here all the same, by POST.</p>\n</html>\n";
    let about = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CACHE_CONTROL, NOT_STORED)];
    (guards(), about, HTML).into_response()
}

/// Without the header any type will do.
fn takes_html(headers: &HeaderMap) -> bool {
    !headers.contains_key(ACCEPT) || takes(headers, &ACCEPT, &["text/html", "text/*", "*/*"])
}

/// Without the header any encoding would be allowed, but a client that does not name gzip may not unpack it (curl).
fn takes_gzip(headers: &HeaderMap) -> bool {
    takes(headers, &ACCEPT_ENCODING, &["gzip", "x-gzip", "*"])
}

/// Whether a header of the `Accept` family takes a thing that goes by any of `names`, the most exact one first (RFC 9110
/// §12.4.2 and §12.5: the most exact entry decides, and a weight of zero means no).
fn takes(headers: &HeaderMap, header: &HeaderName, names: &[&str]) -> bool {
    let lines: Vec<&str> = headers.get_all(header).iter().filter_map(|line| line.to_str().ok()).collect();
    let entry = |name: &str| lines.iter().flat_map(|line| line.split(',')).find_map(|entry| weight(entry, name));
    names.iter().find_map(|name| entry(name)).is_some_and(|weight| weight > 0.0)
}

/// The weight of one entry such as `gzip;q=0.5`, if it is about `name`; a weight that cannot be read counts as 1.
fn weight(entry: &str, name: &str) -> Option<f32> {
    let mut parts = entry.split(';').map(str::trim);
    parts.next().filter(|token| token.eq_ignore_ascii_case(name))?;
    let weight = parts.find_map(|parameter| parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")));
    Some(weight.and_then(|weight| weight.parse().ok()).unwrap_or(1.0))
}

/// Whether `If-None-Match` holds this ETag. The comparison is the weak one (RFC 9110 §13.1.2), since a proxy may have
/// weakened what we sent.
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let lines = headers.get_all(IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use axum::body::to_bytes;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const SCRIPT: &[u8] = b"console.info('hello');\n";
    const MAX_BODY_BYTES: usize = 1 << 16;

    fn script() -> File {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(SCRIPT).unwrap();
        File { name: "hello-1234.js", hash: "abcd", gzip: encoder.finish().unwrap().leak() }
    }

    fn asking(headers: &[(HeaderName, &'static str)]) -> HeaderMap {
        headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    fn header(response: &Response, name: HeaderName) -> &str {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    async fn body(response: Response) -> Vec<u8> {
        to_bytes(response.into_body(), MAX_BODY_BYTES).await.unwrap().to_vec()
    }

    #[tokio::test]
    async fn a_client_that_takes_gzip_gets_the_stored_bytes() {
        let response = script().answer(&asking(&[(ACCEPT_ENCODING, "br, gzip;q=0.8")]), IMMUTABLE);
        assert_eq!(header(&response, CONTENT_ENCODING), "gzip");
        assert_eq!(header(&response, CONTENT_TYPE), "text/javascript; charset=utf-8");
        assert_eq!(header(&response, CACHE_CONTROL), IMMUTABLE);
        assert_eq!(body(response).await, script().gzip);
    }

    #[tokio::test]
    async fn a_client_that_takes_no_gzip_gets_the_content_itself() {
        for refusal in [&[][..], &[(ACCEPT_ENCODING, "gzip;q=0, *")], &[(ACCEPT_ENCODING, "identity")]] {
            let response = script().answer(&asking(refusal), IMMUTABLE);
            assert_eq!(header(&response, CONTENT_ENCODING), "");
            assert_eq!(header(&response, VARY), "accept-encoding");
            assert_eq!(body(response).await, SCRIPT);
        }
    }

    #[tokio::test]
    async fn a_known_etag_is_answered_without_a_body() {
        let etag = header(&script().answer(&asking(&[(ACCEPT_ENCODING, "gzip")]), IMMUTABLE), ETAG).to_owned();
        let weakened: &'static str = format!("\"other\", W/{etag}").leak();
        let again = asking(&[(ACCEPT_ENCODING, "gzip"), (IF_NONE_MATCH, weakened)]);
        let response = script().answer(&again, IMMUTABLE);
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(header(&response, ETAG), etag);
        assert!(body(response).await.is_empty());
    }

    #[tokio::test]
    async fn the_etag_of_one_encoding_does_not_stand_for_the_other() {
        let response = script().answer(&asking(&[(IF_NONE_MATCH, "\"abcd-gzip\"")]), IMMUTABLE);
        assert_eq!(response.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn every_answer_carries_the_policy() {
        let unknown = asset(Path("../Cargo.toml".to_owned()), HeaderMap::new()).await;
        assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
        let refused = page(asking(&[(ACCEPT, "application/json")])).await;
        assert_eq!(refused.status(), StatusCode::NOT_ACCEPTABLE);
        let file = script().answer(&HeaderMap::new(), IMMUTABLE);
        for response in [unknown, refused, file, unbundled_page(), page(HeaderMap::new()).await] {
            assert_eq!(header(&response, CONTENT_SECURITY_POLICY), POLICY);
            assert_eq!(header(&response, X_CONTENT_TYPE_OPTIONS), "nosniff");
            assert_eq!(header(&response, X_FRAME_OPTIONS), "DENY");
            assert_eq!(header(&response, REFERRER_POLICY), "no-referrer");
        }
    }

    #[tokio::test]
    async fn a_build_without_the_bundle_says_how_to_get_it() {
        let response = unbundled_page();
        assert_eq!(header(&response, CONTENT_TYPE), "text/html; charset=utf-8");
        let html = String::from_utf8(body(response).await).unwrap();
        assert!(html.contains("run <code>make web</code>"));
        assert!(!html.contains("<script"), "the page must not need what its policy forbids");
    }

    #[tokio::test]
    async fn a_browser_gets_a_page_that_is_asked_for_anew() {
        let browser = asking(&[(ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8"), (ACCEPT_ENCODING, "gzip")]);
        let response = page(browser).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(header(&response, CONTENT_TYPE), "text/html; charset=utf-8");
        assert_eq!(header(&response, CACHE_CONTROL), if is_bundled() { REVALIDATED } else { NOT_STORED });
    }

    #[test]
    fn each_embedded_file_is_whole_and_of_a_known_type() {
        for file in FILES {
            assert!(!file.unpacked().is_empty(), "{}", file.name);
            assert_ne!(file.content_type(), "application/octet-stream", "{}", file.name);
        }
    }

    #[test]
    fn the_most_exact_entry_decides() {
        let takes_html = |accept| takes_html(&asking(&[(ACCEPT, accept)]));
        assert!(takes_html("*/*"));
        assert!(takes_html("application/json, TEXT/HTML ; q=0.1"));
        assert!(!takes_html("text/html;level=1;q=0.0, */*"));
        assert!(!takes_html("application/json"));
        assert!(super::takes_html(&HeaderMap::new()));
    }
}
