//! A client of subscriptions: a WebSocket of the protocol `graphql-transport-ws`.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::node::DEADLINE;

/// What is asked of every message in most stories.
pub(crate) const MESSAGE: &str = "op id blockNumber blockHash cursor";

/// A socket.
pub(crate) struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// What a node says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    /// A message of the protocol.
    Json(Value),
    /// The end, with its code.
    Closed(u16),
    /// The connection is gone without a word.
    Gone,
}

impl Client {
    /// A connection on which nothing is said yet.
    pub(crate) async fn open(address: &str, path: &str, protocol: &str) -> Self {
        let url = format!("{}{path}", address.replace("http://", "ws://"));
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
        let (socket, _) = timeout(DEADLINE, connect_async(request)).await.expect("in time").expect("a handshake");
        Self(socket)
    }

    /// The status that refuses a handshake with these headers; nothing when it is taken.
    pub(crate) async fn refused(address: &str, headers: &[(&'static str, &str)]) -> Option<u16> {
        let mut request = format!("{}/graphql", address.replace("http://", "ws://")).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match timeout(DEADLINE, connect_async(request)).await.expect("in time") {
            Ok(_) => None,
            Err(Error::Http(response)) => Some(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// A connection that is acknowledged.
    pub(crate) async fn connect(address: &str, path: &str) -> Self {
        let mut client = Self::open(address, path, "graphql-transport-ws").await;
        client.say(&json!({ "type": "connection_init" })).await;
        assert_eq!(client.hear().await, Said::Json(json!({ "type": "connection_ack" })));
        client
    }

    pub(crate) async fn say(&mut self, message: &Value) {
        self.say_text(&message.to_string()).await;
    }

    pub(crate) async fn say_text(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn subscribe(&mut self, id: &str, query: &str) {
        self.say(&json!({ "type": "subscribe", "id": id, "payload": { "query": query } })).await;
    }

    /// What comes next.
    pub(crate) async fn hear(&mut self) -> Said {
        timeout(DEADLINE, self.heard()).await.expect("a message comes")
    }

    /// What comes next, however long it takes.
    pub(crate) async fn heard(&mut self) -> Said {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Said::Json(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(Some(frame)))) => return Said::Closed(frame.code.into()),
                Some(Ok(Message::Close(None))) => return Said::Closed(1005),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Said::Gone,
            }
        }
    }

    /// The next message of the operation: the only root's value.
    #[track_caller]
    pub(crate) fn next(&mut self, id: &str) -> impl Future<Output = Value> {
        let place = std::panic::Location::caller();
        async move {
            let said = self.hear().await;
            let Said::Json(message) = &said else { panic!("{place}: {said:?}") };
            assert_eq!((&message["type"], &message["id"]), (&json!("next"), &json!(id)), "{place}: {message}");
            let data = message["payload"]["data"].as_object().unwrap_or_else(|| panic!("{place}: {message}"));
            data.values().next().expect("a subscription has a root").clone()
        }
    }

    /// So many next messages.
    pub(crate) async fn several(&mut self, id: &str, count: usize) -> Vec<Value> {
        let mut messages = Vec::new();
        for _ in 0..count {
            messages.push(self.next(id).await);
        }
        messages
    }

    /// The error that the operation ends with.
    #[track_caller]
    pub(crate) fn error(&mut self, id: &str) -> impl Future<Output = Value> {
        let place = std::panic::Location::caller();
        async move {
            let said = self.hear().await;
            let Said::Json(message) = &said else { panic!("{place}: {said:?}") };
            assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!(id)), "{place}: {message}");
            message["payload"][0].clone()
        }
    }
}

/// A message without what differs between two runs: `op id block` of each.
pub(crate) fn brief(messages: &[Value]) -> Vec<String> {
    let text = |message: &Value, name: &str| message[name].as_str().unwrap_or_default().to_owned();
    messages.iter().map(|message| ["op", "id", "blockNumber"].map(|name| text(message, name)).join(" ")).collect()
}

/// The code of an error.
pub(crate) fn code(error: &Value) -> &str {
    error["extensions"]["code"].as_str().unwrap_or_else(|| panic!("no code in {error}"))
}

/// What a message, or an error, says to go on from.
pub(crate) fn cursor(message: &Value) -> String {
    let cursor = message.get("cursor").unwrap_or(&message["extensions"]["cursor"]);
    cursor.as_str().unwrap_or_else(|| panic!("no cursor in {message}")).to_owned()
}
