//! The way to an endpoint: HTTP, a WebSocket that is made when it is needed, or a transport that somebody handed in.
//!
//! It also knows which parts of the URL may be keys, and hides them in every text that leaves this floor.

use alloy::rpc::client::RpcClient;
use alloy::transports::{BoxTransport, TransportError};
use reqwest::Url;

use super::transport::{ConnectOnce, HttpTransport, install_tls};

/// Shortest part of a URL that is held to be a secret when an endpoint's words repeat it.
const SECRET_CHARS: usize = 6;

/// A connection, or what it takes to make one.
pub(super) struct Connection {
    wire: Wire,
    secrets: Vec<String>,
}

enum Wire {
    /// Requests and their answers, over HTTP or over a transport that was handed in.
    Exchange(RpcClient),
    /// The connection is made when it is first needed, and anew after it broke.
    WebSocket { url: String, client: tokio::sync::Mutex<Option<RpcClient>> },
}

impl Connection {
    /// Prepares a connection; nothing is sent. Fails with the reason when the URL is not one.
    pub(super) fn to(url: &str) -> Result<Self, String> {
        let parsed = Url::parse(url).map_err(|error| error.to_string())?;
        let secrets = secrets(&parsed);
        let wire = match parsed.scheme() {
            "ws" | "wss" => {
                install_tls();
                Wire::WebSocket { url: url.into(), client: tokio::sync::Mutex::default() }
            }
            _ => Wire::Exchange(RpcClient::new(HttpTransport::new(parsed)?, false)),
        };
        Ok(Self { wire, secrets })
    }

    /// A connection over a transport that somebody else made.
    pub(super) fn given(transport: BoxTransport) -> Self {
        Self { wire: Wire::Exchange(RpcClient::new(transport, false)), secrets: vec![] }
    }

    pub(super) fn is_websocket(&self) -> bool {
        matches!(self.wire, Wire::WebSocket { .. })
    }

    /// The client of the connection; a WebSocket is connected if need be.
    pub(super) async fn client(&self) -> Result<RpcClient, TransportError> {
        match &self.wire {
            Wire::Exchange(client) => Ok(client.clone()),
            Wire::WebSocket { url, client } => {
                let mut client = client.lock().await;
                if let Some(client) = client.as_ref() {
                    return Ok(client.clone());
                }
                // On the heap: connecting is rare, its state is large, and every request's future would carry it.
                let connected = Box::pin(RpcClient::connect_pubsub(ConnectOnce::new(url))).await?;
                *client = Some(connected.clone());
                Ok(connected)
            }
        }
    }

    /// Drops a WebSocket that broke or fell silent (F27); the next request makes a new one. Tells whether there is one
    /// to drop.
    pub(super) async fn disconnect(&self) -> bool {
        let Wire::WebSocket { client, .. } = &self.wire else { return false };
        *client.lock().await = None;
        true
    }

    /// A text without what may be a key of this endpoint.
    pub(super) fn hide(&self, mut text: String) -> String {
        for secret in &self.secrets {
            text = text.replace(secret, "…");
        }
        text
    }
}

/// The parts of a URL that may be keys: user, password, long parts of the path, values of the query.
fn secrets(url: &Url) -> Vec<String> {
    let path = url.path_segments().into_iter().flatten().map(str::to_owned);
    let query = url.query_pairs().map(|(_, value)| value.into_owned());
    let user = [Some(url.username()), url.password()].into_iter().flatten().map(str::to_owned);
    let mut secrets: Vec<_> = path.chain(query).chain(user).filter(|part| part.len() >= SECRET_CHARS).collect();
    // A longer secret may hold a shorter one.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
}
