//! JSON-RPC over HTTP and WebSocket as transports for alloy's client.
//!
//! They differ from alloy's own in what a node that trusts nobody needs. HTTP: the answer's size is bounded, a batch's
//! answer is held against the ids that were asked, `Retry-After` and the status stay visible to the classifier,
//! environment proxies and redirects are off, and no error carries the URL, which may hold a key. WebSocket: a lost
//! connection is not made again behind the node's back, and what is asked leaves at once.

use std::collections::HashSet;
use std::error::Error;
use std::sync::Once;
use std::task::{Context, Poll};
use std::time::Duration;

use alloy::pubsub::{ConnectionHandle, PubSubConnect};
use alloy::rpc::client::WsConnect;
use alloy::rpc::json_rpc::{Id, RequestPacket, Response, ResponsePacket, ResponsePayload};
use alloy::transports::ws::{WebSocketConfig, WsBackend};
use alloy::transports::{RpcError, TransportError, TransportErrorKind, TransportFut, TransportResult};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use tokio_tungstenite::connect_async_with_config;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tower_service::Service;

/// Largest answer that is read, in bytes: ten thousand logs with 5 kB each.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Bytes of an answer that are kept for an error.
const ERROR_BYTES: usize = 4_096;

/// Longest wait for a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Silence on a WebSocket after which the endpoint is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// Makes ring the process' TLS primitives; endpoints and databases share them. May be called again.
pub fn install_tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that somebody else installed a provider first, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// What goes wrong below JSON-RPC.
#[derive(Debug)]
pub(super) enum HttpFault {
    /// No connection, or it broke before an answer came.
    Unreachable(String),
    /// The answer broke off.
    CutOff(String),
    /// The answer is larger than this node reads.
    TooManyBytes,
    /// The answer is to another request.
    WrongId,
}

impl std::fmt::Display for HttpFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable(reason) => write!(f, "cannot be reached: {reason}"),
            Self::CutOff(reason) => write!(f, "the answer broke off: {reason}"),
            Self::TooManyBytes => write!(f, "the answer is larger than {MAX_ANSWER_BYTES} bytes"),
            Self::WrongId => f.write_str("the answer has the id of another request"),
        }
    }
}

impl Error for HttpFault {}

/// A connection pool to one HTTP endpoint.
#[derive(Debug, Clone)]
pub(super) struct HttpTransport {
    client: Client,
    url: Url,
}

impl HttpTransport {
    /// Prepares the pool; nothing is sent. Fails with the reason when https finds no root certificates.
    pub(super) fn new(url: Url) -> Result<Self, String> {
        install_tls();
        let mut client = Client::builder().no_proxy().redirect(Policy::none()).connect_timeout(CONNECT_TIMEOUT);
        if url.scheme() == "http" {
            // Without this a machine that has no root certificates could not even reach a node of its own.
            client = client.tls_certs_only([]);
        }
        Ok(Self { client: client.build().map_err(|error| innermost(&error.without_url()))?, url })
    }

    async fn send(self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let body = serde_json::to_vec(&packet).map_err(RpcError::ser_err)?;
        let request = self.client.post(self.url).header(CONTENT_TYPE, "application/json").body(body);
        let mut response = request
            .send()
            .await
            .map_err(|error| TransportErrorKind::custom(HttpFault::Unreachable(innermost(&error.without_url()))))?;
        let status = response.status();
        let retry_after =
            response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let mut answer = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if answer.len() + chunk.len() <= MAX_ANSWER_BYTES => answer.extend_from_slice(&chunk),
                Ok(Some(_)) => return Err(TransportErrorKind::custom(HttpFault::TooManyBytes)),
                Ok(None) => break,
                // What is left of an error page still says what happened.
                Err(_) if status != StatusCode::OK => break,
                Err(error) => {
                    return Err(TransportErrorKind::custom(HttpFault::CutOff(innermost(&error.without_url()))));
                }
            }
        }
        if !status.is_success() {
            let wait = retry_after.map(Duration::from_secs);
            return Err(TransportErrorKind::http_error_with_retry_after(status.as_u16(), beginning(&answer), wait));
        }
        let answer = serde_json::from_slice(&answer).map_err(|err| RpcError::deser_err(err, beginning(&answer)))?;
        belonging(&packet, answer)
    }
}

impl Service<RequestPacket> for HttpTransport {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        Box::pin(self.clone().send(packet))
    }
}

/// A WebSocket that is connected once. alloy would connect again by itself and repeat what was under way, but behind
/// the same URL there may be another chain by then (F31): who reconnects must look first. And alloy leaves Nagle's
/// algorithm on, which holds the second of two questions back until the endpoint has acknowledged the first.
pub(super) struct ConnectOnce(WsConnect);

impl ConnectOnce {
    pub(super) fn new(url: &str) -> Self {
        Self(WsConnect::new(url))
    }
}

impl PubSubConnect for ConnectOnce {
    fn is_local(&self) -> bool {
        self.0.is_local()
    }

    async fn connect(&self) -> TransportResult<ConnectionHandle> {
        let request = self.0.clone().into_client_request().map_err(TransportErrorKind::custom)?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_ANSWER_BYTES))
            // Servers send an answer as one frame.
            .max_frame_size(Some(MAX_ANSWER_BYTES));
        let without_nagle = true;
        let connected = connect_async_with_config(request, Some(config), without_nagle).await;
        let (socket, _) = connected.map_err(TransportErrorKind::custom)?;
        let (handle, interface) = ConnectionHandle::new();
        WsBackend::from_socket(socket, interface, KEEPALIVE).spawn();
        Ok(handle)
    }

    async fn try_reconnect(&self) -> TransportResult<ConnectionHandle> {
        Err(TransportErrorKind::non_retryable_str("the connection closed"))
    }
}

/// The answers that belong to what was asked. A batch may be refused as a whole by one error, often without an id.
fn belonging(packet: &RequestPacket, answer: ResponsePacket) -> Result<ResponsePacket, TransportError> {
    match (packet, answer) {
        (RequestPacket::Single(request), ResponsePacket::Single(response)) => {
            match (response.id == *request.id(), response.payload) {
                (true, payload) => Ok(ResponsePacket::Single(Response { id: response.id, payload })),
                (false, ResponsePayload::Failure(error)) => Err(RpcError::ErrorResp(error)),
                (false, ResponsePayload::Success(_)) => Err(TransportErrorKind::custom(HttpFault::WrongId)),
            }
        }
        (RequestPacket::Single(_), ResponsePacket::Batch(_)) => Err(TransportErrorKind::custom(HttpFault::WrongId)),
        (RequestPacket::Batch(requests), ResponsePacket::Single(response)) => match response.payload {
            ResponsePayload::Failure(error) if requests.len() > 1 => Err(RpcError::ErrorResp(error)),
            payload => {
                let single = Response { id: response.id, payload };
                Ok(ResponsePacket::Batch(vec![single]))
            }
        },
        (RequestPacket::Batch(_), ResponsePacket::Batch(mut responses)) => {
            // Of entries with the same id the first is the answer; alloy leaves out ids that were not asked.
            let mut seen = HashSet::<Id>::new();
            responses.retain(|response| seen.insert(response.id.clone()));
            Ok(ResponsePacket::Batch(responses))
        }
    }
}

fn beginning(answer: &[u8]) -> String {
    String::from_utf8_lossy(&answer[..answer.len().min(ERROR_BYTES)]).into_owned()
}

/// The reason at the bottom of an error: the layers above it only say that there is one.
fn innermost(error: &dyn Error) -> String {
    let mut reason = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}
