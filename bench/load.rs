//! Asks over HTTP, with as many connections as are wanted, each of which sends its next request when it has its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::questions::Question;
use crate::traffic::{GRAPHQL, Size};

/// What the node answers when it has ended a request that took too long, or had no connection for it in time.
const GIVEN_UP: [&str; 2] = ["\"TIMEOUT\"", "\"UNAVAILABLE\""];

/// One answer in so many is read and held to what it must be; of all others it is only asserted that they are no errors.
const READ_ONE_IN: u64 = 100;

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// The share of requests that the node gave up.
    pub(crate) given_up: f64,
}

/// In which words a question is asked.
#[derive(Debug, Clone)]
pub(crate) enum Words {
    /// In others each time: nobody has the answer.
    New,
    /// As clients do, who ask the same in the same words.
    Same,
    /// In these, over and over.
    These(Arc<[Bytes]>),
}

/// Asks a question for a while.
pub(crate) async fn ask(
    address: &str,
    question: &'static Question,
    size: Size,
    at: Option<u64>,
    connections: usize,
    time: Duration,
    words: Words,
) -> Load {
    // What was said before is not new.
    static SAID: AtomicU64 = AtomicU64::new(0);
    let is_new = matches!(words, Words::New);
    let first = if is_new { SAID.load(Ordering::Relaxed) } else { 0 };
    let next = Arc::new(AtomicU64::new(first));
    let mut connected = Vec::new();
    for _ in 0..connections {
        connected.push(connect(address).await);
    }
    let began = Instant::now();
    let mut asking = Vec::new();
    for mut connection in connected {
        let (address, next, words) = (address.to_owned(), Arc::clone(&next), words.clone());
        asking.push(tokio::spawn(async move {
            let (mut took, mut given_up) = (Vec::new(), 0_usize);
            while began.elapsed() < time {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let body = match &words {
                    Words::These(bodies) => bodies[slot(number, bodies.len())].clone(),
                    Words::New | Words::Same => question.body(size, at, number, is_new).into(),
                };
                let asked = Instant::now();
                let answer = post(&mut connection, &address, GRAPHQL, body).await;
                took.push(asked.elapsed());
                if is_given_up(&answer) {
                    given_up += 1;
                } else if number.is_multiple_of(READ_ONE_IN) {
                    question.assert_answered(&answer);
                } else {
                    assert!(!has_errors(&answer), "{}: {answer:?}", question.name);
                }
            }
            (took, given_up)
        }));
    }
    let (mut took, mut given_up) = (Vec::new(), 0);
    for connection in asking {
        let (of_one, given_up_of_one) = connection.await.expect("every answer is one");
        took.extend(of_one);
        given_up += given_up_of_one;
    }
    if is_new {
        SAID.store(next.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    measured(took, given_up, began.elapsed())
}

fn slot(number: u64, slots: usize) -> usize {
    usize::try_from(number % slots as u64).expect("below a usize")
}

/// Sends each query once; every answer must be without an error.
pub(crate) async fn send(address: &str, bodies: Vec<String>, connections: usize) -> Load {
    send_to(address, GRAPHQL, bodies, connections).await
}

/// The same, of any server.
pub(crate) async fn send_to(address: &str, path: &'static str, bodies: Vec<String>, connections: usize) -> Load {
    let (bodies, next, began) = (Arc::new(bodies), Arc::new(AtomicUsize::new(0)), Instant::now());
    let mut sending = Vec::new();
    for _ in 0..connections {
        let (address, bodies, next) = (address.to_owned(), Arc::clone(&bodies), Arc::clone(&next));
        sending.push(tokio::spawn(async move {
            let (mut connection, mut took) = (connect(&address).await, Vec::new());
            while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                let sent = Instant::now();
                let answer = post(&mut connection, &address, path, body.clone().into()).await;
                took.push(sent.elapsed());
                assert!(!has_errors(&answer), "{answer:?}");
            }
            took
        }));
    }
    let mut took = Vec::new();
    for connection in sending {
        took.extend(connection.await.expect("every answer is one"));
    }
    measured(took, 0, began.elapsed())
}

pub(crate) fn measured(mut took: Vec<Duration>, given_up: usize, all: Duration) -> Load {
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_secs_f64() * 1_000.0;
    let given_up = given_up as f64 / took.len() as f64;
    Load { per_second: took.len() as f64 / all.as_secs_f64(), p50_ms: at(50), p99_ms: at(99), given_up }
}

/// Whether an answer has errors: they stand behind the data, of which there is none then.
fn has_errors(answer: &[u8]) -> bool {
    answer.starts_with(b"{\"data\":null,\"errors\"") || answer.starts_with(b"{\"errors\"")
}

fn is_given_up(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    has_errors(answer) && GIVEN_UP.iter().any(|code| text.contains(code))
}

/// Asks once.
pub(crate) async fn ask_once(address: &str, body: String) -> Bytes {
    ask_at(address, GRAPHQL, body).await
}

/// Asks any server once.
pub(crate) async fn ask_at(address: &str, path: &str, body: String) -> Bytes {
    post(&mut connect(address).await, address, path, body.into()).await
}

/// The status of what is there to be had.
pub(crate) async fn status(address: &str, path: &str) -> u16 {
    let request = Request::get(path).body(Full::default()).expect("a request");
    send_request(&mut connect(address).await, address, request).await.status().as_u16()
}

async fn connect(address: &str) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.expect("the node listens");
    stream.set_nodelay(true).expect("a socket takes options");
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("the node speaks HTTP");
    tokio::spawn(connection);
    sender
}

async fn post(connection: &mut SendRequest<Full<Bytes>>, address: &str, path: &str, body: Bytes) -> Bytes {
    let request = Request::post(path).header("content-type", "application/json").body(Full::new(body));
    let response = send_request(connection, address, request.expect("a request")).await;
    assert!(response.status().is_success(), "{}", response.status());
    response.into_body().collect().await.expect("an answer has a body").to_bytes()
}

async fn send_request(
    connection: &mut SendRequest<Full<Bytes>>,
    address: &str,
    mut request: Request<Full<Bytes>>,
) -> Response<Incoming> {
    request.headers_mut().insert("host", address.parse().expect("a header"));
    connection.ready().await.expect("the connection stands");
    connection.send_request(request).await.expect("the node answers")
}
